"""Layers and joins as a graph, and the tensors they take."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

Move = Callable[[torch.Tensor], torch.Tensor]

_numbers = itertools.count()


@dataclass(frozen=True, eq=False)
class Weight:
    """A parameter or buffer as a layer takes it: moved about, or a part of it.

    Attributes:
        name: Its name in the state_dict.
        whole: The tensor of that name.
        tensor: What the layer takes.
        moves: How that comes from the whole.
    """

    name: str
    whole: torch.Tensor
    tensor: torch.Tensor
    moves: tuple[Move, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the layer takes the tensor as it is."""
        a, b = self.whole, self.tensor
        return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride()

    def index(self) -> torch.Tensor:
        """Where in the whole the entries stand that the layer takes."""
        index = torch.arange(self.whole.numel()).reshape(self.whole.shape)
        for move in self.moves:
            index = move(index)
        return index

    def moved(self, tensor: torch.Tensor, move: Move) -> Weight:
        return Weight(self.name, self.whole, tensor, (*self.moves, move))

    def restore(self, values: torch.Tensor) -> torch.Tensor:
        """`values` in the layer's shape as the whole has them, with zeros where the layer takes nothing."""
        if self.same:
            return values
        whole = torch.zeros(self.whole.numel(), dtype=values.dtype)
        whole[self.index().flatten()] = values.flatten()
        return whole.reshape(self.whole.shape)


@dataclass(eq=False)
class Node:
    """A layer, a join of several values, or the samples themselves.

    Attributes:
        spec: What a spec says of the layer; of a join `kind` ("add", "multiply", "cat") and `dim`.
        inputs: The values that it takes.
        shape: What it puts out, with the axis of the samples.
        weights: Its tensors, by their keys in the layer.
        place: Where in the user's code it comes from.
    """

    spec: dict[str, Any]
    inputs: tuple[Node, ...]
    shape: tuple[int, ...]
    weights: dict[str, Weight] = field(default_factory=dict)
    place: str = ""
    # What it is the first part of, by the axis and all parts.
    cats: dict[tuple[Any, ...], Node] = field(default_factory=dict, repr=False)
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def is_join(self) -> bool:
        return self.spec.get("kind") in ("add", "multiply", "cat")

    def arange(self) -> torch.Tensor:
        """The number of every entry that it puts out."""
        size = 1
        for n in self.shape:
            size *= n
        return torch.arange(size).reshape(self.shape)


def cat(nodes: tuple[Node, ...], dim: int, shape: tuple[int, ...], place: str) -> Node:
    """Nodes side by side; the first of them from an earlier one, if they stand side by side there."""
    key = (dim, *nodes)
    if key in nodes[0].cats:
        return nodes[0].cats[key]
    parts = nodes
    for count in range(len(nodes) - 1, 1, -1):
        earlier = nodes[0].cats.get(key[: count + 1])
        if earlier is not None:
            parts = (earlier, *nodes[count:])
            break
    nodes[0].cats[key] = Node({"kind": "cat", "dim": dim}, parts, shape, place=place)
    return nodes[0].cats[key]


def before(end: Node) -> list[Node]:
    """`end` and all that it depends on, each after what it takes."""
    found, todo = {end}, [end]
    while todo:
        for node in todo.pop().inputs:
            if node not in found:
                found.add(node)
                todo.append(node)
    return sorted(found, key=lambda node: node.number)
