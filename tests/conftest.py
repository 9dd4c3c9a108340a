"""What all tests share: the versions in the report's header, and what makes the tests fast."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from howdah.testing import servers_line

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30

# Tests start hundreds of processes; each would compile all of Howdah again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# They make and drop a thousand databases: in memory that takes half the processor time. What a
# server that crashes has lost is the same there; no test cuts the power.
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
    os.environ.setdefault("HOWDAH_RUN_DIR", str(MEMORY / f"howdah-{os.geteuid()}"))


def pytest_report_header() -> str:
    return servers_line()
