"""What a tensor is, in terms of layers and parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ..layers import Unsupported
from .nodes import Move, Node, Weight

Coefficient = float | torch.Tensor


@dataclass(eq=False)
class Value:
    """What is known of a tensor that depends on the samples or on a parameter."""

    shape: tuple[int, ...]
    place: str


@dataclass(eq=False)
class Opaque(Value):
    """Nothing is known; an error only if the output depends on it."""

    reason: Unsupported


@dataclass(eq=False)
class Parameter(Value):
    """Entries of a parameter, moved about."""

    weight: Weight


@dataclass(frozen=True)
class Term:
    """`coefficient ∘ z.flatten()[index]` for the output z of a node; no index: z in its own order."""

    index: torch.Tensor | None = None
    coefficient: Coefficient = 1.0


@dataclass(eq=False)
class Activation(Value):
    """A sum of terms over the output of one node: what it put out, moved about, scaled, rotated."""

    node: Node
    terms: tuple[Term, ...] = (Term(),)

    @property
    def index(self) -> torch.Tensor | None:
        return self.terms[0].index

    def index_of(self, term: Term) -> torch.Tensor:
        return self.node.arange().reshape(self.shape) if term.index is None else term.index

    @property
    def is_scaled(self) -> bool:
        """By one number."""
        return len(self.terms) == 1 and isinstance(self.terms[0].coefficient, float)

    @property
    def is_plain(self) -> bool:
        return self.is_scaled and self.terms[0].coefficient == 1.0

    @property
    def in_order(self) -> bool:
        return len(self.terms) == 1 and self.terms[0].index is None

    def moved(self, move: Move, keeps_order: bool = False) -> Activation:
        """The value with `move`, which copies entries and nothing else, applied to it."""
        terms, shape = [], self.shape
        for term in self.terms:
            coefficient = term.coefficient
            if isinstance(coefficient, torch.Tensor):
                coefficient = simple(move(coefficient.expand(self.shape)))
            if keeps_order and term.index is None:
                # The shape alone is asked for, which costs no memory.
                shape = tuple(move(torch.empty(self.shape, device="meta")).shape)
                index = None
            else:
                index = move(self.index_of(term))
                shape = tuple(index.shape)
            terms.append(Term(index, coefficient))
        return Activation(shape, self.place, self.node, tuple(terms))

    def scaled(self, by: Coefficient) -> Activation:
        terms = (Term(term.index, simple(term.coefficient * by)) for term in self.terms)
        return Activation(self.shape, self.place, self.node, tuple(terms))

    def on(self, node: Node, shape: tuple[int, ...], index: torch.Tensor | None) -> Activation:
        return Activation(shape, node.place, node, (Term(index),))

    def over(self, node: Node) -> Activation:
        """The same movement over the output of a node that acts entry by entry."""
        return self.on(node, self.shape, self.index)


@dataclass(eq=False)
class Function(Value):
    """An operation whose layer is not yet known: entry by entry, or a mean over the last axis.

    Attributes:
        operation: What computes it.
        args: What it takes: values and constants.
        keys: Further arguments.
        known: Its activation memo.
    """

    operation: Any
    args: tuple[Any, ...]
    keys: dict[str, Any]
    known: Activation | Unsupported | None = field(default=None, repr=False)


@dataclass(eq=False)
class Scores(Value):
    """`scale q kᵀ`, some of it hidden: `q: [*lead, T, d]`, `k: [*lead, S, d]`; or its softmax by rows.

    Attributes:
        index: Where in `[*lead, T, S]` the entries stand, while they are moved about.
    """

    q: Activation
    k: Activation
    scale: float
    hidden: torch.Tensor | None
    softmax: bool = False
    index: torch.Tensor | None = None

    @property
    def whole(self) -> tuple[int, ...]:
        """`[*lead, T, S]`."""
        return (*self.q.shape[:-1], self.k.shape[-2])


def simple(coefficient: Coefficient) -> Coefficient:
    """A number where all entries are equal."""
    if isinstance(coefficient, torch.Tensor):
        number = uniform(coefficient)
        return coefficient if number is None else number
    return float(coefficient)


def uniform(tensor: torch.Tensor) -> float | None:
    """The number that all entries are; none if they differ."""
    if tensor.is_complex() or tensor.numel() == 0:
        return None
    first = tensor.flatten()[0]
    return float(first) if bool((tensor == first).all()) else None


def same_index(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and bool((a == b).all())
