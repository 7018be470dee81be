"""What has no layers: a module as libtorch evaluates and differentiates it by itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .layers import Unsupported
from .outputs import first_tensor
from .tracing.recorder import evaluating


class Whole(nn.Module):
    """A module's forward pass over its parameters and buffers, each once and under its first name.

    TorchScript's files forget that two modules share a parameter: here it is there once.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        # In a tuple, so that nothing of the module itself is saved.
        self.module = (module,)
        for name, parameter in module.named_parameters():
            self.place(name, parameter)
        for name, buffer in module.named_buffers():
            self.place(name, buffer)

    def place(self, name: str, tensor: torch.Tensor) -> None:
        *path, last = name.split(".")
        at: nn.Module = self
        for step in path:
            if step not in at._modules:
                at.add_module(step, nn.Module())
            at = at._modules[step]
        if isinstance(tensor, nn.Parameter):
            at.register_parameter(last, tensor)
        else:
            at.register_buffer(last, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return first_tensor(self.module[0](x))


class PlainAttention(TorchFunctionMode):
    """Attention as products and a softmax: libtorch's fused kernels have no second derivative."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return plain_attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def plain_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """As torch.nn.functional.scaled_dot_product_attention in evaluation, without dropout."""
    if enable_gqa:
        shared = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(shared, dim=-3) for t in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(dim=-1) @ value


def save(module: nn.Module, x: torch.Tensor, path: Path) -> None:
    """Traces `module` at the samples `x` and writes it as TorchScript.

    Raises:
        Unsupported: If it cannot be traced, or if the trace computes something else than the module for
            other numbers of samples or other values.
    """
    try:
        with evaluating(module):
            with warnings.catch_warnings(), PlainAttention():
                # Whether it computes the same is checked below.
                warnings.simplefilter("ignore")
                traced = torch.jit.trace(Whole(module).eval(), x, check_trace=False)
            compare(module, traced, x)
        traced.save(str(path))
    except Unsupported:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise unsupported(f"torch.jit.trace fails: {first}") from error


def unsupported(why: str) -> Unsupported:
    instead = (
        "write the forward pass so that it depends on the values and the number of its samples through\n"
        "  tensor operations alone, and puts out one tensor"
    )
    return Unsupported("the module as TorchScript", why, instead)


def compare(module: nn.Module, traced: torch.jit.ScriptModule, x: torch.Tensor) -> None:
    """Compares at x, at a single sample, and where x is of floats at other values."""
    samples = [x, x[:1]]
    if x.is_floating_point():
        samples.append(-x.flip(0))
    with torch.no_grad():
        for inputs in samples:
            wanted = first_tensor(module(inputs))
            try:
                found = traced(inputs)
            except RuntimeError:
                raise unsupported(f"its trace does not take {len(inputs)} samples") from None
            same = found.shape == wanted.shape
            if not (same and torch.allclose(found, wanted, rtol=1e-3, atol=1e-5, equal_nan=True)):
                raise unsupported("its trace computes something else than the module")
