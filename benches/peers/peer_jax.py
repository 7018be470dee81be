"""JAX: jit and vmap over second derivatives of the loss.

"hvp" multiplies with the Hessian, jvp of grad; "jvp_jvp" takes the second derivative along each
probe, jvp of jvp, which needs no backward pass. Signs come from jax.random.rademacher, or, in the
methods named so, 32 at a time from random words.
"""

import math
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy

from jax_problem import Parameters, block_hessian_product, hessian_product, jax_problem
from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_probes, serve

loss, arguments = jax_problem(load_problem(sys.argv[1]))


def library_signs(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Random signs as the library draws them."""
    return jax.random.rademacher(key, shape, jnp.float32)


def packed_signs(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Random signs, 32 from one draw: each bit becomes the sign bit of a 1.0."""
    count = math.prod(shape)
    words = jax.random.bits(key, (-(-count // 32), 1), jnp.uint32)
    bits = (words << jnp.arange(32, dtype=jnp.uint32)) & jnp.uint32(1 << 31) | jnp.uint32(0x3F800000)
    return jax.lax.bitcast_convert_type(bits, jnp.float32).reshape(-1)[:count].reshape(shape)


def quadratic_form(product: Callable) -> Callable:
    """v -> v . (H v)."""

    def form(v: Parameters, parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
        products = product(v, parameters, x, y)
        return sum(jnp.vdot(v[name], products[name]) for name in v)

    return form


def second_derivative(v: Parameters, parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
    """The loss's second derivative along v."""

    def slope(p: Parameters) -> jax.Array:
        return jax.jvp(lambda p: loss(p, x, y), (p,), (v,))[1]

    return jax.jvp(slope, (parameters,), (v,))[1]


def second_derivative_by_block(
    v: Parameters, parameters: Parameters, x: jax.Array, y: jax.Array
) -> jax.Array:
    """The sum of the loss's second derivatives along v in each parameter alone."""

    def one_block(name: str) -> jax.Array:
        def slope(p: jax.Array) -> jax.Array:
            return jax.jvp(lambda p: loss({**parameters, name: p}, x, y), (p,), (v[name],))[1]

        return jax.jvp(slope, (parameters[name],), (v[name],))[1]

    return sum(one_block(name) for name in parameters)


def hutchinson(draw: Callable, form: Callable) -> Callable:
    """Hutchinson's estimate, V_batch probes in one compiled call."""

    def chunk(size: int, key: jax.Array, parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
        keys = jax.random.split(key, len(parameters))
        v = {name: draw(k, (size, *p.shape)) for k, (name, p) in zip(keys, parameters.items())}
        return jax.vmap(form, in_axes=(0, None, None, None))(v, parameters, x, y)

    compiled = jax.jit(chunk, static_argnums=0)

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        sizes = chunks(V, V_batch)
        keys = jax.random.split(jax.random.key(seed), len(sizes))
        return mean_of_probes(numpy.concatenate([compiled(s, k, *arguments) for s, k in zip(sizes, keys)]))

    return run


full, block = quadratic_form(hessian_product(loss)), quadratic_form(block_hessian_product(loss))
serve(
    "jax",
    ["jax", "jaxlib"],
    [
        Method(name, quantity, hutchinson(draw, form), V_BATCHES)
        for quantity, product, derivative in (
            ("block", block, second_derivative_by_block),
            ("full", full, second_derivative),
        )
        for name, draw, form in (
            ("hvp", library_signs, product),
            ("hvp_packed_signs", packed_signs, product),
            ("jvp_jvp", library_signs, derivative),
            ("jvp_jvp_packed_signs", packed_signs, derivative),
        )
    ],
)
