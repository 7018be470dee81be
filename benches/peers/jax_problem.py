"""The problem as a JAX loss of a dictionary of parameters, and its second derivatives along vectors.

Everything the compiled functions need is passed as an argument: what a jitted function closes over,
XLA would compute once, at compile time, and the network's own passes would go unmeasured.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from peer import Problem

Parameters = dict[str, jax.Array]
Loss = Callable[[Parameters, jax.Array, jax.Array], jax.Array]


def jax_problem(problem: Problem) -> tuple[Loss, tuple[Parameters, jax.Array, jax.Array]]:
    """The loss function and its arguments: parameters, inputs and targets."""
    if problem.loss != "cross_entropy":
        raise ValueError(f"unknown loss: {problem.loss}")
    reduce = {"mean": jnp.mean, "sum": jnp.sum}[problem.reduction]

    def loss(parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(network(problem.layers, parameters, x))
        return -reduce(jnp.take_along_axis(log_p, y[:, None], axis=1))

    parameters = {name: jnp.asarray(weight) for name, weight in problem.weights.items()}
    return loss, (parameters, jnp.asarray(problem.x), jnp.asarray(problem.y))


def network(layers: list[dict], parameters: Parameters, hidden: jax.Array) -> jax.Array:
    """The network's output; parameters are named as in torch.nn.Sequential, "1.weight"."""
    for index, layer in enumerate(layers):
        weight, bias = (parameters.get(f"{index}.{name}") for name in ("weight", "bias"))
        match layer["kind"]:
            case "flatten":
                hidden = hidden.reshape(len(hidden), -1)
            case "linear":
                hidden = hidden @ weight.T + (0.0 if bias is None else bias)
            case "conv2d":
                hidden = convolution(hidden, weight, layer)
                hidden = hidden + (0.0 if bias is None else bias[:, None, None])
            case "max_pool2d":
                hidden = max_pool(hidden, layer)
            case "sigmoid":
                hidden = jax.nn.sigmoid(hidden)
            case "tanh":
                hidden = jnp.tanh(hidden)
            case "relu":
                hidden = jax.nn.relu(hidden)
            case kind:
                raise ValueError(f"unknown layer kind: {kind}")
    return hidden


def convolution(hidden: jax.Array, weight: jax.Array, layer: dict) -> jax.Array:
    """torch.nn.Conv2d without its bias, square stride and padding."""
    stride, padding = layer.get("stride", 1), layer.get("padding", 0)
    return jax.lax.conv_general_dilated(
        hidden, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )


def max_pool(hidden: jax.Array, layer: dict) -> jax.Array:
    """torch.nn.MaxPool2d whose windows do not overlap, as a maximum over reshaped axes."""
    size = layer["kernel_size"]
    if layer.get("stride", size) != size or layer.get("padding", 0):
        raise ValueError("only max_pool2d with stride = kernel_size and no padding")
    samples, channels, height, width = hidden.shape
    rows, columns = height // size, width // size
    hidden = hidden[:, :, : rows * size, : columns * size]
    return hidden.reshape(samples, channels, rows, size, columns, size).max(axis=(3, 5))


def hessian_product(loss: Loss) -> Callable:
    """(v, parameters, x, y) -> H v, forward over reverse."""

    def product(v: Parameters, parameters: Parameters, x: jax.Array, y: jax.Array) -> Parameters:
        return jax.jvp(jax.grad(lambda p: loss(p, x, y)), (parameters,), (v,))[1]

    return product


def block_hessian_product(loss: Loss) -> Callable:
    """(v, parameters, x, y) -> v times the block diagonal of H, one block per parameter."""

    def product(v: Parameters, parameters: Parameters, x: jax.Array, y: jax.Array) -> Parameters:
        return {name: one_block(name, v, parameters, x, y) for name in parameters}

    def one_block(name: str, v: Parameters, parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
        gradient = jax.grad(lambda p: loss({**parameters, name: p}, x, y))
        return jax.jvp(gradient, (parameters[name],), (v[name],))[1]

    return product
