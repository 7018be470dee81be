"""What an operation of libtorch makes of values."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from ...layers import Unsupported
from ..operation import Operation
from ..realise import operation_name
from ..values import Opaque, Value
from . import attention, elementwise, layers, movement

HANDLERS = movement.HANDLERS | elementwise.HANDLERS | layers.HANDLERS | attention.HANDLERS
"""By the name of the operation: a function of an [`Operation`][curvature_runner.tracing.operation.Operation]."""

# What looks at the shape of its argument alone.
CONSTANTS = {
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones",
    "new_empty", "new_full", "sym_size", "sym_numel",
}  # fmt: skip
# What tells Python a value.
QUESTIONS = {"_local_scalar_dense", "is_nonzero", "equal", "item", "allclose", "nonzero"}


def value_of(
    func: Any, args: tuple[Any, ...], keys: dict[str, Any], output: Any, place: str, buffers: dict[int, str | None]
) -> Any:
    """The value of the output, a list where there are several, nothing for a constant.

    Raises:
        Unsupported: If the module looks at its samples' values to decide what it does.
    """
    name = operation_name(func)
    if name in CONSTANTS:
        return None
    if name in QUESTIONS:
        why = "looks at a value that depends on the samples, so that others may be computed in another way"
        raise Unsupported(place, why)
    known = [value for value in tree_flatten((args, keys))[0] if isinstance(value, Value)]
    opaque = next((value for value in known if isinstance(value, Opaque)), None)
    first = output[0] if isinstance(output, (tuple, list)) else output
    operation = Operation(func, name, args, keys, output, tuple(first.shape), place, buffers)
    try:
        if opaque is not None:
            raise opaque.reason
        if name not in HANDLERS:
            raise Unsupported(place, "has no layer")
        return HANDLERS[name](operation)
    except Exception as error:
        # A rule that fails in another way meets arguments that it was not written for.
        odd = f"has no layer in this form ({type(error).__name__}: {error})"
        reason = error if isinstance(error, Unsupported) else Unsupported(place, odd)
        outputs = output if isinstance(output, (tuple, list)) else [output]
        unknown = [Opaque(tuple(t.shape), place, reason) for t in outputs if isinstance(t, torch.Tensor)]
        return unknown if isinstance(output, (tuple, list)) else unknown[0]
