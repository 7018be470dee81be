"""Recognises functions by what they compute: gelu written out, a norm written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from ..layers import spec_of
from .nodes import Node
from .values import Activation, Function, Value, same_index

TOLERANCE = 1e-6
"""Relative; constants of formulas are often in float32."""

UNARY: dict[str, Callable[..., dict[str, Any]]] = {
    "relu": lambda: {"kind": "relu"},
    "sigmoid": lambda: {"kind": "sigmoid"},
    "tanh": lambda: {"kind": "tanh"},
    "silu": lambda: {"kind": "silu"},
    "log_sigmoid_forward": lambda: {"kind": "log_sigmoid"},
    "gelu": lambda approximate="none": spec_of("gelu", {"approximate": approximate}, {"approximate": "none"}),
    "leaky_relu": lambda slope=0.01: spec_of(
        "leaky_relu", {"negative_slope": slope}, {"negative_slope": 0.01}
    ),
    "softplus": lambda beta=1, threshold=20: spec_of(
        "softplus", {"beta": float(beta), "threshold": float(threshold)}, {"beta": 1.0, "threshold": 20.0}
    ),
    "hardtanh": lambda low=-1, high=1: spec_of(
        "hardtanh", {"min_val": float(low), "max_val": float(high)}, {"min_val": -1.0, "max_val": 1.0}
    ),
}
"""Layers of operations on one value, from their settings."""

SHAPES = {
    "gelu": F.gelu,
    "gelu of tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "log_sigmoid": F.logsigmoid,
    "selu": F.selu,
    "elu": F.elu,
}
"""What a formula of operations may amount to."""


def unary_layer(name: str, args: tuple[Any, ...], keys: dict[str, Any]) -> dict[str, Any] | None:
    """The layer of an operation on its first argument, if there is one."""
    settings = args[1:]
    if name == "elu":
        alpha, scale, input_scale = (*settings, 1.0, 1.0, 1.0)[:3]
        selu = 1.0507009873554805, 1.6732632423543772
        if input_scale == 1 and math.isclose(scale, selu[0]) and math.isclose(alpha, selu[1]):
            return {"kind": "selu"}
        return spec_of("elu", {"alpha": alpha}, {"alpha": 1.0}) if scale == input_scale == 1 else None
    if name == "clamp":
        low, high = (*settings, None, None)[:2]
        low, high = keys.get("min", low), keys.get("max", high)
        if low == 0 and high is None:
            return {"kind": "relu"}
        return None if low is None or high is None else UNARY["hardtanh"](low, high)
    if name not in UNARY or any(isinstance(s, (Value, torch.Tensor)) for s in settings):
        return None
    return UNARY[name](*settings, **keys)


def known_function(value: Function) -> Activation | None:
    """A function of one value that is an activation or a norm, by what it computes at many places."""
    leaves = leaves_of(value)
    if len(leaves) != 1 or not isinstance(leaves[0], Activation) or not leaves[0].is_scaled:
        return None
    leaf = leaves[0]
    if has_mean(value):
        spec = norm(value, leaf)
    else:
        spec = shape(value, leaf) if len(operations(value)) > 1 else None
    if spec is None:
        return None
    return leaf.over(Node(spec, (leaf.node,), leaf.node.shape, place=value.place))


def has_one_leaf(value: Function) -> bool:
    return len(leaves_of(value)) == 1


def leaves_of(value: Value) -> list[Value]:
    """What a function is of, each once, whatever number it is scaled by."""
    if not isinstance(value, Function):
        return [value]
    found: list[Value] = []
    for arg in value.args:
        for leaf in leaves_of(arg) if isinstance(arg, Value) else []:
            if not any(same_leaf(leaf, other) for other in found):
                found.append(leaf)
    return found


def same_leaf(a: Value, b: Value) -> bool:
    both = isinstance(a, Activation) and isinstance(b, Activation)
    return a is b or (both and a.node is b.node and a.is_scaled and b.is_scaled and same_index(a.index, b.index))


def operations(value: Value) -> set[int]:
    """A function's operations, as a set of identities."""
    if not isinstance(value, Function):
        return set()
    return {id(value)}.union(*(operations(a) for a in value.args if isinstance(a, Value)))


def has_mean(value: Value) -> bool:
    return isinstance(value, Function) and (
        value.operation is torch.ops.aten.mean.dim or any(has_mean(a) for a in value.args)
    )


def evaluate(value: Value, at: torch.Tensor, found: dict[int, torch.Tensor]) -> torch.Tensor:
    """The function at a tensor in place of its leaf."""
    if isinstance(value, Activation):
        return value.terms[0].coefficient * at
    if id(value) not in found:
        args = [evaluate(a, at, found) if isinstance(a, Value) else a for a in value.args]
        if value.operation is torch.ops.aten.mean.dim:
            args[1:] = [[-1], True]
        output = value.operation(*args, **value.keys)
        found[id(value)] = output[0] if isinstance(output, tuple) else output
    return found[id(value)]


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * float(b.abs().max()))


def shape(value: Function, leaf: Activation) -> dict[str, Any] | None:
    """The activation that the function is."""
    grid = torch.linspace(-8, 8, 321, dtype=torch.float64)
    computed = evaluate(value, grid, {})
    for name, wanted in SHAPES.items():
        if close(computed, wanted(grid)):
            return {"kind": "gelu", "approximate": "tanh"} if name == "gelu of tanh" else {"kind": name}
    return None


def norm(value: Function, leaf: Activation) -> dict[str, Any] | None:
    """The norm over the last axis that the function is, without weight."""
    features = leaf.node.shape[-1]
    if len(leaf.node.shape) < 2 or leaf.shape[-1] != features or not means_over_last(value):
        return None
    x = torch.randn(32, features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    try:
        tiny = evaluate(value, 1e-8 * x, {})
    except RuntimeError:
        return None
    for kind, centred in (("rms_norm", x), ("layer_norm", x - x.mean(-1, keepdim=True))):
        small = 1e-8 * centred
        variance = (small / tiny).square() - small.square().mean(-1, keepdim=True)
        eps = float(f"{float(variance.median()):.4g}")
        if not eps >= 0 or tiny.shape != x.shape:
            continue
        wanted = lambda s: s * centred * ((s * centred).square().mean(-1, keepdim=True) + eps).rsqrt()
        if all(close(evaluate(value, s * x, {}), wanted(s)) for s in (1.0, 1e-2, 1e-4)):
            affine = {"elementwise_affine": False} | ({"bias": False} if kind == "layer_norm" else {})
            return {"kind": kind, "normalized_shape": [features], "eps": eps} | affine
    return None


def means_over_last(value: Value) -> bool:
    """Whether every mean is over the last axis and keeps it."""
    if not isinstance(value, Function):
        return True
    if value.operation is torch.ops.aten.mean.dim:
        inner, dims, kept = value.args
        if dims != [len(inner.shape) - 1] or not kept:
            return False
    return all(means_over_last(a) for a in value.args if isinstance(a, Value))
