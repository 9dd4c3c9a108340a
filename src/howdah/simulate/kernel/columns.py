"""Which word of an element is which column, and what it counts.

Owns the names and order of columns, as the table in `semantics.md` has them. Must never compute a
column: all of them are words that the kernel keeps anyway.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.model import Agentic, Cache, Closed, Delay, Gate, Open, Pool, Queue, Sharing

COUNT, NANOSECONDS, FLOAT = range(3)
_ZERO = at.RANDOM_FROM  # a word of the header that stays 0


class Column(msgspec.Struct, frozen=True):
    """One column: its full name, where its word is, and what the word is."""

    name: str
    offset: int
    kind: int = COUNT


_CLIENT = {
    "requests": at.C_REQUESTS,
    "attempts": at.C_ATTEMPTS,
    "succeeded": at.C_SUCCEEDED,
    "failed": at.C_FAILED,
    "timed_out": at.C_TIMED_OUT,
    "rejected": at.C_REJECTED,
    "retries": at.C_RETRIES,
    "wasted": at.C_WASTED,
    "open": at.C_OPEN,
    "waiting_retry": at.C_ORBIT,
    "latency_sum": at.C_LATENCY,
}
_PLACE = {
    "entered": at.E_ENTERED,
    "left": at.E_LEFT,
    "refused": at.E_REFUSED,
    "dropped": at.E_DROPPED,
    "inside": at.E_INSIDE,
    "waiting": at.E_WAITING,
    "in_service": at.E_SERVING,
    "limit": 0,
    "releases": 0,
    "completions": 0,
    "wait_sum": at.E_WAITS,
    "busy": at.E_BUSY,
}
_SECONDS = {"latency_sum", "wait_sum", "busy"}
_GATE = {"admitted": at.G_ADMITTED, "refused": at.G_REFUSED, "inflight": at.G_INFLIGHT}
_CACHE = {"hits": at.K_HITS, "misses": at.K_MISSES}


def _limit(element: object) -> tuple[int, int]:
    match element:
        case Open() | Agentic():
            return at.C_RATE, FLOAT
        case Closed():
            return at.C_USERS, COUNT
        case Queue():
            return at.Q_SERVERS, COUNT
        case Sharing():
            return at.P_CORES, FLOAT
        case Pool():
            return at.L_TICKETS, COUNT
    return 0, COUNT


def columns_of(name: str, element: object, offset: int) -> list[Column]:
    """The columns of an element whose record is at `offset`."""
    match element:
        case Open() | Closed() | Agentic():
            words = {**_CLIENT, "limit": 0}
        case Queue() | Sharing() | Delay() | Pool():
            words = dict(_PLACE)
            words["releases"] = at.E_RELEASES if isinstance(element, Pool) else 0
            words["completions"] = at.E_COMPLETIONS if isinstance(element, Pool) else at.E_LEFT
        case Gate():
            words = _GATE
        case Cache():
            words = _CACHE
        case _:
            words = {}
    found = []
    for column, word in words.items():
        word, kind = _limit(element) if column == "limit" else (word, COUNT)
        kind = NANOSECONDS if column in _SECONDS else kind
        found.append(Column(f"{name}.{column}", offset + word if word else _ZERO, kind))
    return found


def values(words: NDArray[np.int64], kind: int) -> NDArray[np.float64]:
    """What the words of a column mean, as floats."""
    if kind == FLOAT:
        return np.ascontiguousarray(words).view(np.float64).copy()
    if kind == NANOSECONDS:
        return words.astype(np.float64) / 1e9
    return words.astype(np.float64)
