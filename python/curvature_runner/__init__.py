"""The curvature of a PyTorch model's loss: traces, diagonals, eigenvalues and spectral densities.

    >>> result = curvature_runner.trace(model, torch.nn.CrossEntropyLoss(), (x, y))
    >>> result.value, result.std_error, result.layers

The work is done by the program `runner`, with the libtorch of the installed PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import compare, diagonal, eigenvalues, run, spectral_density, trace
    from .export import export_layers, export_torchscript
    from .layers import Unsupported
    from .problem import FallbackWarning
    from .process import RunnerError
    from .results import Diagonal, Eigenvalues, Figure, Result, SpectralDensity, Table, Trace

# Imported when they are asked for: the program `runner` starts without waiting for PyTorch.
HOMES = {
    "api": ["compare", "diagonal", "eigenvalues", "run", "spectral_density", "trace"],
    "export": ["export_layers", "export_torchscript"],
    "layers": ["Unsupported"],
    "problem": ["FallbackWarning"],
    "process": ["RunnerError"],
    "results": ["Diagonal", "Eigenvalues", "Figure", "Result", "SpectralDensity", "Table", "Trace"],
}

__all__ = [
    "Diagonal",
    "Eigenvalues",
    "FallbackWarning",
    "Figure",
    "Result",
    "RunnerError",
    "SpectralDensity",
    "Table",
    "Trace",
    "Unsupported",
    "compare",
    "diagonal",
    "eigenvalues",
    "export_layers",
    "export_torchscript",
    "run",
    "spectral_density",
    "trace",
]


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
