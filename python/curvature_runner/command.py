"""The command line of the exporter."""

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
from torch import nn

from . import export, samples
from .layers import Unsupported


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


def given_samples(module: nn.Module, text: str | None) -> torch.Tensor | None:
    """Samples of the shape that was given, if one was."""
    if text is None:
        return None
    shape = literal(text)
    shape = (shape,) if isinstance(shape, int) else shape
    if not (isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape)):
        raise Mistake(f"found --shape {text}, expected the shape of a sample, such as 3,32,32")
    if next(module.parameters(), None) is None:
        raise Mistake("the module has no parameters, so there is no Hessian")
    return samples.of_shape(module, shape)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m curvature_runner.export", description=export.__doc__.splitlines()[0]
    )
    parser.add_argument("module", help="where the module comes from: package.module:function")
    parser.add_argument("--kwargs", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--weights", help="a state_dict saved with torch.save, to be loaded first")
    parser.add_argument("--seed", type=int, default=0, help="torch.manual_seed before it is made")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="model")
    parser.add_argument("--shape", help="the shape of a sample, as 3,32,32, or a number of tokens; absent: guessed")
    parser.add_argument("--untie", action="store_true", help="make a parameter for each layer that shares one")
    parser.add_argument("--torchscript", action="store_true", help="write TorchScript in place of layers")
    return parser.parse_args(given)


def run(options: argparse.Namespace) -> str:
    torch.manual_seed(options.seed)
    kwargs = dict(item.partition("=")[::2] for item in options.kwargs)
    module = made(options.module, {key: literal(text) for key, text in kwargs.items()})
    if options.weights:
        load(module, options.weights)
    x = given_samples(module, options.shape)
    return (script if options.torchscript else layers)(module, x, options)


def layers(module: nn.Module, x: torch.Tensor | None, options: argparse.Namespace) -> str:
    found = export.export_layers(
        module, options.out, options.name, options.module, x=x, untie=options.untie
    )
    count = sum(weight.tensor.numel() for weight in found.tensors.values())
    lines = [
        f"wrote {options.out / options.name}.toml and .safetensors: {len(found.section['layers'])} layers, "
        f"{count} parameters",
        *(f"note: {note}" for note in found.notes),
        "every product and estimator is available for these layers; `runner --dry-run` says more",
    ]
    return "\n".join(lines)


def script(module: nn.Module, x: torch.Tensor | None, options: argparse.Namespace) -> str:
    tried = samples.guesses(module) if x is None else [x]
    last = None
    for inputs in tried:
        try:
            export.export_torchscript(module, inputs, options.out, options.name, options.module)
        except Unsupported as reason:
            last = last or reason
            continue
        total = sum(p.numel() for p in module.parameters())
        return (
            f"wrote {options.out / options.name}.toml and .pt: TorchScript, {total} parameters\n"
            "products by automatic differentiation are available for it, one at a time"
        )
    raise last or Mistake("the module tells no shape of samples by its first layer; say one: --shape 3,32,32")


def main(given: Sequence[str] | None = None) -> None:
    """The command line, or `given` in its place."""
    try:
        print(run(arguments(given)))
    except (Mistake, Unsupported, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
