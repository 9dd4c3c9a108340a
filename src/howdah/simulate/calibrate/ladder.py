"""Throughput against concurrency, measured: pgbench on a server of our own, step by step.

Owns the ladder: which concurrencies, for how long, and what pgbench's progress lines mean. Must
never run on a server that is not ours: it is full load by design.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from psycopg.conninfo import conninfo_to_dict

from howdah import postgres
from howdah.errors import BadInput
from howdah.simulate.calibrate.fit import Point
from howdah.simulate.model import Distribution, Erlang, Exponential, LogNormal

_PROGRESS = re.compile(
    r"progress: [\d.]+ s, (?P<rate>[\d.]+) tps, lat (?P<latency>[\d.]+|nan|-nan) ms "
    r"stddev (?P<deviation>[\d.]+|nan|-nan)"
)
_REGULAR = 0.7  # a coefficient of variation below is better an Erlang than an exponential
_SPREAD = 1.3  # and above, a log-normal


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One second at one concurrency, as pgbench reports it. Times in seconds."""

    clients: int
    per_second: float
    latency: float
    deviation: float

    @property
    def point(self) -> Point:
        """By Little's law, the number active is rate times latency."""
        return Point(active=self.per_second * self.latency, per_second=self.per_second)


def steps(most: int) -> tuple[int, ...]:
    """Concurrencies that double from 1 on, up to `most`.

    >>> steps(48)
    (1, 2, 4, 8, 16, 32, 48)
    """
    doubled = [1 << power for power in range(most.bit_length()) if 1 << power < most]
    return (*doubled, most)


def climb(
    server: postgres.Server,
    database: str,
    script: Path | None,
    *,
    steps: Sequence[int],
    seconds: int = 4,
    tell: Callable[[str], None] = lambda _text: None,
) -> tuple[Rung, ...]:
    """Run a pgbench script (its built-in select without one) at each concurrency.

    The first second of a step, in which clients connect, is not counted where there is another.
    Raises `BadInput` with pgbench's own words where the script fails, `Unsupported` where there is
    no pgbench.
    """
    rungs: list[Rung] = []
    for clients in steps:
        tell(f"{clients} at once")
        rungs += _step(server, database, script, clients, seconds)
    return tuple(rungs)


def prepare(server: postgres.Server, database: str, *, scale: int = 10) -> None:
    """The tables of pgbench's built-in scripts: 100,000 accounts for each of `scale`."""
    done = _pgbench(server, database, ["--initialize", "--quiet", f"--scale={scale}"])
    if done.returncode:
        raise BadInput("pgbench could not make its tables", detail=_last_words(done))


def variation(rungs: Sequence[Rung], mean: float) -> Distribution:
    """The law of the demand: its mean, and the spread of latencies while nobody queued."""
    alone = [each for each in rungs if each.clients == min(one.clients for one in rungs)]
    spread = sum(each.deviation for each in alone) / max(1e-12, sum(each.latency for each in alone))
    if spread < _REGULAR:
        return Erlang(stages=min(100, max(2, round(1 / max(spread, 0.1) ** 2))), mean=mean)
    if spread < _SPREAD:
        return Exponential(mean=mean)
    sigma = math.sqrt(math.log(1 + spread * spread))
    return LogNormal(median=mean / math.sqrt(1 + spread * spread), sigma=sigma)


def _step(
    server: postgres.Server, database: str, script: Path | None, clients: int, seconds: int
) -> list[Rung]:
    what = ["--select-only"] if script is None else [f"--file={script}"]
    threads = min(clients, os.cpu_count() or 1)
    how = [f"--client={clients}", f"--jobs={threads}", f"--time={seconds + 1}", "--progress=1"]
    done = _pgbench(server, database, [*what, *how, "--protocol=prepared", "--no-vacuum"])
    rungs = [_rung(clients, line) for line in done.stderr.splitlines()]
    seen = [each for each in rungs if each is not None]
    found = seen[1:] or seen
    if done.returncode or not found:
        raise BadInput(
            f"pgbench did not get through {script or 'its select'} with {clients} clients",
            detail=_last_words(done),
            hint="try the script with psql first; it may use pgbench's \\set and variables",
        )
    return found


def _rung(clients: int, line: str) -> Rung | None:
    seen = _PROGRESS.match(line)
    if seen is None or "nan" in seen["latency"]:
        return None
    return Rung(
        clients=clients,
        per_second=float(seen["rate"]),
        latency=float(seen["latency"]) / 1e3,
        deviation=float(seen["deviation"]) / 1e3,
    )


def _pgbench(
    server: postgres.Server, database: str, arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    program = postgres.programs("pgbench")
    place = conninfo_to_dict(server.dsn(database))
    where = [f"--host={place['host']}", f"--port={place.get('port', 5432)}"]
    return subprocess.run(
        [str(program), *where, f"--username={place['user']}", *arguments, database],
        capture_output=True,
        text=True,
        check=False,
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(done.stderr.strip().splitlines()[-8:])
