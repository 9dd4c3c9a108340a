"""A process that takes one snapshot and says what it cost.

Owns nothing but its own peak memory: that is why it is a process. Run by `howdah.bench.collector`.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import msgspec

from howdah.bench.collector import Taken
from howdah.clock import SYSTEM_CLOCK
from howdah.snapshot import collect, file
from howdah.snapshot.facts import Status
from howdah.snapshot.model import fact_types
from howdah.snapshot.options import QUICK


def main() -> None:
    """`python -m howdah.bench.measured_take DSN FILE` prints one `Taken` as JSON."""
    dsn, path = sys.argv[1], Path(sys.argv[2])
    started = SYSTEM_CLOCK.monotonic()
    snapshot = collect.take(dsn, QUICK)
    seconds = SYSTEM_CLOCK.monotonic() - started
    file.write(snapshot, path)
    facts = {name: snapshot.fact(name) for name in fact_types()}
    taken = Taken(
        seconds=seconds,
        held_seconds=snapshot.seconds,
        megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        file_bytes=path.stat().st_size,
        not_known=tuple(
            f"{name}: {fact.status} {fact.reason}".strip()
            for name, fact in facts.items()
            if not fact.known and fact.status is not Status.SKIPPED
        ),
    )
    sys.stdout.buffer.write(msgspec.json.encode(taken))


if __name__ == "__main__":
    main()
