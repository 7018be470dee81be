"""Puts the runner's binary into the wheel: what `make build` builds, in the same place.

Not maturin, whose wheels install a binary under its own name, `runner`, where the program that finds
PyTorch's libtorch must stand. LIBTORCH=/path/to/torch builds against another libtorch than that of
`make setup`, for example that of the Python environment; RUNNER_BINARY=/path/to/runner takes a binary that
is built already.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Binary(BuildHookInterface):
    """Builds with cargo."""

    def initialize(self, version: str, build_data: dict) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        # An isolated build hides pip from the Python that setup.sh asks for it.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        target = root / env.get("CARGO_TARGET_DIR", "target")
        built = Path(env.get("RUNNER_BINARY", target / "release" / "runner"))
        if "RUNNER_BINARY" not in env:
            subprocess.run([root / "scripts" / "setup.sh"], cwd=root, env=env, check=True)
            subprocess.run(["cargo", "build", "--release", "--locked"], cwd=root, env=env, check=True)
        binary = target / "wheel" / "runner"
        binary.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(built, binary)
        subprocess.run(["strip", binary], check=True)
        build_data["force_include"][str(binary)] = "curvature_runner/bin/runner"
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
