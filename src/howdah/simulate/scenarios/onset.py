"""Where two probers begin to keep a database down: measured beside the closed form.

Owns the bisection of beta for each maximum of tickets, from two starts. Must never fit anything:
the closed form is that of `analytic/fluid.py`.

    python -m howdah.simulate.scenarios.onset onset.json

Clients do not try again here, so that the probers are the only loop. The two starts: `burst` is
A18 with 8 tickets each and 80 long operations at once; `crowded` begins with all tickets that a
pool may have, so that only the question remains whether the crowded state keeps itself.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from howdah.simulate.analytic.fluid import harmless_overhead
from howdah.simulate.intervals import share
from howdah.simulate.scenarios import trials
from howdah.simulate.scenarios.a18_two_probers import END, OFFERED, SCENARIO
from howdah.simulate.scenarios.execution_control import CORES

MAXIMA = (16, 32, 64, 128)
BETAS = (0.0, 0.001, 0.0018, 0.0025, 0.005, 0.01, 0.02)
LOW, HIGH = 2e-4, 0.1
DOWN = 0.9  # share of the users' requests answered at the end, below which it counts as down


class Onset(msgspec.Struct, frozen=True, kw_only=True):
    """For one maximum of tickets of a pool: the beta from which half of the runs stay down."""

    most: int
    closed: float  # beta at which 2 x most runnable threads just do the offered work
    burst: tuple[float, float]  # between these two lies the onset; equal: not within [LOW, HIGH]
    crowded: tuple[float, float]
    seeds: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """P(stuck) of a variant of A18."""

    what: str
    beta: float
    most: int
    stuck: float
    low: float
    high: float
    runs: int


def stuck(beta: float, most: int, *, crowded: bool, seeds: int) -> int:
    """How many runs stay down."""
    tickets = most if crowded else 8
    model = SCENARIO.model(beta=beta, most=most, tickets=tickets, retries=0)
    runs = trials.run_all(model, range(seeds), threads=1)
    answered = runs.rates("users.succeeded", *END) / runs.rates("users.requests", *END)
    return int((answered < DOWN).sum())


def edge(most: int, *, crowded: bool, seeds: int, probes: int = 6) -> tuple[float, float]:
    """The step of a bisection, on a logarithmic scale, within which half of the runs stay down."""
    low, high = LOW, HIGH
    if 2 * stuck(high, most, crowded=crowded, seeds=seeds) < seeds:
        return high, high
    for _ in range(probes):
        middle = math.sqrt(low * high)
        down = 2 * stuck(middle, most, crowded=crowded, seeds=seeds) >= seeds
        low, high = (low, middle) if down else (middle, high)
    return low, high


def onset(most: int, seeds: int) -> Onset:
    """Both starts for one maximum."""
    return Onset(
        most=most,
        closed=harmless_overhead(CORES, OFFERED, 2 * most),
        burst=edge(most, crowded=False, seeds=seeds),
        crowded=edge(most, crowded=True, seeds=seeds),
        seeds=seeds,
    )


def by_beta(beta: float, seeds: int) -> Share:
    """P(stuck) of A18 at this beta, with at most 128 tickets."""
    found = share(stuck(beta, 128, crowded=False, seeds=seeds), seeds)
    return Share(
        what="burst of 80",
        beta=beta,
        most=128,
        stuck=found.value,
        low=found.low,
        high=found.high,
        runs=seeds,
    )


class Found(msgspec.Struct, kw_only=True):
    """All that the page shows."""

    onsets: list[Onset] = []
    shares: list[Share] = []


def complete(file: Path, seeds: int) -> Iterator[Found]:
    """Measure what `file` does not hold yet; it is written after every figure."""
    found = msgspec.json.decode(file.read_bytes(), type=Found) if file.exists() else Found()
    betas = [b for b in BETAS if b not in {s.beta for s in found.shares}]
    maxima = [m for m in MAXIMA if m not in {o.most for o in found.onsets}]
    with ThreadPoolExecutor(2) as pool:
        for share_ in pool.map(lambda beta: by_beta(beta, 2 * seeds), betas):
            found.shares.append(share_)
            yield _kept(found, file)
        for onset_ in pool.map(lambda most: onset(most, seeds), maxima):
            found.onsets.append(onset_)
            yield _kept(found, file)


def _kept(found: Found, file: Path) -> Found:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return found


def main() -> int:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description="where two probers begin to keep a database down")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    for found in complete(options.file, options.seeds):
        print(f"{len(found.shares)} shares, {len(found.onsets)} onsets", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
