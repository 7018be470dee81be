"""The curvature of a PyTorch model's loss: traces, diagonals, eigenvalues and spectral densities.

    >>> result = curvature_runner.trace(model, torch.nn.CrossEntropyLoss(), (x, y))
    >>> result.value, result.std_error, result.layers

The work is done by the program `runner`, with the libtorch of the installed PyTorch.
"""

from .api import compare, diagonal, eigenvalues, run, spectral_density, trace
from .export import export, export_torchscript
from .layers import Unsupported
from .problem import FallbackWarning
from .process import RunnerError
from .results import Diagonal, Eigenvalues, Figure, Result, SpectralDensity, Table, Trace

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
    "export",
    "export_torchscript",
    "run",
    "spectral_density",
    "trace",
]
