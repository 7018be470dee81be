"""What a module puts out: one tensor, or something that holds it."""

from __future__ import annotations

from typing import Any

import torch

from .layers import Unsupported


def first_tensor(output: Any) -> torch.Tensor:
    """The tensor, the `logits` of a model of Hugging Face's, or the only tensor of a tuple.

    Raises:
        Unsupported: If it is none of these.
    """
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(getattr(output, "logits", None), torch.Tensor):
        return output.logits
    if isinstance(output, (tuple, list)):
        tensors = [part for part in output if isinstance(part, torch.Tensor)]
        if len(tensors) == 1:
            return tensors[0]
    raise Unsupported(
        "the output of the module",
        f"is a {type(output).__name__}, expected one tensor, or an object with `logits`",
        "wrap the module in another that returns the tensor that the loss takes",
    )
