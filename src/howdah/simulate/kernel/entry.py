"""The compiled kernel: one function, from the disk or compiled now.

Owns the compiling. Must be imported only when a model is to run: it imports numba.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from numba import njit, types

from howdah.simulate.kernel import compiled
from howdah.simulate.kernel.compiled.command import dispatch
from howdah.simulate.kernel.compiled.memory import OPTIONS
from howdah.simulate.kernel.disk import cache_of, holds
from howdah.simulate.kernel.linking import linked_once

_WORD = types.int64
_SIGNATURE = _WORD(_WORD, _WORD, _WORD, _WORD, _WORD, types.float64)

Command = Callable[[int, int, int, int, int, float], int]


_lock = threading.Lock()


def unchanged() -> bool:
    """Whether the sources on the disk are still those that were loaded."""
    return compiled.stamp() == compiled.STAMP


def is_ready() -> bool:
    """Whether `command` needs no compiling: it takes half a minute, and people want to know."""
    return _made.cache_info().currsize > 0 or holds(dispatch, _SIGNATURE)


def command() -> Command:
    """The kernel: compiled now, or taken from the disk, which takes a moment."""
    with _lock:
        return _made()


@lru_cache(maxsize=1)
def _made() -> Command:
    make: Any = njit(**OPTIONS)
    made = make(dispatch)
    if unchanged():  # else what was loaded would be kept under a wrong stamp
        made._cache = cache_of(dispatch)
    with linked_once(dispatch):
        made.compile(_SIGNATURE)
    made.disable_compile()
    found: Command = made
    return found
