"""Writes a torch.nn module as the layers of a spec and its weights.

    python -m curvature_runner.export torchvision.models:resnet18 --out FOLDER [--kwargs num_classes=10]

writes FOLDER/model.toml, a spec to which [data] and [loss] are to be adapted, and
FOLDER/model.safetensors with the names of the module's state_dict, which all results keep.

The module is traced with torch.fx in evaluation mode. What can be written is a chain of layers in
which parts may branch from one value and meet again by addition or torch.cat along the channels,
nested as deep as one likes. Anything else is named, with the line of its code; --torchscript then
writes FOLDER/model.pt, which libtorch differentiates without layers.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from . import toml, torchscript
from .graph import Converter
from .layers import Layer, Unsupported

HEAD = """# Written by curvature_runner.export from {source}.
# Adapt data and loss; without an [[estimator]] the trace is taken in the best way for this network.

"""


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


def places(layers: list[Layer], prefix: str = "") -> dict[str, Layer]:
    """Every layer that has a module, by the position from which its tensors are named."""
    found: dict[str, Layer] = {}
    for index, layer in enumerate(layers):
        place = f"{prefix}{index}"
        if layer.module is not None:
            found[place] = layer
        for key, inner in layer.lists:
            found |= places(inner, f"{place}.{key}.")
    return found


def model(module: nn.Module) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What `[model]` says of the layers of `module`, and its weights by the names of its state_dict.

    Raises:
        Unsupported: If layers cannot express it.
    """
    names, weights = {}, {}
    layers = Converter(module).layers()
    for place, layer in places(layers).items():
        tensors = {k: v for k, v in layer.module.state_dict().items() if k != "num_batches_tracked"}
        if not layer.name:
            names |= {f"{place}.{key}": key for key in tensors}
        elif tensors and layer.name != place:
            names[place] = layer.name
        weights |= {f"{layer.name}.{key}" if layer.name else key: v for key, v in tensors.items()}
    section: dict[str, Any] = {"names": names} if names else {}
    return section | {"layers": spec_layers(layers)}, weights


def on_disk(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, none a view of another."""
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}


def export_layers(module: nn.Module, folder: Path | str, name: str = "model", source: str = "") -> dict[str, Any]:
    """Writes `name`.toml and `name`.safetensors to `folder`; returns what the spec says of the model.

    Raises:
        Unsupported: If layers cannot express the module; nothing is written then.
    """
    section, weights = model(module)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(on_disk(weights), folder / f"{name}.safetensors")
    section = {"weights": f"{name}.safetensors"} | section
    write_spec(section, folder / f"{name}.toml", source or type(module).__name__)
    return section


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


def write_spec(section: dict[str, Any], path: Path, source: str) -> None:
    data = {"source": "safetensors", "path": "data.safetensors"}
    spec = {"data": data, "model": section, "loss": {"kind": "cross_entropy"}}
    path.write_text(HEAD.format(source=source) + toml.dumps(spec))


# The command line --------------------------------------------------------------------------------


class Mistake(Exception):
    """What a user of the command line can mend."""


def literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def made(where: str, kwargs: dict[str, Any]) -> nn.Module:
    """The module that `package.module:function` makes, looked for from the current folder on."""
    path, _, function = where.partition(":")
    if not function:
        raise Mistake(f"found '{where}', expected package.module:function")
    sys.path.insert(0, os.getcwd())
    try:
        maker = getattr(importlib.import_module(path), function)
        module = maker(**kwargs) if callable(maker) and not isinstance(maker, nn.Module) else maker
    except Exception as error:
        raise Mistake(f"{where} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise Mistake(f"{where} gives a {type(module).__name__}, expected a torch.nn.Module")
    return module


def load(module: nn.Module, path: str) -> None:
    try:
        module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:
        raise Mistake(f"{path} cannot be loaded: {error}") from error


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m curvature_runner.export", description=__doc__.splitlines()[0]
    )
    parser.add_argument("module", help="where the module comes from: package.module:function")
    parser.add_argument("--kwargs", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--weights", help="a state_dict saved with torch.save, to be loaded first")
    parser.add_argument("--seed", type=int, default=0, help="torch.manual_seed before it is made")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="model")
    parser.add_argument(
        "--torchscript",
        metavar="SHAPE",
        help="write TorchScript, traced at random samples of this shape, as 3,32,32, in place of layers",
    )
    return parser.parse_args(given)


def run(options: argparse.Namespace) -> str:
    torch.manual_seed(options.seed)
    kwargs = dict(item.partition("=")[::2] for item in options.kwargs)
    module = made(options.module, {key: literal(text) for key, text in kwargs.items()})
    if options.weights:
        load(module, options.weights)
    out = options.out / options.name
    total = sum(p.numel() for p in module.parameters())
    if options.torchscript:
        shape = literal(options.torchscript)
        shape = (shape,) if isinstance(shape, int) else shape
        if not (isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape)):
            raise Mistake(f"found --torchscript {options.torchscript}, expected a shape such as 3,32,32")
        x = torch.randn(4, *shape, dtype=next(module.parameters()).dtype)
        export_torchscript(module, x, options.out, options.name, options.module)
        return (
            f"wrote {out}.toml and .pt: TorchScript, {total} parameters\n"
            "products by automatic differentiation are available for it, one at a time"
        )
    section = export_layers(module, options.out, options.name, options.module)
    return (
        f"wrote {out}.toml and .safetensors: {len(section['layers'])} layers, {total} parameters\n"
        "every product and estimator is available for these layers; `runner --dry-run` says more"
    )


def main(given: Sequence[str] | None = None) -> None:
    """The command line, or `given` in its place."""
    try:
        print(run(arguments(given)))
    except (Mistake, Unsupported, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
