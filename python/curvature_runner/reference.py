"""What layers compute, by torch: the check that an export is what the module is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

Tensors = dict[str, torch.Tensor]


def output(layers: list[dict[str, Any]], weights: Tensors, x: torch.Tensor, prefix: str = "") -> torch.Tensor:
    """What the layers of a spec put out for samples x; `weights` by position, as "3.body.1.weight"."""
    for position, spec in enumerate(layers):
        place = f"{prefix}{position}"
        if spec["kind"] == "residual":
            body = output(spec["body"], weights, x, f"{place}.body.")
            x = body + output(spec.get("shortcut", []), weights, x, f"{place}.shortcut.")
        elif spec["kind"] == "parallel":
            x = joined(spec, weights, x, place)
        else:
            keys = ("weight", "bias", "running_mean", "running_var")
            own = {key: weights[f"{place}.{key}"] for key in keys if f"{place}.{key}" in weights}
            settings = {key: value for key, value in spec.items() if key != "kind"}
            x = LAYERS[spec["kind"]](x, settings, own)
    return x


def joined(spec: dict[str, Any], weights: Tensors, x: torch.Tensor, place: str) -> torch.Tensor:
    lists = enumerate(spec["branches"])
    parts = [output(layers, weights, x, f"{place}.branches.{i}.") for i, layers in lists]
    if spec["combine"] == "cat":
        return torch.cat(parts, spec.get("dim", 1))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part if spec["combine"] == "add" else whole * part
    return whole


def attention(x: torch.Tensor, s: dict[str, Any], _: Tensors) -> torch.Tensor:
    n, t, features = x.shape
    heads, kv_heads = s["heads"], s.get("kv_heads", s["heads"])
    d = features // (heads + 2 * kv_heads)
    parts = x.split([heads * d, kv_heads * d, kv_heads * d], dim=-1)
    q, k, v = (part.reshape(n, t, -1, d).transpose(1, 2) for part in parts)
    if "rotary" in s:
        q, k = (rotated(part, s["rotary"]["base"]) for part in (q, k))
    k, v = (part.repeat_interleave(heads // kv_heads, dim=1) for part in (k, v))
    scores = q @ k.transpose(-1, -2) * s.get("scale", d**-0.5)
    if s.get("causal"):
        scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1), float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, -1)


def rotated(x: torch.Tensor, base: float) -> torch.Tensor:
    t, d = x.shape[-2:]
    angles = torch.arange(t, dtype=torch.float64)[:, None] * base ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    cosine, sine = (f(angles).to(x) for f in (torch.cos, torch.sin))
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def convolution(x: torch.Tensor, s: dict[str, Any], w: Tensors, function: Callable[..., torch.Tensor]) -> torch.Tensor:
    names = ("stride", "padding", "dilation", "groups", "output_padding")
    return function(x, w["weight"], w.get("bias"), **{name: s[name] for name in names if name in s})


def called(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda x, s, w: function(x, **s)


LAYERS: dict[str, Callable[..., torch.Tensor]] = {
    "attention": attention,
    "linear": lambda x, s, w: F.linear(x, w["weight"], w.get("bias")),
    "embedding": lambda x, s, w: F.embedding(x, w["weight"]),
    "positional_embedding": lambda x, s, w: x + w["weight"],
    "bias": lambda x, s, w: x + w["bias"],
    "class_token": lambda x, s, w: torch.cat([w["weight"].expand(len(x), 1, -1), x], 1),
    "layer_norm": lambda x, s, w: F.layer_norm(x, s["normalized_shape"], w.get("weight"), w.get("bias"), s.get("eps", 1e-5)),
    "rms_norm": lambda x, s, w: F.rms_norm(x, s["normalized_shape"], w.get("weight"), s.get("eps")),
    "group_norm": lambda x, s, w: F.group_norm(x, s["num_groups"], w.get("weight"), w.get("bias"), s.get("eps", 1e-5)),
    "flatten": lambda x, s, w: x.flatten(s.get("start_dim", 1), s.get("end_dim", -1)),
    "permute": lambda x, s, w: x.permute(s["dims"]),
    "select": lambda x, s, w: x.select(s["dim"], s["index"]),
    "mean": lambda x, s, w: x.mean(s["dim"]),
    "selu": lambda x, s, w: F.selu(x),
    "log_sigmoid": lambda x, s, w: F.logsigmoid(x),
}
for _name in ("relu", "sigmoid", "tanh", "silu", "gelu", "elu", "leaky_relu", "softplus", "hardtanh"):
    LAYERS[_name] = called(getattr(F, _name))
for _d in (1, 2, 3):
    LAYERS |= {
        f"conv{_d}d": lambda x, s, w, f=getattr(F, f"conv{_d}d"): convolution(x, s, w, f),
        f"conv_transpose{_d}d": lambda x, s, w, f=getattr(F, f"conv_transpose{_d}d"): convolution(x, s, w, f),
        f"max_pool{_d}d": called(getattr(F, f"max_pool{_d}d")),
        f"avg_pool{_d}d": called(getattr(F, f"avg_pool{_d}d")),
        f"adaptive_avg_pool{_d}d": called(getattr(F, f"adaptive_avg_pool{_d}d")),
        f"zero_pad{_d}d": lambda x, s, w: F.pad(x, s["padding"]),
        f"batch_norm{_d}d": lambda x, s, w: F.batch_norm(
            x, w["running_mean"], w["running_var"], w.get("weight"), w.get("bias"), eps=s.get("eps", 1e-5)
        ),
    }
