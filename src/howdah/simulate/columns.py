"""The names of what is sampled, for a model that is not running.

Owns which columns a model has, in their order; `semantics.md` says what they mean. Must never
differ from what the engines sample.
"""

from __future__ import annotations

from howdah.simulate.model import Cache, Delay, Gate, Model, Pool, Queue, Sharing
from howdah.simulate.parts import flatten

CLIENT = (
    *("requests", "attempts", "succeeded", "failed", "timed_out", "rejected", "retries"),
    *("wasted", "open", "waiting_retry", "latency_sum", "limit"),
)
PLACE = (
    *("entered", "left", "refused", "dropped", "inside", "waiting", "in_service", "limit"),
    *("releases", "completions", "wait_sum", "busy"),
)
GATE = ("admitted", "refused", "inflight")
CACHE = ("hits", "misses")


def columns(model: Model) -> tuple[str, ...]:
    """Every column of the model, in the order of its elements."""
    flat = flatten(model)
    found = [f"{name}.{column}" for name in flat.clients for column in CLIENT]
    for name, station in flat.stations.items():
        if isinstance(station, Queue | Sharing | Delay | Pool):
            found += [f"{name}.{column}" for column in PLACE]
        elif isinstance(station, Gate | Cache):
            kind = GATE if isinstance(station, Gate) else CACHE
            found += [f"{name}.{column}" for column in kind]
    return tuple(found)
