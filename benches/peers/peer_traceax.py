"""traceax: its trace estimators over a lineax operator that multiplies with JAX's Hessian."""

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import lineax
import traceax
from jax.flatten_util import ravel_pytree

from jax_problem import block_hessian_product, hessian_product, jax_problem
from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_chunks, serve

SIGNS = traceax.RademacherSampler(jnp.float32)  # the default draws integers, which jvp refuses
loss, arguments = jax_problem(load_problem(sys.argv[1]))


def compiled_estimate(estimator: traceax.AbstractTraceEstimator, product: Callable) -> Callable:
    """(products, key, parameters, x, y) -> estimate and further statistics, compiled."""

    def estimate(products: int, key: jax.Array, parameters: dict, x: jax.Array, y: jax.Array) -> tuple:
        flat, unravel = ravel_pytree(parameters)

        def multiply(v: jax.Array) -> jax.Array:
            return ravel_pytree(product(unravel(v), parameters, x, y))[0]

        structure = jax.ShapeDtypeStruct(flat.shape, flat.dtype)
        operator = lineax.FunctionLinearOperator(multiply, structure, lineax.symmetric_tag)
        return estimator.estimate(key, operator, products)

    return jax.jit(estimate, static_argnums=0)


def in_chunks(estimator: traceax.AbstractTraceEstimator, product: Callable) -> Callable:
    """Hutchinson's estimate, averaged over calls of V_batch products each."""
    compiled = compiled_estimate(estimator, product)

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        sizes = chunks(V, V_batch)
        keys = jax.random.split(jax.random.key(seed), len(sizes))
        means = [compiled(size, key, *arguments)[0] for size, key in zip(sizes, keys)]
        return mean_of_chunks([float(mean) * size for mean, size in zip(means, sizes)], sizes)

    return run


def whole(estimator: traceax.AbstractTraceEstimator, product: Callable) -> Callable:
    """An estimate that needs all V products at once."""
    compiled = compiled_estimate(estimator, product)

    def run(V: int, V_batch: None, seed: int) -> Estimate:
        mean, statistics = compiled(V, jax.random.key(seed), *arguments)
        return Estimate(float(mean), float(statistics["std.err"]) if "std.err" in statistics else None)

    return run


serve(
    "traceax",
    ["traceax", "lineax", "jax"],
    [
        method
        for quantity, product in (
            ("block", block_hessian_product(loss)),
            ("full", hessian_product(loss)),
        )
        for method in (
            Method("hutchinson", quantity, in_chunks(traceax.HutchinsonEstimator(SIGNS), product), V_BATCHES),
            Method("hutchpp", quantity, whole(traceax.HutchPlusPlusEstimator(SIGNS), product)),
            Method("xtrace", quantity, whole(traceax.XTraceEstimator(), product)),
        )
    ],
)
