"""What both engines do: the protocol of one running instance of a model.

Owns the protocol and the values that pass through it. Must never import an engine, and never
decide anything about a model: what things mean is written in `semantics.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """What was sampled so far: `t` in seconds, and one array for each column, of equal length."""

    t: NDArray[np.float64]
    columns: Mapping[str, NDArray[np.float64]]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item in flight. Times are nanoseconds of the engine's clock."""

    serial: int
    client: str
    request: int
    attempt: int
    element: str  # where it is; "" while it holds tickets over a think time
    since_ns: int  # when it came there
    in_service: bool
    waited_for: bool  # its client still waits for it
    key: int


class Snapshot(Protocol):
    """The whole state of an engine at an instant; opaque, and good for any engine of its model."""

    @property
    def now_ns(self) -> int:
        """The instant."""

    @property
    def events(self) -> int:
        """Events that had happened by then."""

    @property
    def size(self) -> int:
        """Bytes, about."""


class Engine(Protocol):
    """One running instance of a model. The same model and seed give the same hash, always."""

    @property
    def name(self) -> str:
        """`kernel` or `reference`."""

    @property
    def now_ns(self) -> int:
        """The time up to which everything has happened."""

    @property
    def events(self) -> int:
        """Events that happened; cancelled ones are counted apart."""

    @property
    def cancelled(self) -> int:
        """Events that no longer applied when their turn came."""

    @property
    def hash(self) -> int:
        """The hash of all events that happened, as `semantics.md` defines it."""

    def advance(self, until_ns: int, most_events: int | None = None) -> bool:
        """Let everything up to and including `until_ns` happen; True when it was reached.

        With `most_events` it may stop earlier: after at least so many further events (the
        reference exactly then, the kernel when it next looks).
        """

    def set(self, path: str, value: float | str) -> None:
        """Change a setting now: `semantics.md` says what follows. Raises BadInput."""

    def inject(self, client: str, count: int) -> None:
        """`count` requests (sessions, of an agentic client) start now."""

    def flush(self, cache: str) -> None:
        """The cache forgets everything."""

    def drop(self, element: str) -> None:
        """Everybody who waits in this Queue or Pool is rejected (semantics: Interventions)."""

    def reseed(self, seed: int) -> None:
        """All further draws are new ones; what was drawn stays (semantics: Interventions)."""

    def snapshot(self) -> Snapshot:
        """The state now; cheap, and independent of what happens later."""

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`, of an engine of the same model and seed."""

    def fork(self) -> Engine:
        """A second engine in the same state; neither touches the other from now on."""

    def gauges(self) -> dict[str, float]:
        """Every column, now."""

    def total(self, columns: Sequence[str]) -> float:
        """The sum of these columns, now; cheaper than `gauges` for a search that asks often."""

    def samples(self) -> Samples:
        """Every column at every sample so far."""

    def items(self) -> list[Item]:
        """What is in flight, by serial."""

    def check(self) -> list[str]:
        """What violates an invariant; empty unless the engine has a bug."""
