"""Attention from its products: softmax(q kᵀ scale) v, however heads are cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..nodes import Node, cat
from ..operation import Operation
from ..realise import activation_of
from ..values import Activation, Parameter, Scores, Term, Value
from .heads import Heads, features_of, order_of_heads
from .layers import linear, rows_of
from .scores import changed_scores, filled, hidden_too, softmax


def bmm(operation: Operation) -> Value:
    return product(operation, *operation.args[:2])


def product(operation: Operation, a: Any, b: Any) -> Value:
    if isinstance(a, Scores) and a.softmax and a.index is None and isinstance(b, Value):
        return attention(a, activation_of(b), operation)
    weights = isinstance(b, Parameter) and not isinstance(a, Parameter) and isinstance(a, Value)
    if weights:
        return linear_of_batches(operation, activation_of(a), b)
    values = all(isinstance(v, Value) and not isinstance(v, (Scores, Parameter)) for v in (a, b))
    operation.check(values, "multiplies matrices otherwise than linear layers and attention do")
    a, b = activation_of(a), activation_of(b)
    keys = b.moved(lambda t: t.transpose(-1, -2))
    scale, parts = 1.0, []
    for value in (a, keys):
        if value.is_scaled:
            scale *= value.terms[0].coefficient
            value = value.scaled(1.0 / value.terms[0].coefficient)
        parts.append(value)
    return Scores(operation.shape, operation.place, *parts, scale, None)


def linear_of_batches(operation: Operation, a: Activation, b: Parameter) -> Value:
    """One matrix for all samples."""
    index = b.weight.index()
    operation.check(bool((index == index[:1]).all()), "multiplies every sample with another matrix")
    first = b.weight.moved(b.weight.tensor[0], lambda t: t[0])
    return linear(operation, a, Parameter(b.shape[1:], b.place, first), None)


def baddbmm(operation: Operation) -> Value:
    """`mask + q kᵀ`."""
    mask, a, b = operation.args[:3]
    ones = operation.keys.get("beta", 1) in (0, 1) and not isinstance(mask, Value)
    operation.check(ones, "adds to products of queries and keys what is no mask")
    scores = product(operation, a, b)
    operation.check(isinstance(scores, Scores), "adds to a product of matrices what is no mask")
    scores = hidden_too(scores, scores.scale * operation.keys.get("alpha", 1), None, operation)
    if operation.keys.get("beta", 1) == 0:
        return scores
    return changed_scores(replace(operation, name="add", keys={}), (scores, mask))


def attention(scores: Scores, v: Activation, operation: Operation) -> Activation:
    """The layer, over an input that has queries, keys and values side by side."""
    parts = [features_of(x, operation) for x in (scores.q, scores.k, v)]
    q, k, v_heads = parts
    operation.check(v_heads.rotation is None and v_heads.scale == 1.0, "scales or rotates the values of attention")
    operation.check(bool((q.samples == k.samples).all() and (q.samples == v_heads.samples).all()), "attends across samples")
    lengths = {heads.positions for heads in parts}
    operation.check(len(lengths) == 1, "attends to another sequence than the queries', which no layer does")
    widths = {heads.features.shape[1] for heads in parts}
    operation.check(len(widths) == 1, "has values of another width than its queries, which no layer has")
    operation.check(q.rotation == k.rotation, "rotates queries otherwise than keys")
    order, kv_heads = order_of_heads(parts, operation)
    t, width, count = lengths.pop(), widths.pop(), len(order)
    rows = [q.features[order].flatten(), k.features[kv_heads].flatten(), v_heads.features[kv_heads].flatten()]
    below = side_by_side(list(zip((h.node for h in parts), rows)), operation)
    spec: dict[str, Any] = {"kind": "attention", "heads": count}
    if causal(scores, operation):
        spec["causal"] = True
    if len(kv_heads) != count:
        spec["kv_heads"] = len(kv_heads)
    scale = scores.scale * q.scale * k.scale
    if abs(scale * width**0.5 - 1) > 1e-6:
        spec["scale"] = scale
    if q.rotation is not None:
        spec["rotary"] = {"base": q.rotation}
    samples = below.shape[0]
    node = Node(spec, (below,), (samples, t, count * width), place=operation.place)
    return Activation(operation.shape, operation.place, node, (Term(output_index(q, order, node, operation.shape)),))


def output_index(q: Heads, order: list[int], node: Node, shape: tuple[int, ...]) -> torch.Tensor:
    """Where the heads' outputs `[*lead, T, d]` stand in `[samples, T, heads d]`."""
    _, t, features = node.shape
    width = features // len(order)
    place = {head: i for i, head in enumerate(order)}
    heads = torch.tensor([place[int(h)] for h in q.heads])
    index = (q.samples * t * features + heads * width)[:, None, None]
    index = index + torch.arange(t)[None, :, None] * features + torch.arange(width)
    return index.reshape(shape)


def causal(scores: Scores, operation: Operation) -> bool:
    """Whether every position sees itself and those before; false if it sees all."""
    if scores.hidden is None or not bool(scores.hidden.any()):
        return False
    t = scores.shape[-1]
    later = torch.ones(t, t, dtype=torch.bool).triu(1)
    same = bool((scores.hidden == later).all())
    operation.check(same, "hides other positions than later ones; padding goes into the data, as the tensor \"mask\"")
    return True


def side_by_side(parts: list[tuple[Node, torch.Tensor]], operation: Operation) -> Node:
    """A node that puts out these features of these nodes, one after another."""
    groups: list[tuple[Node, list[torch.Tensor]]] = []
    for node, rows in parts:
        if groups and groups[-1][0] is node:
            groups[-1][1].append(rows)
        else:
            groups.append((node, [rows]))
    nodes = tuple(rows_of(node, torch.cat(rows), operation) for node, rows in groups)
    if len(nodes) == 1:
        return nodes[0]
    shape = (*nodes[0].shape[:-1], sum(node.shape[-1] for node in nodes))
    return cat(nodes, len(shape) - 1, shape, operation.place)


HANDLERS = {
    "bmm": bmm,
    "baddbmm": baddbmm,
    "masked_fill": filled,
    "where": filled,
    "_softmax": softmax,
    "_safe_softmax": softmax,
    "softmax": softmax,
}
