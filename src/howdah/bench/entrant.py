"""A process of a contender: it produces or consumes as told, and says what it did.

Owns the child's side of the talk: an `Orders` as its argument, then lines on its standard input
("go", "allow N", "stop"), and one JSON `Said` a line on what was its standard output. Must never
let a contender print there: its own output goes to the error stream.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from howdah.bench import roster
from howdah.bench.contender import Place
from howdah.bench.model import Bench
from howdah.bench.tally import Counted, Emission, Tally, Work
from howdah.clock import SYSTEM_CLOCK, Clock

_TELL_SECONDS = 0.02


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is for."""

    contender: str
    bench: Bench
    place: Place
    way: str = ""
    work: Work | None = None  # to produce; None is to consume
    timing: bool = False


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a process."""

    what: str  # ready, counted, ended
    counted: Counted | None = None
    produced: int = 0
    seconds: float = 0.0  # from the first batch to the last commit


def main() -> None:
    """`python -m howdah.bench.entrant ORDERS`."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    if orders.work is None:
        _consume(orders, out, SYSTEM_CLOCK)
    else:
        _produce(orders, orders.work, out, SYSTEM_CLOCK)


def _consume(orders: Orders, out: BinaryIO, clock: Clock) -> None:
    contender = roster.of(orders.bench)[orders.contender]
    tally = Tally(clock, timing=orders.timing, each=orders.bench is Bench.QUEUE)
    _listen(out, allow=lambda _limit: None, stop=tally.stopped.set)
    telling = threading.Thread(target=_tell, args=(tally, out), daemon=True)
    telling.start()
    contender.consume(orders.place, tally)
    tally.stopped.set()
    telling.join()
    _say(out, Said(what="ended", counted=tally.counted(whole=True)))


def _produce(orders: Orders, work: Work, out: BinaryIO, clock: Clock) -> None:
    contender = roster.of(orders.bench)[orders.contender]
    emission = Emission(work, clock)
    _listen(out, allow=emission.allowance.raise_to, stop=emission.allowance.stop)
    contender.produce(orders.place, orders.way or contender.ways[0], emission.batches())
    seconds = clock.monotonic() - emission.first_at
    _say(out, Said(what="ended", produced=emission.count, seconds=seconds))


def _listen(out: BinaryIO, *, allow: Callable[[int], None], stop: Callable[[], None]) -> None:
    """Say that we are ready, wait for the start, then follow orders in the background."""
    _say(out, Said(what="ready"))
    sys.stdin.readline()

    def follow() -> None:
        for line in sys.stdin:
            if line.startswith("allow "):
                allow(int(line.split()[1]))
            else:
                break
        stop()  # told so, or the parent is gone

    threading.Thread(target=follow, daemon=True).start()


def _tell(tally: Tally, out: BinaryIO) -> None:
    told = -1
    while not tally.stopped.wait(_TELL_SECONDS):
        counted = tally.counted()
        if counted.count != told:
            told = counted.count
            _say(out, Said(what="counted", counted=counted))


def _say(out: BinaryIO, said: Said) -> None:
    out.write(msgspec.json.encode(said) + b"\n")


if __name__ == "__main__":
    main()
