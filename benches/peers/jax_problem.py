"""The problem as a JAX loss of a dictionary of parameters, and its second derivatives along vectors.

Everything the compiled functions need is passed as an argument: what a jitted function closes over,
XLA would compute once, at compile time, and the network's own passes would go unmeasured.
"""

import math
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
        log_p = jax.nn.log_softmax(network(problem.layers, parameters, x), axis=1)
        return -reduce(jnp.take_along_axis(log_p, y[:, None], axis=1))

    # Running statistics are no parameters.
    parameters = {name: jnp.asarray(w) for name, w in problem.weights.items() if "running_" not in name}
    return loss, (parameters, jnp.asarray(problem.x), jnp.asarray(problem.y))


def network(layers: list[dict], parameters: Parameters, hidden: jax.Array, place: str = "") -> jax.Array:
    """The network's output; parameters are named as in torch.nn.Sequential, "1.weight", after `place`."""
    for index, layer in enumerate(layers):
        weight, bias = (parameters.get(f"{place}{index}.{name}") for name in ("weight", "bias"))
        match layer["kind"]:
            case "residual":
                body, shortcut = (
                    network(layer.get(part, []), parameters, hidden, f"{place}{index}.{part}.")
                    for part in ("body", "shortcut")
                )
                hidden = body + shortcut
            case "batch_norm2d":
                # New running statistics: mean 0, variance 1.
                scale = weight / jnp.sqrt(1.0 + 1e-5)
                hidden = hidden * scale[:, None, None] + bias[:, None, None]
            case "adaptive_avg_pool2d":
                hidden = hidden.mean(axis=(2, 3), keepdims=True)
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
            case "gelu":
                hidden = jax.nn.gelu(hidden, approximate=layer.get("approximate") == "tanh")
            case "embedding":
                hidden = weight[hidden]
            case "positional_embedding":
                hidden = hidden + weight
            case "layer_norm":
                hidden = standardised(hidden, layer) * weight + bias
            case "attention":
                hidden = attention(hidden, layer)
            case "permute":
                hidden = hidden.transpose(layer["dims"])
            case kind:
                raise ValueError(f"unknown layer kind: {kind}")
    return hidden


def convolution(hidden: jax.Array, weight: jax.Array, layer: dict) -> jax.Array:
    """torch.nn.Conv2d without its bias, square stride and padding."""
    stride, padding = layer.get("stride", 1), layer.get("padding", 0)
    return jax.lax.conv_general_dilated(
        hidden, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )


def standardised(hidden: jax.Array, layer: dict) -> jax.Array:
    """torch.nn.LayerNorm without its weight and bias."""
    axes = tuple(range(-len(layer["normalized_shape"]), 0))
    centred = hidden - hidden.mean(axes, keepdims=True)
    variance = jnp.square(centred).mean(axes, keepdims=True)
    return centred / jnp.sqrt(variance + layer.get("eps", 1e-5))


def attention(hidden: jax.Array, layer: dict) -> jax.Array:
    """softmax(q k' / sqrt(d)) v by heads, over queries, keys and values side by side on the last axis."""
    samples, positions, features = hidden.shape
    by_part = hidden.reshape(samples, positions, 3, layer["heads"], features // (3 * layer["heads"]))
    q, k, v = by_part.transpose(2, 0, 3, 1, 4)
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if layer.get("causal", False):
        scores = jnp.where(jnp.tri(positions, dtype=bool), scores, -jnp.inf)
    return (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(samples, positions, -1)


def max_pool(hidden: jax.Array, layer: dict) -> jax.Array:
    """torch.nn.MaxPool2d, as a maximum over reshaped axes if its windows do not overlap."""
    size = layer["kernel_size"]
    stride, padding = layer.get("stride", size), layer.get("padding", 0)
    samples, channels, height, width = hidden.shape
    if stride != size or padding:
        ends = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
        padded = jnp.pad(hidden, ends, constant_values=-jnp.inf)
        rows, columns = ((n + 2 * padding - size) // stride + 1 for n in (height, width))
        shifted = [
            padded[:, :, i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (columns - 1) + 1 : stride]
            for i in range(size)
            for j in range(size)
        ]
        return jnp.stack(shifted).max(axis=0)
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
