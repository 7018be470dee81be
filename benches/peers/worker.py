"""A long-lived worker process that the driver asks one question at a time; see peer.py for the protocol."""

import json
import os
import resource
import select
import subprocess
from pathlib import Path

# Up to 1 GiB of freed memory stays in the process, the same for every worker: without this a good
# part of the time goes into page faults. XLA's log of slow compilations is not wanted.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONDONTWRITEBYTECODE": "1",
}
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 3


def limit_memory() -> None:
    """A worker that asks for more than a third of the machine's memory fails, alone.

    A GPU's driver takes as much address space as it likes.
    """
    if os.environ.get("PEER_DEVICE", "cpu") != "cpu":
        return
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


class Worker:
    """One peer (or our own program) on one problem. A worker that dies or hangs is started again."""

    def __init__(self, command: list[str], problem: Path, log: Path, is_ours: bool = False):
        self.command = [*command, str(problem)]
        self.log = log
        self.is_ours = is_ours
        self._start()

    def ask(self, request: dict, timeout: float) -> dict:
        """Send one request and wait for its answer; {"error": ...} when there is none."""
        answer = self._read(timeout) if self._write(request) else self._death()
        if "error" in answer and self.process.poll() is not None:
            self._start()
        return answer

    def close(self) -> None:
        """Ask the worker to quit, and see that it does."""
        self._write({"quit": True})
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env={**os.environ, **ENVIRONMENT},
                preexec_fn=limit_memory,
            )
        ready = self._read(timeout=300)
        if "error" in ready:
            raise RuntimeError(f"{' '.join(self.command)} did not start: {ready['error']}; see {self.log}")
        self.name, self.versions, self.methods = ready["name"], ready["versions"], ready["methods"]

    def _write(self, request: dict) -> bool:
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            return False
        return True

    def _death(self) -> dict:
        return {"error": f"the worker died with exit code {self.process.wait()}"}

    def _read(self, timeout: float) -> dict:
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self.process.kill()
            self.process.wait()
            return {"error": f"no answer within {timeout:.0f} s"}
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            return self._death()
        return json.loads(line)
