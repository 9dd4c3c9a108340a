"""What makes two jobs the same job.

Owns the digest by which a duplicate is recognised, and how long it counts. Must never look for one:
the table of digests does, in the producer's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from howdah.errors import BadInput

Part = Literal["kind", "arguments", "key", "tenant"]
DIGEST_BYTES = 16  # 128 bits: a chance collision needs about 2 ** 64 jobs


class Unique(Struct, frozen=True, kw_only=True):
    """Which parts must be equal, and for how long.

    `until` `done`: while such a job waits, runs or is being retried. `window`: for
    `window_seconds` after the first of them was enqueued, finished or not. `arguments` names those
    that count; all of them without.
    """

    parts: frozenset[Part] = frozenset({"kind", "arguments"})
    arguments: frozenset[str] | None = None
    until: Literal["done", "window"] = "done"
    window_seconds: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise BadInput("unique by nothing", hint="name the parts that must be equal")
        if (self.until == "window") != (self.window_seconds is not None):
            raise BadInput("until='window' and window_seconds belong together")


def digest(
    unique: Unique, *, kind: str, arguments: Mapping[str, Any], key: str | None, tenant: str | None
) -> str:
    """32 hexadecimal digits, equal for equal parts, whatever the order of the arguments."""
    chosen = unique.arguments
    counted = {n: v for n, v in arguments.items() if chosen is None or n in chosen}
    every = {"kind": kind, "arguments": counted, "key": key, "tenant": tenant}
    parts = {name: value for name, value in every.items() if name in unique.parts}
    text = msgspec.json.encode(parts, order="deterministic")
    return blake2b(text, digest_size=DIGEST_BYTES).hexdigest()


def counts_until(unique: Unique, enqueued_at: float) -> float | None:
    """When the digest is forgotten; None: when the job is finished."""
    return None if unique.window_seconds is None else enqueued_at + unique.window_seconds
