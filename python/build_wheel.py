"""Builds the wheel: the Python package with the runner's binary in it, as `make build` makes it.

With hatchling and not maturin: torch-sys needs libtorch before cargo begins, and maturin runs nothing before
cargo; it installs a binary as the program of its name, where the one must stand that finds PyTorch's libtorch
first; and it copies libraries into the wheel or refuses them, where libtorch must stay PyTorch's.

LIBTORCH=/path/to/torch builds for that PyTorch, which the wheel then requires, instead of the one that
`make setup` fetches; RUNNER_BINARY=/path/to/runner takes a binary that is built already.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


def pinned(root: str) -> str:
    """The version of the PyTorch that `make setup` fetches."""
    return re.search(r"^TORCH=(\S+)", Path(root, "scripts", "setup.sh").read_text(), re.M)[1]


def version(root: str) -> str:
    """The version of the PyTorch that the binary is built for."""
    if "LIBTORCH" not in os.environ:
        return pinned(root)
    torch = Path(os.environ["LIBTORCH"])
    # Python's PyTorch has the one, the C++ distribution has the other.
    for file, pattern in [("version.py", r"""^__version__ = ['"]([^'"+]+)"""), ("build-version", r"([^+\s]+)")]:
        if (torch / file).is_file():
            return re.search(pattern, (torch / file).read_text(), re.M)[1]
    raise ValueError(f"found no PyTorch in LIBTORCH={torch}, expected a folder such as site-packages/torch")


class Torch(MetadataHookInterface):
    """Requires the PyTorch that the binary is built for."""

    def update(self, metadata: dict) -> None:
        needed = ["safetensors>=0.4", "numpy", "tomli; python_version < '3.11'"]
        metadata["dependencies"] = [f"torch=={version(self.root)}", *needed]


class Binary(BuildHookInterface):
    """Builds with cargo."""

    def initialize(self, kind: str, build_data: dict) -> None:
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        # An isolated build hides pip from the Python that setup.sh asks for it.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        target = root / env.get("CARGO_TARGET_DIR", "target")
        built = Path(env.get("RUNNER_BINARY", target / "release" / "runner"))
        if "RUNNER_BINARY" not in env:
            if version(root) != pinned(root):
                # The C++ of torch-sys fits other versions too, as long as it compiles.
                env["LIBTORCH_BYPASS_VERSION_CHECK"] = "1"
            subprocess.run([root / "scripts" / "setup.sh"], cwd=root, env=env, check=True)
            subprocess.run(["cargo", "build", "--release", "--locked"], cwd=root, env=env, check=True)
        if kind == "editable":
            place = root / "python" / "curvature_runner" / "bin"
        else:
            place = target / "wheel"
        place.mkdir(parents=True, exist_ok=True)
        (place / "torch-version").write_text(version(root) + "\n")
        (place / "runner").unlink(missing_ok=True)
        if kind == "editable":
            (place / "runner").symlink_to(built.resolve())
            return
        shutil.copy(built, place / "runner")
        subprocess.run(["strip", place / "runner"], check=True)
        build_data["force_include"][str(place)] = "curvature_runner/bin"
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
