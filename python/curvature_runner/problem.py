"""A model, a loss and data as the runner reads them: a spec, and files beside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.parameter import is_lazy

from . import torchscript
from .export import SHAPE, Exported, exported, on_disk
from .layers import Unsupported

Loss = Union[nn.Module, str]
Data = Union[tuple[torch.Tensor, torch.Tensor], Iterable[tuple[torch.Tensor, torch.Tensor]]]

LOST = """{reason}
The model has no layer rules therefore: it is computed as TorchScript, by automatic differentiation. What is lost:
the exact trace and diagonal, propagation and activation probes, and the products hmp and forward; products come one
at a time, and estimates with sampling errors."""

FROZEN = """The Hessian is with respect to all parameters, those {n} too that have requires_grad = False ({first}, ...);
the rows of the result tell them apart."""

LOSSES = {
    "cross_entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
}
DTYPES = {torch.float32: "float32", torch.float64: "float64"}


class FallbackWarning(UserWarning):
    """A model cannot be written as layers; it says which part of it, and what is lost."""


def write(
    model: nn.Module, loss: Loss, data: Data, folder: Path
) -> tuple[dict[str, Any], list[str], Exported | None]:
    """Writes weights and data to `folder`; returns the beginning of a spec (dtype, data, model, loss), what a
    reader should know of it, and the model as layers if it has them. The model stays as it is.

    Raises:
        TypeError, ValueError: What is wrong with the model, the loss or the data.
    """
    model = unwrapped(model)
    check_model(model)
    spec: dict[str, Any] = {"dtype": dtype_of(model)}
    loss_section = loss_spec(loss)
    x, y, batch = tensors_of(data)
    to = getattr(torch, spec["dtype"])
    x, y = (t.to(to) if t.is_floating_point() else t for t in (x, y))
    save_file(on_disk({"x": x, "y": y}), folder / "data.safetensors")
    spec["data"] = {"source": "safetensors", "path": "data.safetensors"}
    if batch is not None:
        spec["data"] |= {"batch": batch, "batches": "all"}
    notes = []
    layers = None
    try:
        layers = exported(model, samples_for(model, x), classes_last=lambda size: classes_are_last(size, y, loss_section))
        save_file(on_disk(layers.weights), folder / "model.safetensors")
        spec["model"] = {"weights": "model.safetensors"} | layers.section
        notes += layers.notes
    except Unsupported as reason:
        if reason.instead == SHAPE:
            found = f"found x of dtype {x.dtype} and shape {list(x.shape)}"
            raise ValueError(f"{found}, which the model does not take: {reason.why}") from reason
        save_torchscript(model, x, folder / "model.pt")
        spec["model"] = {"torchscript": "model.pt"}
        notes.append(LOST.format(reason=reason))
        warnings.warn(notes[-1], FallbackWarning, stacklevel=4)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    if frozen:
        notes.append(FROZEN.format(n=len(frozen), first=frozen[0]))
    spec["loss"] = loss_section
    return spec, notes, layers


def classes_are_last(size: tuple[int, ...], y: torch.Tensor, loss: dict[str, Any]) -> bool:
    """Whether outputs of this shape have the classes of every position last, where cross_entropy wants them first."""
    positions = loss["kind"] == "cross_entropy" and y.dim() > 1 and not y.is_floating_point()
    return positions and len(size) == y.dim() + 1 and size[2:] != y.shape[1:] and size[1:-1] == y.shape[1:]


def samples_for(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The first few samples, where the model is and in its precision."""
    parameter = next(model.parameters())
    samples = x[:8].to(parameter.device)
    return samples.to(parameter.dtype) if samples.is_floating_point() else samples


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside the wrappers of torch.compile and of data parallel training, which compute the same."""
    while True:
        # By name: to import what torch.compile is made of takes a second.
        if type(model).__name__ == "OptimizedModule" and hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def save_torchscript(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    torchscript.save(model, samples_for(model, x), path)


def check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"found a {type(model).__name__} as the model, expected a torch.nn.Module")
    lazy = [name for name, p in model.named_parameters() if is_lazy(p)]
    if lazy:
        raise ValueError(
            f"the parameter {lazy[0]} has no shape yet, as in every lazily initialised module; "
            "call the model once with a batch"
        )
    if next(model.parameters(), None) is None:
        raise ValueError("the model has no parameters, so there is no Hessian")
    for name, module in model.named_modules():
        draws = isinstance(module, nn.modules.dropout._DropoutNd)
        mixes = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if module.training and (draws or mixes):
            where = f'module "{name}"' if name else "the model"
            what = "its output is another at every call" if draws else "the samples of a batch act on each other"
            raise ValueError(
                f"{where} ({type(module).__name__}) is in training mode, in which {what}; "
                "call model.eval() first, the curvature is that of the model as it is used"
            )


def dtype_of(model: nn.Module) -> str:
    """float64 for a model in that, else float32: weights of fewer bits are computed with in float32."""
    dtypes = {p.dtype for p in model.parameters()}
    complex_ = [d for d in dtypes if not d.is_floating_point]
    if complex_:
        raise TypeError(f"found parameters of {complex_[0]}, expected floating point")
    return "float64" if torch.float64 in dtypes else "float32"


def loss_spec(loss: Loss) -> dict[str, Any]:
    """`[loss]` of a loss module, or of its name.

    Raises:
        TypeError, ValueError: A loss that the runner does not have.
    """
    known = ", ".join(f"{cls.__name__} (or '{name}')" for name, cls in LOSSES.items())
    if isinstance(loss, str):
        for name, cls in LOSSES.items():
            if loss in (name, cls.__name__):
                return {"kind": name}
        raise ValueError(f"found the loss '{loss}', expected one of: {known}")
    kind = next((name for name, cls in LOSSES.items() if type(loss) is cls), None)
    if kind is None:
        raise TypeError(f"found a loss of type {type(loss).__name__}, expected one of: {known}")
    if loss.reduction not in ("mean", "sum"):
        raise ValueError(
            f"found a loss with reduction='{loss.reduction}', which is one number a sample; "
            "expected 'mean' or 'sum'"
        )
    spec: dict[str, Any] = {"kind": kind, "reduction": loss.reduction}
    for key in ("weight", "pos_weight"):
        if getattr(loss, key, None) is not None:
            spec[key] = getattr(loss, key).double().flatten().tolist()
    if getattr(loss, "label_smoothing", 0.0):
        spec["label_smoothing"] = loss.label_smoothing
    if getattr(loss, "ignore_index", -100) != -100:
        spec["ignore_index"] = loss.ignore_index
    return spec


def tensors_of(data: Data) -> tuple[torch.Tensor, torch.Tensor, int | None]:
    """All inputs, all targets, and the samples of a batch where there are several.

    Raises:
        TypeError, ValueError: What is no data, or has no samples.
    """
    if isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(t, torch.Tensor) for t in data):
        data = [data]
    batches = list(batches_of(data))
    if not batches or any(len(x) == 0 for x, _ in batches):
        raise ValueError("found an empty batch, expected at least one sample")
    sizes = [len(x) for x, _ in batches]
    if any(n != sizes[0] for n in sizes[:-1]) or sizes[-1] > sizes[0]:
        raise ValueError(f"found batches of {sizes[:5]}... samples, expected all but the last to have as many")
    x, y = (torch.cat([t.detach().cpu() for t in part]) for part in zip(*batches))
    return x, y, sizes[0] if len(batches) > 1 else None


def batches_of(data: Any) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    wrong = "expected (x, y), or a DataLoader or other iterable of such pairs of tensors"
    if isinstance(data, torch.Tensor) or not isinstance(data, Iterable):
        raise TypeError(f"found a {type(data).__name__} as the data, {wrong}")
    for batch in data:
        pair = isinstance(batch, (tuple, list)) and len(batch) == 2
        if not pair or not all(isinstance(t, torch.Tensor) and t.dim() > 0 for t in batch):
            inside = f" of {', '.join(type(t).__name__ for t in batch)}" if isinstance(batch, (tuple, list)) else ""
            raise TypeError(f"found a batch of type {type(batch).__name__}{inside}, {wrong}")
        if len(batch[0]) != len(batch[1]):
            raise ValueError(f"found {len(batch[0])} inputs and {len(batch[1])} targets, expected as many")
        yield tuple(batch)
