"""matfree: its Monte-Carlo and leave-one-out trace estimators over JAX Hessian products."""

import sys
from collections.abc import Callable

import jax
from matfree import stochtrace

from jax_problem import block_hessian_product, hessian_product, jax_problem
from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_chunks, serve

loss, arguments = jax_problem(load_problem(sys.argv[1]))
parameters = arguments[0]


def hutchinson(product: Callable) -> Callable:
    """Hutchinson's estimate with signs, V_batch probes in one compiled call."""

    def chunk(size: int, key: jax.Array, *arguments: jax.Array) -> jax.Array:
        sampler = stochtrace.sampler_signs(parameters, num=size)
        estimate = stochtrace.estimator_monte_carlo(stochtrace.monte_carlo_trace(), sampler)
        return estimate(product, key, *arguments)

    compiled = jax.jit(chunk, static_argnums=0)

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        sizes = chunks(V, V_batch)
        keys = jax.random.split(jax.random.key(seed), len(sizes))
        means = [compiled(size, key, *arguments) for size, key in zip(sizes, keys)]
        return mean_of_chunks([float(mean) * size for mean, size in zip(means, sizes)], sizes)

    return run


def xtrace(product: Callable) -> Callable:
    """XTrace with resphered normal vectors: V products for V / 2 vectors."""

    def whole(vectors: int, key: jax.Array, *arguments: jax.Array) -> tuple[jax.Array, jax.Array]:
        sampler = stochtrace.sampler_normal(parameters, num=vectors)
        integrand = stochtrace.leave_one_out_xtrace()
        return stochtrace.estimator_leave_one_out_mean_and_sem(integrand, sampler)(product, key, *arguments)

    compiled = jax.jit(whole, static_argnums=0)

    def run(V: int, V_batch: None, seed: int) -> Estimate:
        mean, std_error = compiled(V // 2, jax.random.key(seed), *arguments)
        return Estimate(float(mean), float(std_error))

    return run


full, block = hessian_product(loss), block_hessian_product(loss)
serve(
    "matfree",
    ["matfree", "jax"],
    [
        Method("hutchinson", "block", hutchinson(block), V_BATCHES),
        Method("xtrace", "block", xtrace(block)),
        Method("hutchinson", "full", hutchinson(full), V_BATCHES),
        Method("xtrace", "full", xtrace(full)),
    ],
)
