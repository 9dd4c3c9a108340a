"""Waiting for something to become true, without guessing how long it takes.

Owns the bounded poll. Must never be used to let time pass: a probe looks at a real signal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import TimedOut

_POLL_SECONDS = 0.01

Value = TypeVar("Value")


def wait_until(
    probe: Callable[[], Value | None], *, seconds: float = 10, clock: Clock = SYSTEM_CLOCK
) -> Value:
    """Call `probe` until its value is true, and return that value.

    After `seconds` it raises `TimedOut` with the last value; what the probe raises passes through.
    """
    deadline = clock.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if clock.monotonic() >= deadline:
            name = getattr(probe, "__qualname__", repr(probe))
            raise TimedOut(f"{name} is still {value!r} after {seconds:g} s")
        clock.sleep(_POLL_SECONDS)
