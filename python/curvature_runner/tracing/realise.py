"""The layers that put out a value."""

from __future__ import annotations

import itertools
import operator

import torch

from ..layers import Unsupported
from .nodes import Node
from .recognise import known_function, unary_layer
from .values import Activation, Function, Opaque, Parameter, Scores, Value, same_index

JOINS = {"add": "add", "mul": "multiply"}


def activation_of(value: Value) -> Activation:
    """The value as the output of a node, moved about.

    Raises:
        Unsupported: If it has no layers.
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, Function):
        if value.known is None:
            try:
                value.known = function(value)
            except Unsupported as reason:
                value.known = reason
        if isinstance(value.known, Unsupported):
            raise value.known
        return value.known
    if isinstance(value, Opaque):
        raise value.reason
    if isinstance(value, Scores):
        why = "is used otherwise than in softmax(q kᵀ scale) v"
        raise Unsupported(value.place, f"multiplies two values, and {why}")
    assert isinstance(value, Parameter)
    raise Unsupported(value.place, f"uses the parameter {value.weight.name} as a value, which no layer does")


def function(value: Function) -> Activation:
    """A function whose layer is known, or which joins what it takes."""
    found = known_function(value)
    if found is not None:
        return found
    name = operation_name(value.operation)
    taken = [arg for arg in value.args if isinstance(arg, Value)]
    if len(taken) == 1 and (spec := unary_layer(name, value.args, value.keys)) is not None:
        inner = compact(plain(activation_of(taken[0]), value.place))
        return inner.over(Node(spec, (inner.node,), inner.node.shape, place=value.place))
    if name == "mean":
        return mean(value)
    if len(taken) == 2 and name in JOINS and value.keys.get("alpha", 1) == 1:
        return join(JOINS[name], [activation_of(v) for v in taken], value.place)
    raise Unsupported(value.place, "has no layer")


def operation_name(operation: object) -> str:
    """The name without "aten::" and the mark of what writes in place."""
    name = operation._schema.name.split("::")[-1]
    return name if name.startswith("_") else name.removesuffix("_")


def mean(value: Function) -> Activation:
    """Over places of images, or over one axis after the other."""
    inner, dims, kept = value.args
    node = node_of(activation_of(inner))
    if len(node.shape) == 4 and dims == [2, 3]:
        pool = Node({"kind": "adaptive_avg_pool2d", "output_size": 1}, (node,), (*node.shape[:2], 1, 1))
        return Activation(value.shape, value.place, pool)
    if 0 in dims:
        raise Unsupported(value.place, "takes the mean over the samples")
    for dim in reversed(dims):
        shape = (*node.shape[:dim], *node.shape[dim + 1 :])
        node = Node({"kind": "mean", "dim": dim}, (node,), shape, place=value.place)
    return Activation(value.shape, value.place, node)


def plain(value: Activation, place: str) -> Activation:
    """The value, if a layer can take it as it is.

    Raises:
        Unsupported: If it is scaled or rotated.
    """
    if value.is_plain:
        return value
    if value.is_scaled:
        by = value.terms[0].coefficient
        raise Unsupported(value.place, f"multiplies with the constant {by:.6g}, which has no layer")
    raise Unsupported(value.place, "multiplies with constants, or adds parts of one value, which has no layer")


def compact(value: Activation) -> Activation:
    """The value over a node that computes no more than it, if there is one: a selected position goes on alone."""
    if value.in_order or not value.is_plain or torch.Size(value.shape).numel() >= torch.Size(value.node.shape).numel():
        return value
    try:
        return Activation(value.shape, value.place, node_of(value))
    except Unsupported:
        return value


def join(kind: str, values: list[Activation], place: str) -> Activation:
    """The sum or product of values of one shape."""
    values = [plain(value, place) for value in values]
    first = values[0]
    if any(value.shape != first.shape for value in values):
        shapes = " and ".join(str(list(value.shape[1:])) for value in values)
        raise Unsupported(place, f"combines samples of shapes {shapes}; layers combine equal shapes")
    alike = all(v.node.shape == first.node.shape and same_index(v.index, first.index) for v in values)
    nodes = [value.node if alike else node_of(value) for value in values]
    joined = Node({"kind": kind}, tuple(nodes), nodes[0].shape, place=place)
    return first.over(joined) if alike else Activation(first.shape, place, joined)


def node_of(value: Value) -> Node:
    """A node that puts the value out in its own order, with layers that move entries where they are needed.

    Raises:
        Unsupported: If no layers do.
    """
    value = activation_of(value)
    value = plain(value, value.place)
    node = value.node
    if value.index is None and value.shape == node.shape:
        return node
    target = value.index_of(value.terms[0])
    where = value.place
    if not target.dim() or target.shape[0] != node.shape[0] or not keeps_samples(target, node):
        raise Unsupported(where, "mixes the samples, or moves their axis, and no attention or linear layer follows")
    node, target = selected(node, target, where)
    return rearranged(node, target, where)


def keeps_samples(target: torch.Tensor, node: Node) -> bool:
    """Whether every sample's entries come from that sample."""
    size = node.arange()[0].numel()
    samples = torch.arange(node.shape[0]).reshape(-1, *[1] * (target.dim() - 1))
    return bool((target // size == samples).all())


def selected(node: Node, target: torch.Tensor, place: str) -> tuple[Node, torch.Tensor]:
    """Takes the slices that alone are used: the node after them, and what is asked for in its numbers."""
    dim = 1
    while dim < len(node.shape):
        coordinates = target // stride(node, dim) % node.shape[dim]
        index = int(coordinates.flatten()[0])
        smaller = target.numel() < node.arange().numel() and len(node.shape) > max(target.dim(), 2)
        if not smaller or not bool((coordinates == index).all()):
            dim += 1
            continue
        numbers = torch.full((node.arange().numel(),), -1)
        shape = (*node.shape[:dim], *node.shape[dim + 1 :])
        left = node.arange().select(dim, index).flatten()
        numbers[left] = torch.arange(left.numel())
        node = Node({"kind": "select", "dim": dim, "index": index}, (node,), shape, place=place)
        target = numbers[target]
    return node, target


def stride(node: Node, dim: int) -> int:
    size = 1
    for n in node.shape[dim + 1 :]:
        size *= n
    return size


def rearranged(node: Node, target: torch.Tensor, place: str) -> Node:
    """Permutes and flattens axes, as a permutation of the node's entries asks for."""
    entries = node.arange()
    if target.numel() == entries.numel():
        for before in orders(node):
            moved = entries.permute(before)
            shape = tuple(moved.shape)
            if bool((moved.reshape(-1) == target.reshape(-1)).all()):
                spec = {"kind": "permute", "dims": before}
                if before != sorted(before):
                    node = Node(spec, (node,), shape, place=place)
                return flattened(node, tuple(target.shape), place)
    why = "takes a part of a value, or rearranges it in a way that no layer does"
    raise Unsupported(place, why)


def orders(node: Node) -> list[list[int]]:
    """Of the axes after the samples', the given one first."""
    axes = range(1, len(node.shape))
    return [[0, *order] for order in itertools.permutations(axes)] if len(node.shape) <= 6 else [[0, *axes]]


def flattened(node: Node, shape: tuple[int, ...], place: str) -> Node:
    """Merges neighbouring axes until the shape is as asked for."""
    while node.shape != shape:
        merge = next_merge(node.shape, shape)
        if merge is None:
            found, wanted = list(node.shape[1:]), list(shape[1:])
            raise Unsupported(place, f"makes samples of shape {wanted} of {found}; layers flatten and permute axes only")
        start, end = merge
        size = 1
        for n in node.shape[start : end + 1]:
            size *= n
        whole = (start, end) == (1, len(node.shape) - 1)
        spec = {"kind": "flatten"} | ({} if whole else {"start_dim": start, "end_dim": end})
        node = Node(spec, (node,), (*node.shape[:start], size, *node.shape[end + 1 :]), place=place)
    return node


def next_merge(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, int] | None:
    """The first axes to merge, so that one of the wanted size arises."""
    for dim, size in enumerate(wanted):
        if dim >= len(shape):
            return None
        if shape[dim] == size and not (dim == len(wanted) - 1 and len(shape) > len(wanted)):
            continue
        for end, product in enumerate(itertools.accumulate(shape[dim:], operator.mul), start=dim):
            # Axes of one entry at the end belong to the last.
            rest_is_one = dim < len(wanted) - 1 or all(n == 1 for n in shape[end + 1 :])
            if product == size and end > dim and rest_is_one:
                last = len(shape) - 1 if dim == len(wanted) - 1 else end
                return (dim, last) if dim > 0 else None
            if product > size:
                break
        return None
    return None
