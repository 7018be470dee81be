"""How the features of a value are cut into heads, and rotated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..nodes import Node
from ..operation import Operation
from ..values import Activation


@dataclass
class Heads:
    """Queries, keys or values `[*lead, T, d]` over the output `[samples, T, F]` of a node.

    Attributes:
        node: Of which node they are features.
        samples: The sample of each of `lead`.
        heads: Which of its sample's heads it is, in the order of appearance.
        features: The features of each head, `[heads, d]`; a head that appears for several others stands several times.
        positions: T.
        scale: A number that all are multiplied with.
        rotation: The base of the angles that they are rotated by; none: they are not.
    """

    node: Node
    samples: torch.Tensor
    heads: torch.Tensor
    features: torch.Tensor
    positions: int
    scale: float
    rotation: float | None


STRANGE = "cuts its values into heads in a way that no layer does"


def features_of(value: Activation, operation: Operation) -> Heads:
    node = value.node
    operation.check(len(node.shape) == 3 and len(value.terms) <= 2, STRANGE)
    n, t, features = node.shape
    index = value.index_of(value.terms[0]).reshape(-1, *value.shape[-2:])
    samples = index[:, 0, 0] // (t * features)
    entries = index[:, 0, :] % features
    rebuilt = samples[:, None, None] * t * features + torch.arange(t)[:, None] * features + entries[:, None, :]
    operation.check(index.shape[1] == t and bool((rebuilt == index).all()), STRANGE)
    heads = torch.zeros_like(samples)
    for sample in range(n):
        mine = samples == sample
        heads[mine] = torch.arange(int(mine.sum()))
    first = entries[samples == 0]
    alike = all(torch.equal(entries[samples == sample], first) for sample in range(n))
    operation.check(alike and len(first) * n == len(samples), STRANGE)
    scale, rotation = 1.0, None
    if len(value.terms) == 2 or not value.is_scaled:
        scale, rotation, order = rotated(value, entries, operation)
        first = first[:, order]
    elif value.is_scaled:
        scale = value.terms[0].coefficient
    return Heads(node, samples, heads, first, t, scale, rotation)


def rotated(value: Activation, entries: torch.Tensor, operation: Operation) -> tuple[float, float, torch.Tensor]:
    """Scale, base, and the order of a head's entries in which its halves are rotated against each other."""
    why = "multiplies queries or keys with constants that are no rotation by the position"
    operation.check(len(value.terms) == 2, why)
    t, d = value.shape[-2:]
    cosine, sine = (coefficients(term.coefficient, value.shape, operation, why) for term in value.terms)
    other = value.index_of(value.terms[1]).reshape(-1, t, d)[:, 0, :] % value.node.shape[-1]
    partner = (entries[0][:, None] == other[0][None, :]).nonzero()[:, 1]
    operation.check(t > 1 and d % 2 == 0 and len(partner) == d, why)
    scale = float(cosine[0, 0])
    cosine, sine = cosine / scale, sine / scale
    angles = torch.atan2(sine[1].abs(), cosine[1])
    first = [j for j in range(d) if sine[1, j] < 0 or (sine[1, j] == 0 and j < int(partner[j]))]
    operation.check(len(first) == d // 2, why)
    first.sort(key=lambda j: -float(angles[j]))
    order = torch.tensor(first + [int(partner[j]) for j in first])
    operation.check(order.unique().numel() == d, why)
    base = base_of(cosine[:, order[: d // 2]], -sine[:, order[: d // 2]])
    wanted = torch.arange(t, dtype=torch.float64)[:, None] * base ** (-torch.arange(0, d, 2) / d)
    table = torch.cat([wanted, wanted], dim=1)
    signs = torch.cat([-torch.ones(d // 2), torch.ones(d // 2)])
    fits = torch.allclose(cosine[:, order], table.cos(), atol=1e-4) and torch.allclose(
        sine[:, order], table.sin() * signs, atol=1e-4
    )
    operation.check(fits, why + " with angles t base^(−2i/d)")
    return scale, base, order


def coefficients(coefficient: object, shape: tuple[int, ...], operation: Operation, why: str) -> torch.Tensor:
    """`[T, d]`, the same for all heads and samples."""
    whole = torch.as_tensor(coefficient, dtype=torch.float64).expand(shape).reshape(-1, *shape[-2:])
    operation.check(bool((whole == whole[:1]).all()), why)
    return whole[0]


def base_of(cosine: torch.Tensor, sine: torch.Tensor) -> float:
    """From the smallest angle that is not zero, at the last position, where it is known best; a round number if one is near."""
    half = cosine.shape[1]
    if half == 1:
        return 10000.0
    last = cosine.shape[0] - 1
    best = 10000.0
    for i in range(half - 1, 0, -1):
        angle = math.atan2(float(sine[last, i]), float(cosine[last, i])) / last
        if angle > 0 and angle * last < 3:
            best = angle ** (-half / i)
            break
    for digits in (1, 2, 3):
        near = float(f"{best:.{digits}g}")
        if abs(near - best) < 1e-4 * best:
            return near
    return best


def order_of_heads(parts: list[Heads], operation: Operation) -> tuple[list[int], list[int]]:
    """The heads of queries so that those which share keys and values follow each other, and a head of each such group."""
    q, k, v = parts
    count = len(q.features)
    operation.check(len(k.features) == len(v.features) == count, STRANGE)
    groups: dict[tuple[int, ...], list[int]] = {}
    for head in range(count):
        key = (*k.features[head].tolist(), -1, *v.features[head].tolist())
        groups.setdefault(key, []).append(head)
    sizes = {len(heads) for heads in groups.values()}
    operation.check(len(sizes) == 1, "shares keys and values unevenly among heads")
    return [head for heads in groups.values() for head in heads], [heads[0] for heads in groups.values()]
