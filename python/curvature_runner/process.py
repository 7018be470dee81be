"""Runs the binary, shows what it says, and raises what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import launch


# Exit code of a run that Ctrl-C has ended.
INTERRUPTED = 130


class RunnerError(Exception):
    """The runner could not do what it was asked for; the message is what it says on a command line.

    Attributes:
        code: Its exit code: 1, a job failed or an estimate is not finite; 2, the input is wrong; 3,
            results could not be written.
        result: What was computed all the same, where a job failed or an estimate is not finite, as a `Result`.
    """

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code
        self.result: Any = None


def run(arguments: list[str | Path], progress: bool, allow_long: bool) -> None:
    """Runs `runner ARGUMENTS` to its end; what it says of its progress goes to `sys.stderr`.

    Ctrl-C ends it at once.

    Raises:
        RunnerError: With its message.
        KeyboardInterrupt: After it has ended.
    """
    # Its colours and terminal tricks are for terminals; and a task of a Slurm job array that calls this asks for
    # the whole, where the program would run the task's part of it.
    env = {k: v for k, v in launch.environment().items() if not k.startswith("SLURM_ARRAY_")} | {"NO_COLOR": "1"}
    # Whoever calls again wants what failed to be tried again.
    options = ["--retry-failed", *(["--yes"] if allow_long else [])]
    child = subprocess.Popen(
        [launch.BINARY, *arguments, *options],
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
    # Ctrl-C reached the runner alone: Python was started with SIGINT ignored.
    if code == INTERRUPTED:
        raise KeyboardInterrupt
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
    """From the first error on, or the first warning where there is none, without the lines of progress."""
    if code < 0:
        return f"the runner was ended by signal {-code}\n{said}".strip()
    first = re.search(r"^\s*error:", said, re.M) or re.search("^warning:", said, re.M)
    lines = said[first.start() if first else 0 :].splitlines()
    told = "\n".join(line for line in lines if not re.match(r"\[\d+/\d+\] ", line)).strip()
    return told or f"the runner ended with code {code}"
