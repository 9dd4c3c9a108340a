"""How a worker process works: its slots, its paces, its patience.

Owns the options and the switch interval that goes with them. Must never hold what a queue's
dispatcher is told; that is `policy.py`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0)]


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker process works."""

    threads: Annotated[int, Meta(ge=1, le=1000)] = 8
    async_slots: Annotated[int, Meta(ge=1, le=10_000)] = 100
    processes: Annotated[int, Meta(ge=1, le=256)] = 2
    dispatch: bool = True  # whether this process is a candidate for the dispatcher
    poll_seconds: Seconds = 0.002  # while there is work
    idle_poll_seconds: Seconds = 0.05
    # For how long Python leaves a handler alone while another thread has an answer of the server to
    # read; its own default of 5 ms is longer than most statements take. None leaves it as it is.
    switch_seconds: Seconds | None = 0.001
    elect_seconds: Seconds = 1.0
    drain_seconds: Seconds = 30.0


@contextmanager
def switching(seconds: float | None) -> Iterator[None]:
    """Python's switch interval for a while; it belongs to the whole process."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before if seconds is None else min(seconds, before))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
