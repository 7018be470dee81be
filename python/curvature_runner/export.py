"""Writes a torch.nn module as the layers of a spec and its weights.

    python -m curvature_runner.export torchvision.models:resnet18 --out FOLDER [--kwargs num_classes=10]

writes FOLDER/model.toml, a spec to which [data] and [loss] are to be adapted, and
FOLDER/model.safetensors with the names of the module's state_dict, which all results keep.

The module is run once, in evaluation mode, on two samples, and every operation is followed. What can be written
is a chain of layers in which parts may branch from one value and meet again by addition, multiplication or
torch.cat, nested as deep as one likes; attention is recognised however it is written. The layers found are
computed and compared with the module. Anything else is named, with the line of its code; --torchscript then
writes FOLDER/model.pt, which libtorch differentiates without layers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from . import reference, samples, toml, torchscript
from .layers import Layer, Unsupported
from .names import Tensors, named
from .outputs import first_tensor
from .tracing import record
from .tracing.nesting import Nesting
from .tracing.nodes import Node, Weight
from .tracing.recorder import evaluating

HEAD = """# Written by curvature_runner.export from {source}.
# Adapt data and loss; without an [[estimator]] the trace is taken in the best way for this network.

"""


@dataclass(frozen=True)
class Exported:
    """A module as layers.

    Attributes:
        section: What `[model]` says of the layers and their names.
        tensors: Its parameters and buffers by name, as the layers take them.
        notes: What is otherwise than in the module.
    """

    section: dict[str, Any]
    tensors: dict[str, Weight]
    notes: tuple[str, ...]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {name: weight.tensor for name, weight in self.tensors.items()}

    def restore(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """Values for a parameter in the shape that the module has, from those in the shape that the layers take; several
        along a leading axis likewise."""
        weight = self.tensors[name]
        if values.dim() > weight.tensor.dim():
            return torch.stack([weight.restore(one) for one in values])
        return weight.restore(values)


def exported(
    module: nn.Module,
    x: torch.Tensor | None = None,
    *,
    classes_last: Callable[[tuple[int, ...]], bool] | None = None,
    untie: bool = False,
) -> Exported:
    """The layers of `module` by what it does to the samples `x`; absent: by samples that its first layer takes.

    Args:
        classes_last: Whether the last axis of an output of this shape is that of the classes, where cross-entropy
            wants the first; absent: whether it is a linear layer's of every token.
        untie: Whether a parameter that two layers share becomes one for each, which is another network.

    Raises:
        Unsupported: If layers cannot express it.
    """
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in module.parameters()):
        # As the runner computes with them.
        module = copy.deepcopy(module).float()
        x = x.float() if x is not None and x.is_floating_point() else x
    reasons = []
    for given in samples.guesses(module) if x is None else [two(x)]:
        try:
            return at_samples(module, given, classes_last, untie)
        except Unsupported as reason:
            reasons.append(reason)
        except Exception as error:
            reasons.append(refused(error, x is None))
    if not reasons:
        raise Unsupported("the module", "tells no shape of samples by its first layer", SHAPE)
    # What takes the samples and has no layers says more than what does not take them.
    raise next((reason for reason in reasons if reason.instead != SHAPE), reasons[0])


SHAPE = "say the shape of a sample: --shape 3,32,32, or x = samples in Python"


def refused(error: Exception, tried: bool) -> Unsupported:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    which = "the samples that were tried" if tried else "these samples"
    return Unsupported("the module", f"does not take {which}: {text}", SHAPE)


def two(x: torch.Tensor) -> torch.Tensor:
    """Two samples: with one, no one sees which axis is theirs."""
    return x[:2] if len(x) > 1 else torch.cat([x, x])


def at_samples(
    module: nn.Module, x: torch.Tensor, classes_last: Callable[[tuple[int, ...]], bool] | None, untie: bool
) -> Exported:
    start, end = record(module, x)
    tokens = not x.is_floating_point() and len(end.shape) == 3 and end.spec.get("kind") == "linear"
    last = tokens if classes_last is None else classes_last(end.shape)
    notes = []
    if last:
        rank = len(end.shape)
        dims = [0, rank - 1, *range(1, rank - 1)]
        end = Node({"kind": "permute", "dims": dims}, (end,), tuple(end.shape[d] for d in dims))
        notes.append("a last layer puts the classes before the positions, as cross_entropy wants them")
    layers = Nesting(start, end).layers()
    tensors = named(module, layers, untie)
    section: dict[str, Any] = {"names": tensors.names} if tensors.names else {}
    found = Exported(section | {"layers": spec_layers(layers)}, tensors.weights, (*notes, *tensors.notes))
    compare(module, found, tensors, x, last)
    return found


def compare(module: nn.Module, found: Exported, tensors: Tensors, x: torch.Tensor, classes_last: bool) -> None:
    """Computes the layers and the module at x and at other samples, and refuses a difference."""
    others = -0.7 * x.flip(0) if x.is_floating_point() else x.flip(0).roll(1, -1)
    with evaluating(module), torch.no_grad():
        for inputs in (x, others):
            wanted = first_tensor(module(inputs))
            wanted = wanted.movedim(-1, 1) if classes_last else wanted
            output = reference.output(found.section["layers"], tensors.by_position, inputs)
            size = float(wanted.abs().max())
            allowed = max(1e4 * torch.finfo(wanted.dtype).eps, 1e-5) * max(size, 1e-3)
            same = output.shape == wanted.shape and torch.allclose(output, wanted, rtol=0, atol=allowed, equal_nan=True)
            if not same:
                why = "computes something else than the layers that were found, at other samples or at all"
                raise Unsupported("the module", why)


def spec_layers(layers: list[Layer]) -> list[dict[str, Any]]:
    """The layers as `[model] layers` lists them."""
    written = []
    for layer in layers:
        spec = dict(layer.spec)
        if spec["kind"] == "parallel":
            spec["branches"] = [spec_layers(inner) for _, inner in layer.lists]
        else:
            spec |= {key: spec_layers(inner) for key, inner in layer.lists}
        written.append(spec)
    return written


def on_disk(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, none a view of another."""
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}


def export_layers(
    module: nn.Module,
    folder: Path | str,
    name: str = "model",
    source: str = "",
    *,
    x: torch.Tensor | None = None,
    untie: bool = False,
) -> Exported:
    """Writes `name`.toml and `name`.safetensors to `folder`; arguments as of [`exported`][curvature_runner.export.exported].

    Raises:
        Unsupported: If layers cannot express the module; nothing is written then.
    """
    found = exported(module, x, untie=untie)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(on_disk(found.weights), folder / f"{name}.safetensors")
    section = {"weights": f"{name}.safetensors"} | found.section
    write_spec(section, folder / f"{name}.toml", source or type(module).__name__, found.notes)
    return found


def export_torchscript(
    module: nn.Module, x: torch.Tensor, folder: Path | str, name: str = "model", source: str = ""
) -> dict[str, Any]:
    """Writes `name`.toml and `name`.pt, the module traced at the samples `x`.

    Raises:
        Unsupported: If it cannot be traced faithfully.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torchscript.save(module, x, folder / f"{name}.pt")
    section = {"torchscript": f"{name}.pt"}
    write_spec(section, folder / f"{name}.toml", source or type(module).__name__)
    return section


def write_spec(section: dict[str, Any], path: Path, source: str, notes: Iterable[str] = ()) -> None:
    data = {"source": "safetensors", "path": "data.safetensors"}
    spec = {"data": data, "model": section, "loss": {"kind": "cross_entropy"}}
    head = HEAD.format(source=source) + "".join(f"# Note: {note}.\n" for note in notes)
    path.write_text(head + toml.dumps(spec))


if __name__ == "__main__":
    from .command import main

    main()
