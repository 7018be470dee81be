"""Runs the binary, shows what it says, and raises what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from . import launch


class RunnerError(Exception):
    """The runner could not do what it was asked for; the message is what it says on a command line.

    Attributes:
        code: Its exit code: 1, a job failed or an estimate is not finite; 2, the input is wrong; 3,
            results could not be written.
    """

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


def run(arguments: list[str | Path], progress: bool, allow_long: bool) -> None:
    """Runs `runner ARGUMENTS` to its end; what it says of its progress goes to `sys.stderr`.

    Ctrl-C ends it at once.

    Raises:
        RunnerError: With its message.
        KeyboardInterrupt: After it has ended.
    """
    # Its colours and terminal tricks are for terminals.
    env = launch.environment() | {"NO_COLOR": "1"}
    child = subprocess.Popen(
        [launch.BINARY, *arguments, *(['--yes'] if allow_long else [])],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    said = []
    try:
        for line in child.stderr:
            said.append(line)
            # Errors are raised, not shown twice.
            if progress and not line.lstrip().startswith(("error:", "warning:")):
                show(line)
        code = child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise
    finally:
        child.stderr.close()
    if code != 0:
        raise RunnerError(message("".join(said), code), code)


def show(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody looks any more, which is no reason to stop.
        pass


def message(said: str, code: int) -> str:
    """From the first error on; everything where there is none."""
    if code < 0:
        return f"the runner was ended by signal {-code}\n{said}".strip()
    start = said.find("error:")
    return said[max(start, 0) :].strip() or f"the runner ended with code {code}"
