"""What happened, written down by those who did it, and what it proves.

Owns the record of a run and the verdict on it. Must never ask a database: the verdict rests on what
producers and consumers saw, not on what tables say.

A producer writes `emitting` before its commit and `emitted` (or `aborted`) after; whoever handles
an event writes `delivered`. A process may be killed between any two of them: an event that was
`emitting` and nothing else may or may not have happened. Within one key, numbers grow in the order
in which the events are emitted, each after the one before it was committed or abandoned.

Order is judged by first deliveries: a consumer that goes back to its last committed position and
repeats (1 2 3 2 3 4) keeps it, one that delivers 3 before 2 does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from howdah.clock import SYSTEM_CLOCK, Clock

Kind = Literal["emitting", "emitted", "aborted", "delivered"]


class Op(msgspec.Struct, frozen=True, array_like=True):
    """One thing that somebody did: `at` is the machine's monotonic clock, the same for all."""

    at: float
    kind: Kind
    actor: str  # a producer, or the name of a consumer whichever process runs it
    key: str
    number: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a history proves; every field but `events` and `repeated` should be empty."""

    events: int  # acknowledged
    lost: tuple[tuple[str, str, int], ...]  # consumer, key, number
    phantoms: tuple[tuple[str, str, int], ...]  # delivered, but aborted or never emitted
    disordered: tuple[tuple[str, str, int], ...]  # delivered first after a later one of its key
    repeated: tuple[tuple[str, int], ...]  # deliveries beyond the first, by consumer

    @property
    def kept(self) -> bool:
        """Whether the promise of at-least-once delivery in the order of every key was kept."""
        return not (self.lost or self.phantoms or self.disordered)


class Recorder:
    """Writes operations of one process to a file of its own, each before it goes on.

    A line is handed to the operating system at once, so it outlives a SIGKILL of the process.
    """

    def __init__(self, folder: Path, actor: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._actor = actor
        self._clock = clock
        stamp = f"{clock.monotonic():.6f}".replace(".", "")
        self._file = (folder / f"{actor}-{stamp}.jsonl").open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def emitting(self, key: str, number: int) -> None:
        """About to emit it."""
        self._write("emitting", key, number)

    def emitted(self, key: str, number: int) -> None:
        """Its transaction is known to be committed."""
        self._write("emitted", key, number)

    def aborted(self, key: str, number: int) -> None:
        """Its transaction is known to be rolled back."""
        self._write("aborted", key, number)

    def delivered(self, *events: tuple[str, int]) -> None:
        """Handled, in this order."""
        now = self._clock.monotonic()
        self._file.write(
            b"".join(
                msgspec.json.encode(Op(now, "delivered", self._actor, key, number)) + b"\n"
                for key, number in events
            )
        )

    def _write(self, kind: Kind, key: str, number: int) -> None:
        op = Op(self._clock.monotonic(), kind, self._actor, key, number)
        self._file.write(msgspec.json.encode(op) + b"\n")


def recorded(folder: Path) -> list[Op]:
    """All operations that were written to a folder, in the order of time."""
    ops = [op for path in sorted(folder.glob("*.jsonl")) for op in _lines(path)]
    return sorted(ops, key=lambda op: op.at)  # stable: the order within one file stays


def _lines(path: Path) -> Iterator[Op]:
    for line in path.read_bytes().split(b"\n")[:-1]:  # a last line without its end was cut off
        yield msgspec.json.decode(line, type=Op)


def judge(ops: Iterable[Op], consumers: Iterable[str]) -> Verdict:
    """The verdict on a run that has ended, every consumer having read to the end."""
    ops = list(ops)
    said: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for op in ops:
        if op.kind != "delivered":
            said[op.kind].add((op.key, op.number))
    possible = said["emitting"] - said["aborted"]
    got = {consumer: _deliveries(ops, consumer) for consumer in consumers}
    return Verdict(
        events=len(said["emitted"]),
        lost=_named((name, said["emitted"] - set(each)) for name, each in got.items()),
        phantoms=_named((name, set(each) - possible) for name, each in got.items()),
        disordered=_named((name, _disordered(each)) for name, each in got.items()),
        repeated=tuple((name, len(each) - len(set(each))) for name, each in got.items()),
    )


def _deliveries(ops: list[Op], consumer: str) -> list[tuple[str, int]]:
    return [(op.key, op.number) for op in ops if op.kind == "delivered" and op.actor == consumer]


def _disordered(deliveries: list[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those whose first delivery came after a later number of the same key."""
    newest: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    late = set()
    for key, number in deliveries:
        if (key, number) not in seen and number < newest.get(key, number):
            late.add((key, number))
        seen.add((key, number))
        newest[key] = max(number, newest.get(key, number))
    return late


def _named(
    found: Iterable[tuple[str, set[tuple[str, int]]]],
) -> tuple[tuple[str, str, int], ...]:
    return tuple((name, key, number) for name, each in found for key, number in sorted(each))
