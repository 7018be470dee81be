"""The program `runner`: finds the libtorch of the installed PyTorch, and becomes the binary."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

BINARY = Path(__file__).parent / "bin" / "runner"


def environment() -> dict[str, str]:
    """The environment in which the binary finds libtorch.

    torch is looked for without importing it, which would take seconds.

    Raises:
        ImportError: Without torch.
    """
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise ImportError("curvature_runner needs PyTorch, and there is none: pip install torch")
    lib = Path(found.submodule_search_locations[0]) / "lib"
    before = os.environ.get("LD_LIBRARY_PATH")
    return os.environ | {"LD_LIBRARY_PATH": os.pathsep.join([str(lib), before] if before else [str(lib)])}


def main() -> None:
    try:
        env = environment()
    except ImportError as error:
        sys.exit(f"error: {error}")
    os.execve(BINARY, ["runner", *sys.argv[1:]], env)


if __name__ == "__main__":
    main()
