"""What becomes of torch.nn's modules and functions: the layers of a spec."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any, Callable

import torch
from torch import nn
from torch.nn import functional as F

INSTEAD = (
    "build that part of nn.Sequential, additions (residual or not), torch.cat and the layers of the spec reference;\n"
    "  or export with --torchscript, after which libtorch differentiates the module itself"
)


class Unsupported(Exception):
    """A part of a module that layers cannot express.

    Attributes:
        what: The part, with the line of the user's code that made it, where that is known.
        why: Why it has no layer.
        instead: What to do.
    """

    def __init__(self, what: str, why: str, instead: str = INSTEAD):
        super().__init__(f"{what}: {why}\n  instead: {instead}")
        self.what, self.why, self.instead = what, why, instead


@dataclass
class Layer:
    """An element of a list of layers: what the spec says, its module, and lists within it."""

    spec: dict[str, Any]
    module: nn.Module | None = None
    # The key that a list stands under (body, shortcut, branches), with its layers.
    lists: list[tuple[str, list["Layer"]]] = field(default_factory=list)
    # Where the module stands in the user's: the beginning of its names in the state_dict.
    name: str = ""


def one_or_list(value: Any) -> Any:
    """A number for equal sizes, else a list."""
    if isinstance(value, (tuple, list)):
        return value[0] if len(set(value)) == 1 else list(value)
    return value


def spec_of(kind: str, keys: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """`kind` and the keys that are not as usual."""
    keys = {key: one_or_list(value) for key, value in keys.items()}
    return {"kind": kind} | {k: v for k, v in keys.items() if k not in usual or usual[k] != v}


def check(name: str, condition: bool, why: str) -> None:
    if not condition:
        raise Unsupported(name, why)


def conv(name: str, m: nn.Module, kind: str, **more: Any) -> Layer:
    check(name, m.padding_mode == "zeros", f"padding_mode = '{m.padding_mode}' has no layer")
    check(name, not isinstance(m.padding, str), f"padding = '{m.padding}'; write it as numbers")
    keys = {
        "out": m.out_channels,
        "kernel_size": m.kernel_size,
        "stride": m.stride,
        "padding": m.padding,
        "dilation": m.dilation,
        "groups": m.groups,
        "bias": m.bias is not None,
    } | more
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "output_padding": 0}
    return Layer(spec_of(kind, keys, usual), m)


def max_pool(name: str, kind: str, m: Any) -> Layer:
    check(name, not m.return_indices, "return_indices = True has no layer")
    keys = {k: getattr(m, k) for k in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
    usual = {"stride": one_or_list(m.kernel_size), "padding": 0, "dilation": 1, "ceil_mode": False}
    return Layer(spec_of(kind, keys, usual))


def avg_pool(name: str, kind: str, m: Any) -> Layer:
    del name
    keys = {k: getattr(m, k) for k in ("kernel_size", "stride", "padding", "ceil_mode")}
    keys["count_include_pad"] = m.count_include_pad
    usual = {"stride": one_or_list(m.kernel_size), "padding": 0, "ceil_mode": False}
    usual["count_include_pad"] = True
    if getattr(m, "divisor_override", None) is not None:
        keys["divisor_override"] = m.divisor_override
    return Layer(spec_of(kind, keys, usual))


def adaptive(name: str, kind: str, size: Any) -> Layer:
    sizes = size if isinstance(size, (tuple, list)) else [size]
    check(name, None not in sizes, "an output size of None has no layer; write the number")
    return Layer({"kind": kind, "output_size": one_or_list(size)})


def batch_norm(name: str, m: nn.Module, kind: str) -> Layer:
    check(name, m.running_mean is not None, "track_running_stats = False couples the samples")
    keys = {"eps": m.eps, "affine": m.affine}
    return Layer(spec_of(kind, keys, {"eps": 1e-5, "affine": True}), m)


def layer_norm(name: str, m: nn.LayerNorm) -> Layer:
    del name
    affine = m.weight is not None
    keys = {"eps": m.eps, "elementwise_affine": affine, "bias": m.bias is not None or not affine}
    usual = {"eps": 1e-5, "elementwise_affine": True, "bias": True}
    spec = spec_of("layer_norm", keys, usual)
    return Layer(spec | {"normalized_shape": list(m.normalized_shape)}, m)


def group_norm(name: str, m: nn.GroupNorm) -> Layer:
    del name
    keys = {"num_groups": m.num_groups, "eps": m.eps, "affine": m.affine}
    return Layer(spec_of("group_norm", keys, {"eps": 1e-5, "affine": True}), m)


def embedding(name: str, m: nn.Embedding) -> Layer:
    check(name, m.max_norm is None, "max_norm changes the weights in a forward pass")
    check(name, not m.scale_grad_by_freq, "scale_grad_by_freq = True is no derivative of a loss")
    keys = {"num_embeddings": m.num_embeddings, "embedding_dim": m.embedding_dim}
    padding = {} if m.padding_idx is None else {"padding_idx": m.padding_idx}
    return Layer({"kind": "embedding"} | keys | padding, m)


def flatten(name: str, start: Any, end: Any = -1) -> Layer:
    check(name, (start, end) == (1, -1), f"flatten({start}, {end}); only flatten(1) has a layer")
    return Layer({"kind": "flatten"})


def activation(kind: str, keys: dict[str, Any] | None = None, usual: dict[str, Any] | None = None) -> Layer:
    return Layer(spec_of(kind, keys or {}, usual or {}))


def gelu(approximate: str) -> Layer:
    return activation("gelu", {"approximate": approximate}, {"approximate": "none"})


MODULES: dict[type, Callable[[str, Any], Layer | None]] = {
    nn.Identity: lambda n, m: None,
    nn.Flatten: lambda n, m: flatten(n, m.start_dim, m.end_dim),
    nn.Linear: lambda n, m: Layer(
        spec_of("linear", {"out": m.out_features, "bias": m.bias is not None}, {"bias": True}), m
    ),
    nn.ReLU: lambda n, m: activation("relu"),
    nn.Sigmoid: lambda n, m: activation("sigmoid"),
    nn.LogSigmoid: lambda n, m: activation("log_sigmoid"),
    nn.Tanh: lambda n, m: activation("tanh"),
    nn.SiLU: lambda n, m: activation("silu"),
    nn.SELU: lambda n, m: activation("selu"),
    nn.GELU: lambda n, m: gelu(m.approximate),
    nn.ELU: lambda n, m: activation("elu", {"alpha": m.alpha}, {"alpha": 1.0}),
    nn.LeakyReLU: lambda n, m: activation(
        "leaky_relu", {"negative_slope": m.negative_slope}, {"negative_slope": 0.01}
    ),
    nn.Softplus: lambda n, m: activation(
        "softplus", {"beta": m.beta, "threshold": m.threshold}, {"beta": 1, "threshold": 20}
    ),
    nn.Hardtanh: lambda n, m: activation(
        "hardtanh", {"min_val": m.min_val, "max_val": m.max_val}, {"min_val": -1.0, "max_val": 1.0}
    ),
    nn.ReLU6: lambda n, m: activation("hardtanh", {"min_val": 0.0, "max_val": 6.0}),
    nn.BatchNorm1d: lambda n, m: batch_norm(n, m, "batch_norm1d"),
    nn.BatchNorm2d: lambda n, m: batch_norm(n, m, "batch_norm2d"),
    nn.BatchNorm3d: lambda n, m: batch_norm(n, m, "batch_norm3d"),
    nn.LayerNorm: layer_norm,
    nn.GroupNorm: group_norm,
    nn.Embedding: embedding,
}
for _d in (1, 2, 3):
    _of = lambda cls, _d=_d: getattr(nn, f"{cls}{_d}d")
    MODULES |= {
        _of("Conv"): lambda n, m, d=_d: conv(n, m, f"conv{d}d"),
        _of("ConvTranspose"): lambda n, m, d=_d: conv(
            n, m, f"conv_transpose{d}d", output_padding=m.output_padding
        ),
        _of("MaxPool"): lambda n, m, d=_d: max_pool(n, f"max_pool{d}d", m),
        _of("AvgPool"): lambda n, m, d=_d: avg_pool(n, f"avg_pool{d}d", m),
        _of("AdaptiveAvgPool"): lambda n, m, d=_d: adaptive(
            n, f"adaptive_avg_pool{d}d", m.output_size
        ),
        _of("ZeroPad"): lambda n, m, d=_d: Layer(
            {"kind": f"zero_pad{d}d", "padding": list(m.padding)}
        ),
    }
# In evaluation a dropout is the identity, and it is gone.
for _cls in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout):
    MODULES[_cls] = lambda n, m: None

# Functions and methods of one value without settings.
PLAIN = {
    torch.relu: "relu", F.relu: "relu", F.relu_: "relu", "relu": "relu", "relu_": "relu",
    torch.sigmoid: "sigmoid", F.sigmoid: "sigmoid", "sigmoid": "sigmoid",
    torch.tanh: "tanh", F.tanh: "tanh", "tanh": "tanh",
    F.silu: "silu", F.selu: "selu", F.logsigmoid: "log_sigmoid",
}  # fmt: skip
POOLS = {
    F.max_pool1d: nn.MaxPool1d, F.max_pool2d: nn.MaxPool2d, F.max_pool3d: nn.MaxPool3d,
    F.avg_pool1d: nn.AvgPool1d, F.avg_pool2d: nn.AvgPool2d, F.avg_pool3d: nn.AvgPool3d,
    F.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d, F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    F.adaptive_avg_pool3d: nn.AdaptiveAvgPool3d,
    F.leaky_relu: nn.LeakyReLU, F.elu: nn.ELU, F.softplus: nn.Softplus, F.hardtanh: nn.Hardtanh,
    F.relu6: nn.ReLU6,
}  # fmt: skip
ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}
