"""What a comparison was run on, and when."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from worker import ENVIRONMENT


def describe() -> dict:
    """The machine before a comparison begins."""
    return {
        "processor": processor(),
        "threads": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "environment": ENVIRONMENT,
        "load_before": os.getloadavg()[0],
        "started": now(),
    }


def processor() -> str:
    """The processor as /proc/cpuinfo names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def now() -> str:
    """Date and time to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
