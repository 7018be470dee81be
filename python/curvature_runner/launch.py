"""The program `runner`: finds the libtorch of the installed PyTorch, and becomes the binary."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

BINARY = Path(__file__).parent / "bin" / "runner"
# Which PyTorch the binary was built for.
BUILT_FOR = BINARY.with_name("torch-version")


def environment() -> dict[str, str]:
    """The environment in which the binary finds libtorch.

    torch is looked for without importing it, which would take seconds.

    Raises:
        ImportError: Without torch, with one of another version than the binary was built for, or without
            the binary.
    """
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise ImportError("curvature_runner needs PyTorch, and there is none: pip install torch")
    torch = Path(found.submodule_search_locations[0])
    if not BINARY.is_file():
        raise ImportError(f"there is no {BINARY}: build and install the package, by pip install . in its folder")
    version, wanted = version_of(torch), BUILT_FOR.read_text(encoding="utf-8").strip()
    if version != wanted:
        raise ImportError(
            f"the runner was built for PyTorch {wanted}, found {version} in {torch}: "
            f"pip install torch=={wanted}, or build the package for the other (docs/pytorch.md, section 4)"
        )
    before = os.environ.get("LD_LIBRARY_PATH")
    lib = str(torch / "lib")
    return os.environ | {"LD_LIBRARY_PATH": os.pathsep.join([lib, before] if before else [lib])}


def version_of(torch: Path) -> str:
    """The version of the PyTorch in this folder, without what says how it was built, such as "+cu130"."""
    text = (torch / "version.py").read_text(encoding="utf-8")
    found = re.search(r"""^__version__ = ['"]([^'"+]+)""", text, re.M)
    return found[1] if found else "of no known version"


def main() -> None:
    try:
        env = environment()
    except ImportError as error:
        sys.exit(f"error: {error}")
    os.execve(BINARY, ["runner", *sys.argv[1:]], env)


if __name__ == "__main__":
    main()
