"""The tensors of layers, under the names of the state_dict."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import torch
from torch import nn

from .layers import Layer, Unsupported
from .tracing.nodes import Weight


@dataclass
class Tensors:
    """
    Attributes:
        weights: Every tensor by the name it has in results.
        by_position: The same by their positions in the list of layers.
        names: `[model] names`: positions that have another name.
        notes: What is otherwise than in the module.
    """

    weights: dict[str, Weight] = field(default_factory=dict)
    by_position: dict[str, torch.Tensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def named(module: nn.Module, layers: list[Layer], untie: bool) -> Tensors:
    """The tensors of the layers.

    Raises:
        Unsupported: If two layers take the same one, unless they are to be untied.
    """
    aliases = defaultdict(list)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        aliases[id(parameter)].append(name)
    by_first = {names[0]: names for names in aliases.values()}
    found = Tensors()
    owners: dict[str, str] = {}
    for place, layer in places(layers).items():
        own = {}
        for key, weight in layer.node.weights.items():
            # A constant has no name.
            name = weight.name or f"{place}.{key}"
            if name in owners and not untie:
                raise shared(name, layer, owners[name])
            if name in owners:
                name = next((n for n in by_first.get(name, ()) if n not in found.weights), f"{name}.{place}")
                found.notes.append(f"{name} is a parameter of its own, which in the module is {weight.name}")
            else:
                owners[name] = f"{place}.{key}"
            found.weights[name] = weight
            found.by_position[f"{place}.{key}"] = weight.tensor
            own[key] = name
            found.notes += note(name, weight)
        found.names |= renamed(place, own)
    unused = [name for name, _ in module.named_parameters() if name not in owners]
    if unused:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        found.notes.append(f"the output does not depend on {', '.join(unused[:3])}{more}, which are left out")
    return found


def shared(name: str, layer: Layer, other: str) -> Unsupported:
    return Unsupported(
        layer.node.place,
        f"takes the parameter {name}, which is used more than once (at {other}, too)",
        "--untie (untie=True in Python) makes a parameter of its own for each, which is another network;\n"
        "  or export with --torchscript, after which libtorch differentiates the module itself",
    )


def note(name: str, weight: Weight) -> list[str]:
    """Where a layer takes a tensor otherwise than the module has it."""
    whole, taken = tuple(weight.whole.shape), tuple(weight.tensor.shape)
    if weight.same or weight.whole.numel() == weight.tensor.numel() and weight.whole.dim() != 2:
        return []
    if weight.tensor.numel() < weight.whole.numel():
        return [f"{name} is of shape {list(taken)}, the part of {list(whole)} that these samples use"]
    if weight.tensor.stride() == weight.whole.stride()[::-1] and taken == whole[::-1]:
        return [f"{name} is transposed"]
    return [f"{name} has its rows in another order"]


def places(layers: list[Layer], prefix: str = "") -> dict[str, Layer]:
    """Every layer with tensors, by the position from which they are named."""
    found: dict[str, Layer] = {}
    for index, layer in enumerate(layers):
        place = f"{prefix}{index}"
        if layer.node is not None and layer.node.weights:
            found[place] = layer
        for key, inner in layer.lists:
            found |= places(inner, f"{place}.{key}.")
    return found


def renamed(place: str, own: dict[str, str]) -> dict[str, str]:
    """One name for the position where its tensors are named alike, else one for each."""
    ends = all(name.endswith(f".{key}") for key, name in own.items())
    beginnings = {name.removesuffix(f".{key}") for key, name in own.items()}
    if ends and len(beginnings) == 1:
        (beginning,) = beginnings
        return {} if beginning == place else {place: beginning}
    return {f"{place}.{key}": name for key, name in own.items()}
