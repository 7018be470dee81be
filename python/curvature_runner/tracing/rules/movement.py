"""Operations that move entries about and compute nothing."""

from __future__ import annotations

from typing import Any

import torch

from ..nodes import Node
from ..nodes import cat as join_side_by_side
from ..operation import Operation
from ..realise import activation_of, node_of
from ..values import Activation, Function, Parameter, Scores, Term, Value
from .scores import moved_scores

# Keep the order of the entries in memory as one counts them.
ORDERLY = {
    "view", "_unsafe_view", "_reshape_alias", "reshape", "unsqueeze", "squeeze", "clone", "alias", "detach",
    "lift_fresh", "flatten", "_reshape_copy", "contiguous",
}  # fmt: skip
MOVES = ORDERLY | {
    "t", "transpose", "permute", "select", "slice", "split", "split_with_sizes", "unbind", "expand", "repeat",
    "flip", "roll", "index_select", "unfold", "diagonal", "index", "movedim", "chunk", "narrow", "numpy_T", "mT",
    "gather", "repeat_interleave", "unflatten",
}  # fmt: skip


def mover(operation: Operation) -> Any:
    """The operation as a function of another tensor of that shape."""
    name, rest, keys = operation.name, operation.args[1:], operation.keys
    if name in ("view", "_unsafe_view", "_reshape_alias", "_reshape_copy"):
        # Numbers may lie otherwise in memory than the values that could be viewed.
        return lambda t: t.reshape(rest[0])
    if name in ("clone", "contiguous", "lift_fresh"):
        return lambda t: t
    return lambda t: operation.func(t, *rest, **keys)


def movement(operation: Operation) -> Any:
    value = operation.args[0]
    operation.check(
        isinstance(value, Value) and len(operation.values) == 1, "takes from a place that depends on the samples"
    )
    move = mover(operation)
    outputs = operation.output if isinstance(operation.output, (tuple, list)) else [operation.output]
    several = isinstance(operation.output, (tuple, list))
    if isinstance(value, Function):
        value = activation_of(value)
    found = []
    for i, tensor in enumerate(outputs):
        one = (lambda t, i=i: move(t)[i]) if several else move
        found.append(moved(value, one, tensor, operation))
    return found if several else found[0]


def moved(value: Value, move: Any, tensor: torch.Tensor, operation: Operation) -> Value:
    if isinstance(value, Parameter):
        weight = value.weight.moved(tensor.detach(), move)
        return Parameter(tuple(tensor.shape), operation.place, weight)
    if isinstance(value, Scores):
        return moved_scores(value, move, operation)
    assert isinstance(value, Activation)
    keeps = operation.name in ORDERLY or tuple(tensor.shape) == value.shape and operation.name == "expand"
    result = value.moved(move, keeps)
    return Activation(result.shape, operation.place, result.node, result.terms)


def cast(operation: Operation) -> Any:
    """Another dtype is no other value."""
    value = operation.args[0]
    if isinstance(value, Parameter):
        weight = value.weight.moved(operation.output.detach(), lambda t: t)
        return Parameter(value.shape, operation.place, weight)
    return value


def cat(operation: Operation) -> Value:
    parts = [p for p in operation.args[0] if 0 not in p.shape]
    dim = operation.argument(1, "dim", 0) % len(operation.shape)
    operation.check(all(isinstance(p, Value) for p in parts), "puts constants beside values")
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Parameter) and not any(isinstance(p, Parameter) for p in parts[1:]):
        operation.check(len(parts) == 2 and dim == 1, "puts a parameter beside values otherwise than before all positions")
        return class_token(parts[0], parts[1], operation)
    if all(isinstance(p, Parameter) for p in parts):
        raise operation.unsupported("joins parameters to one, which no layer does")
    values = [activation_of(p) for p in parts]
    first = values[0]
    if all(v.node is first.node and len(v.terms) == len(first.terms) for v in values) and not first.in_order:
        return beside(values, dim, operation)
    operation.check(dim > 0, "joins along the axis of the samples")
    nodes = tuple(node_of(v) for v in values)
    node = join_side_by_side(nodes, dim, operation.shape, operation.place)
    return Activation(operation.shape, operation.place, node)


def beside(values: list[Activation], dim: int, operation: Operation) -> Activation:
    """Parts of one value, side by side."""
    terms = []
    for parts in zip(*(v.terms for v in values)):
        index = torch.cat([v.index_of(t) for v, t in zip(values, parts)], dim)
        if len({t.coefficient for t in parts if isinstance(t.coefficient, float)}) == 1 and all(
            isinstance(t.coefficient, float) for t in parts
        ):
            terms.append(Term(index, parts[0].coefficient))
            continue
        whole = [torch.as_tensor(t.coefficient, dtype=torch.float64).expand(v.shape) for v, t in zip(values, parts)]
        terms.append(Term(index, torch.cat(whole, dim)))
    return Activation(operation.shape, operation.place, values[0].node, tuple(terms))


def stack(operation: Operation) -> Value:
    """Parts of one value along a new axis."""
    operation.check(all(isinstance(p, Value) for p in operation.args[0]), "puts constants beside values")
    values = [activation_of(p) for p in operation.args[0]]
    dim = operation.argument(1, "dim", 0) % len(operation.shape)
    one = all(v.node is values[0].node and len(v.terms) == len(values[0].terms) for v in values)
    operation.check(one, "stacks values along a new axis, which no layer does")
    return beside([v.moved(lambda t: t.unsqueeze(dim), keeps_order=True) for v in values], dim, operation)


def class_token(token: Parameter, rest: Value, operation: Operation) -> Activation:
    """A parameter, the same for all samples, before the positions of each."""
    node = node_of(rest)
    index = token.weight.index()
    fits = index.dim() == 3 and index.shape[1] == 1 and len(node.shape) == 3 and bool((index == index[:1]).all())
    operation.check(fits, f"puts the parameter {token.weight.name} beside values otherwise than before all positions")
    weight = token.weight.moved(token.weight.tensor[0, 0], lambda t: t[0, 0])
    node = Node({"kind": "class_token"}, (node,), operation.shape, {"weight": weight}, operation.place)
    return Activation(operation.shape, operation.place, node)


HANDLERS = {name: movement for name in MOVES} | {"_to_copy": cast, "cat": cat, "stack": stack, "type_as": cast}
