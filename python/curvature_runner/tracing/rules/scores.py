"""Products of queries and keys on their way to a softmax."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..operation import Operation
from ..values import Scores, Value

HIDDEN = -9e3
"""What is added to a score to hide it; its exponential is zero in every dtype."""


def moved_scores(scores: Scores, move: Any, operation: Operation) -> Scores:
    """Scores whose entries are moved about, as torch.einsum does on its way."""
    t, s = scores.whole[-2:]
    index = torch.arange(torch.Size(scores.whole).numel()).reshape(scores.whole) if scores.index is None else scores.index
    index = move(index)
    inner = torch.arange(t * s).reshape(t, s)
    blocks = index.dim() >= 2 and index[..., 0, 0] // (t * s)
    for turned, within in ((False, inner), (True, inner.t())):
        fits = index.dim() >= 2 and index.shape[-2:] == within.shape
        if not fits or not bool((index == blocks[..., None, None] * (t * s) + within).all()):
            continue
        if turned and scores.softmax:
            # Rows are summed to one; columns are not.
            continue
        pick = lambda v: v.moved(lambda i: i.reshape(-1, *i.shape[-2:])[blocks])
        q, k = (scores.k, scores.q) if turned else (scores.q, scores.k)
        hidden = scores.hidden
        if hidden is not None:
            hidden = hidden.expand(scores.whole).reshape(-1, t, s)[blocks]
            hidden = hidden.transpose(-1, -2) if turned else hidden
        shape = tuple(index.shape)
        return Scores(shape, operation.place, pick(q), pick(k), scores.scale, hidden, scores.softmax)
    return replace(scores, shape=tuple(index.shape), place=operation.place, index=index)


def changed_scores(operation: Operation, args: tuple[Any, ...]) -> Scores:
    """Scores scaled by a number, or some of them hidden by a large negative constant."""
    name = operation.name
    scores = next(a for a in args if isinstance(a, Scores))
    others = [a for a in args if a is not scores]
    lone = not any(isinstance(a, Value) for a in others)
    before = not scores.softmax and lone and scores.shape == operation.shape and scores.index is None
    operation.check(before, "computes with products of queries and keys otherwise than attention does")
    other = others[0] if others else None
    scalar = isinstance(other, (int, float))
    if name in ("mul", "div") and scalar and args[0 if name == "div" else 0] is not None:
        operation.check(name == "mul" or args[0] is scores, "divides by products of queries and keys")
        by = other if name == "mul" else 1.0 / other
        return hidden_too(scores, scores.scale * by, None, operation)
    if name == "add" and operation.keys.get("alpha", 1) == 1:
        if scalar:
            return scores
        mask = other < HIDDEN
        operation.check(bool(((other == 0) | mask).all()), "adds to products of queries and keys what is no mask")
        return hidden_too(scores, scores.scale, mask, operation)
    raise operation.unsupported("computes with products of queries and keys otherwise than attention does")


def hidden_too(scores: Scores, scale: float, mask: torch.Tensor | None, operation: Operation) -> Scores:
    hidden = scores.hidden
    if mask is not None:
        mask = mask.cpu()
        hidden = mask if hidden is None else hidden | mask
    return Scores(operation.shape, operation.place, scores.q, scores.k, scale, hidden, scores.softmax)


def filled(operation: Operation) -> Scores:
    """`masked_fill(scores, mask, −∞)` and `where(mask, scores, −∞)`."""
    if operation.name == "masked_fill":
        scores, mask, number = operation.args[:3]
    else:
        mask, scores, number = operation.args[:3]
        if isinstance(number, Scores):
            scores, number, mask = number, scores, ~mask
        mask = ~mask if isinstance(mask, torch.Tensor) else mask
    constants = not isinstance(mask, Value) and not isinstance(number, Value)
    operation.check(isinstance(scores, Scores) and constants, "fills in values where a mask is set")
    operation.check(scores.index is None, "rearranges products of queries and keys")
    low = float(torch.as_tensor(number).max())
    operation.check(low < HIDDEN and not scores.softmax, f"fills {low} into products of queries and keys")
    return hidden_too(scores, scores.scale, mask, operation)


def softmax(operation: Operation) -> Scores:
    scores = operation.args[0]
    last = operation.argument(1, "dim") in (-1, len(operation.shape) - 1)
    operation.check(isinstance(scores, Scores) and last, "is a softmax outside of attention, which no layer is")
    operation.check(scores.index is None, "rearranges products of queries and keys")
    return Scores(scores.shape, operation.place, scores.q, scores.k, scores.scale, scores.hidden, True)
