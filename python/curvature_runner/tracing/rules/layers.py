"""Operations that are layers: linear, convolutions, norms, pools, embeddings."""

from __future__ import annotations

from typing import Any

import torch

from ...layers import one_or_list, spec_of
from ..nodes import Node, Weight
from ..operation import Operation
from ..realise import activation_of, compact, node_of, plain
from ..values import Activation, Parameter, Value

MATRIX = "multiplies matrices otherwise than linear layers and attention do"


def weights_of(operation: Operation, **places: int) -> dict[str, Weight]:
    """The parameters and buffers at these places of the arguments."""
    found = {}
    for key, place in places.items():
        arg = operation.argument(place, key)
        if arg is None:
            continue
        if isinstance(arg, Parameter):
            found[key] = arg.weight
        else:
            name = operation.buffers.get(place)
            operation.check(name is not None, f"has a {key} that is no parameter of the module")
            found[key] = Weight(name, arg.detach(), arg.detach())
    return found


def rows_as_they_are(value: Activation) -> bool:
    """Whether the last axis is the node's, in its order, wherever its rows stand."""
    features = value.node.shape[-1]
    if value.shape[-1] != features:
        return False
    if value.index is None:
        return True
    first = value.index[..., :1]
    return bool((first % features == 0).all()) and bool((value.index == first + torch.arange(features)).all())


def over_rows(value: Activation, make: Any, features: int) -> Activation:
    """A layer on the last axis, wherever its rows have been moved to."""
    value = compact(value)
    if not rows_as_they_are(value):
        value = Activation(value.shape, value.place, node_of(value))
    node = make(value.node, (*value.node.shape[:-1], features))
    index = value.index
    if index is not None:
        rows = index[..., :1] // value.node.shape[-1]
        index = rows * features + torch.arange(features)
    return value.on(node, (*value.shape[:-1], features), index)


def linear(operation: Operation, value: Value, matrix: Parameter, bias: Parameter | None) -> Activation:
    """`x M + b` with `M: [in, out]`."""
    value = plain(activation_of(value), operation.place)
    weight = matrix.weight.moved(matrix.weight.tensor.t(), lambda t: t.t())
    weights = {"weight": weight}
    if bias is not None:
        operation.check(isinstance(bias, Parameter), "adds a constant that is no parameter")
        operation.check(bias.shape == (matrix.shape[1],), "adds a parameter that is no bias")
        weights["bias"] = bias.weight
    spec = spec_of("linear", {"out": matrix.shape[1], "bias": bias is not None}, {"bias": True})
    make = lambda node, shape: Node(spec, (node,), shape, weights, operation.place)
    return over_rows(value, make, matrix.shape[1])


def mm(operation: Operation) -> Activation:
    value, matrix = operation.args[:2]
    fits = isinstance(matrix, Parameter) and isinstance(value, Value) and not isinstance(value, Parameter)
    operation.check(fits, MATRIX)
    return linear(operation, value, matrix, None)


def addmm(operation: Operation) -> Activation:
    bias, value, matrix = operation.args[:3]
    fits = isinstance(matrix, Parameter) and isinstance(value, Value) and not isinstance(value, Parameter)
    ones = operation.keys.get("alpha", 1) == operation.keys.get("beta", 1) == 1
    operation.check(fits and ones, MATRIX)
    return linear(operation, value, matrix, bias)


def rows_of(node: Node, rows: torch.Tensor, operation: Operation) -> Node:
    """The features `rows` of a node, which are all of it, or of a linear layer."""
    if torch.equal(rows, torch.arange(node.shape[-1])):
        return node
    operation.check(node.spec.get("kind") == "linear", "takes queries, keys and values from features in an order that no layer has")
    weights = {key: weight.moved(weight.tensor[rows], lambda t: t[rows]) for key, weight in node.weights.items()}
    spec = node.spec | {"out": len(rows)}
    return Node(spec, node.inputs, (*node.shape[:-1], len(rows)), weights, node.place)


def layer(operation: Operation, value: Value, spec: dict[str, Any], weights: dict[str, Weight], shape: Any = None) -> Activation:
    """A layer on the value in its own order."""
    shape = shape or operation.shape
    node = Node(spec, (node_of(value),), tuple(shape), weights, operation.place)
    return Activation(tuple(shape), operation.place, node)


def convolution(operation: Operation) -> Activation:
    value, weight, bias, stride, padding, dilation, transposed, output_padding, groups = operation.args[:9]
    operation.check(isinstance(weight, Parameter) and isinstance(value, Value), "convolves with what is no parameter")
    weights = weights_of(operation, weight=1, bias=2)
    d = len(weight.shape) - 2
    out = weight.shape[1] * groups if transposed else weight.shape[0]
    keys = {
        "out": out, "kernel_size": list(weight.shape[2:]), "stride": stride, "padding": padding, "dilation": dilation,
        "groups": groups, "bias": bias is not None,
    }  # fmt: skip
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "output_padding": 0}
    if transposed:
        keys["output_padding"] = output_padding
    kind = f"conv_transpose{d}d" if transposed else f"conv{d}d"
    return layer(operation, value, spec_of(kind, keys, usual), weights)


def layer_norm(operation: Operation) -> list[Value]:
    value, shape = operation.args[:2]
    weights = weights_of(operation, weight=2, bias=3)
    eps = operation.argument(4, "eps", 1e-5)
    affine = "weight" in weights
    keys = {"eps": eps, "elementwise_affine": affine, "bias": "bias" in weights or not affine}
    usual = {"eps": 1e-5, "elementwise_affine": True, "bias": True}
    return [norm(operation, value, "layer_norm", shape, spec_of("layer_norm", keys, usual), weights)]


def rms_norm(operation: Operation) -> list[Value]:
    value, shape = operation.args[:2]
    weights = weights_of(operation, weight=2)
    eps = operation.argument(3, "eps")
    spec = spec_of("rms_norm", {"elementwise_affine": bool(weights)}, {"elementwise_affine": True})
    spec |= {} if eps is None else {"eps": eps}
    return [norm(operation, value, "rms_norm", shape, spec, weights)]


def norm(operation: Operation, value: Value, kind: str, shape: Any, spec: dict[str, Any], weights: Any) -> Activation:
    spec = spec | {"normalized_shape": list(shape)}
    value = plain(activation_of(value), operation.place)
    if len(shape) > 1:
        return layer(operation, value, spec, weights)
    make = lambda node, size: Node(spec, (node,), size, weights, operation.place)
    return over_rows(value, make, shape[0])


def group_norm(operation: Operation) -> list[Value]:
    value, groups, eps = operation.args[0], operation.args[6], operation.args[7]
    weights = weights_of(operation, weight=1, bias=2)
    keys = {"num_groups": groups, "eps": eps, "affine": bool(weights)}
    return [layer(operation, value, spec_of("group_norm", keys, {"eps": 1e-5, "affine": True}), weights)]


def batch_norm(operation: Operation) -> list[Value]:
    value, training = operation.args[0], operation.args[5]
    eps = operation.args[7]
    operation.check(not training, "normalises by the statistics of the batch, which couples the samples")
    weights = weights_of(operation, weight=1, bias=2, running_mean=3, running_var=4)
    dims = max(len(operation.shape) - 2, 1)
    keys = {"eps": eps, "affine": "weight" in weights}
    return [layer(operation, value, spec_of(f"batch_norm{dims}d", keys, {"eps": 1e-5, "affine": True}), weights)]


def embedding(operation: Operation) -> Value:
    table, tokens = operation.args[:2]
    padding = operation.argument(2, "padding_idx", -1)
    operation.check(isinstance(table, Parameter), "looks up in what is no parameter")
    if not isinstance(tokens, Value):
        # Rows of the parameter, the same for all samples: positions, or kinds of tokens.
        rows = table.weight.moved(operation.output.detach(), lambda t: t[tokens])
        return Parameter(operation.shape, operation.place, rows)
    value = plain(activation_of(tokens), operation.place)
    operation.check(not value.node.inputs, "looks up by something else than the samples")
    keys = {"num_embeddings": table.shape[0], "embedding_dim": table.shape[1]}
    spec = {"kind": "embedding"} | keys | ({} if padding < 0 else {"padding_idx": padding})
    return layer(operation, value, spec, {"weight": table.weight})


def pool(kind: str, keys: dict[str, Any], usual: dict[str, Any], operation: Operation) -> Activation:
    """A pool in as many dimensions as the value has: libtorch pools sequences as images of one row."""
    value = activation_of(operation.args[0])
    rank = len(value.node.shape)
    sequence = value.index is None and rank == 3 and value.shape == (*value.node.shape[:2], 1, value.node.shape[2])
    if not sequence:
        return layer(operation, value, spec_of(kind, keys, usual), {})
    last = {k: v[-1:] if isinstance(v, (list, tuple)) else v for k, v in keys.items()}
    spec = spec_of(kind.replace("2d", "1d"), last, usual)
    shape = (*operation.shape[:2], operation.shape[3])
    found = layer(operation, Activation(value.node.shape, value.place, value.node), spec, {}, shape)
    return found.moved(lambda t: t.unsqueeze(2), keeps_order=True)


def max_pool(operation: Operation) -> list[Value]:
    args = [*operation.args[1:], *[None] * 5][:5]
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    keys = {name: arg for name, arg in zip(names, args) if arg is not None and arg != []}
    usual = {"stride": one_or_list(keys["kernel_size"]), "padding": 0, "dilation": 1, "ceil_mode": False}
    dims = "3d" if "3d" in operation.name else "2d"
    return [pool(f"max_pool{dims}", keys, usual, operation)]


def avg_pool(operation: Operation) -> Activation:
    args = [*operation.args[1:], *[None] * 6][:6]
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    keys = {name: arg for name, arg in zip(names, args) if arg is not None and arg != []}
    usual = {"stride": one_or_list(keys["kernel_size"]), "padding": 0, "ceil_mode": False, "count_include_pad": True}
    return pool(operation.name, keys, usual, operation)


def adaptive_pool(operation: Operation) -> Activation:
    kind = operation.name.strip("_")
    return pool(kind, {"output_size": list(operation.args[1])}, {}, operation)


def pad(operation: Operation) -> Activation:
    value, padding = operation.args[:2]
    operation.check(operation.argument(2, "value", 0) == 0, "pads with another number than zero")
    dims = min(len(operation.shape) - 2, 3)
    operation.check(len(padding) <= 2 * dims, "pads the axis of the channels or samples")
    padding = list(padding) + [0] * (2 * dims - len(padding))
    return layer(operation, value, {"kind": f"zero_pad{dims}d", "padding": padding}, {})


HANDLERS = {
    "mm": mm, "addmm": addmm, "convolution": convolution, "native_layer_norm": layer_norm,
    "_fused_rms_norm": rms_norm, "native_group_norm": group_norm, "native_batch_norm": batch_norm,
    "embedding": embedding, "max_pool2d_with_indices": max_pool, "max_pool3d_with_indices": max_pool,
    "avg_pool2d": avg_pool, "avg_pool3d": avg_pool, "_adaptive_avg_pool2d": adaptive_pool,
    "_adaptive_avg_pool3d": adaptive_pool, "constant_pad_nd": pad,
}  # fmt: skip
