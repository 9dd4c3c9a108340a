"""The search of A19: where admission control harms an execution control that copes alone.

Owns the space that is searched, what counts as harm, and a resumable run over it. Must never judge
by one seed: every point is run with several, in pairs that see the same world.

    python -m howdah.simulate.scenarios.interference rows.jsonl --points 400 --confirm worst.jsonl

Point i of a seed is always the same point; points that are in the file already are not run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from howdah.simulate import intervals
from howdah.simulate.engine import Samples
from howdah.simulate.intervals import Estimate
from howdah.simulate.scenarios import trials
from howdah.simulate.scenarios.a19_admission_control import END, HORIZON, SCENARIO, SPIKE

COPES = 0.95  # share of the users' requests answered, in the spike and after it, without control
HARM = 0.10  # points of goodput that control takes
QUIET = 0.02  # control that refuses more than this without a spike is badly set, not interfering
BEFORE = (SPIKE / 3, SPIKE)
IN_SPIKE = (SPIKE + 10, END)
AFTER = (END + 20, HORIZON - 1)  # the spike has been over for 20 s


NEVER = 1e9  # JSON has no infinity
LONG = 250.0  # seconds, to see whether the harm ends


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of A19 and where it is looked for."""

    name: str
    low: float
    high: float
    kind: str = "log"  # log, linear, or whole


SPACE = (
    Dimension(name="threshold", low=0.003, high=0.5),
    Dimension(name="up", low=0.02, high=5.0),
    Dimension(name="down", low=0.01, high=2.0),
    Dimension(name="period", low=0.05, high=5.0),
    Dimension(name="wait", low=0, high=2, kind="whole"),
    Dimension(name="spike", low=1.0, high=4.0, kind="linear"),
    Dimension(name="long_spike", low=1.0, high=6.0, kind="linear"),
    Dimension(name="io", low=0.001, high=0.01),
    Dimension(name="beta", low=0.0, high=0.01, kind="linear"),
    Dimension(name="joint", low=0, high=1, kind="whole"),
    Dimension(name="retries", low=0, high=3, kind="whole"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One point and what was measured there. Shares are of the users' requests."""

    index: int
    point: Mapping[str, float]
    alone: Estimate  # answered in the spike without control
    alone_after: Estimate
    before: Estimate  # points that control takes before the spike
    harm: Estimate  # points that it takes in the spike
    harm_after: Estimate
    tickets_alone: float  # mean tickets of the users' pool in the spike
    tickets: float  # the same with control
    lasts: Estimate | None = None  # seconds after the spike until users are served again
    peace: Estimate | None = None  # share answered with control when there is no spike at all

    @property
    def copes(self) -> bool:
        """Execution control alone absorbs the spike."""
        return self.alone.value >= COPES and self.alone_after.value >= COPES

    @property
    def quiet(self) -> bool:
        """Without a spike control leaves users alone."""
        return self.before.value <= QUIET

    @property
    def harmed(self) -> bool:
        """Control takes 10 points or more, and the interval excludes that it takes nothing."""
        return self.harm.value >= HARM and self.harm.low > 0

    @property
    def interferes(self) -> bool:
        """It copes alone, control is quiet before, and takes 10 points or more in the spike."""
        return self.copes and self.quiet and self.harmed

    @property
    def outlasts(self) -> bool:
        """Control still takes 10 points or more 20 s after the spike."""
        return self.harm_after.value >= HARM and self.harm_after.low > 0

    @property
    def helps(self) -> bool:
        """It does not cope alone, and control gives 10 points or more."""
        return not self.copes and self.harm.value <= -HARM and self.harm.high < 0


def point(index: int, seed: int = 1) -> dict[str, float]:
    """The point of this number: uniform over the space, on the scale of each dimension."""
    drawn = np.random.default_rng([seed, index]).random(len(SPACE))
    return {d.name: _place(d, float(u)) for d, u in zip(SPACE, drawn, strict=True)}


def _place(d: Dimension, u: float) -> float:
    if d.kind == "whole":
        return float(int(d.low + u * (d.high - d.low + 1)))
    if d.kind == "log":
        return round(float(d.low * (d.high / d.low) ** u), 6)
    return round(d.low + u * (d.high - d.low), 6)


def measure(index: int, at: Mapping[str, float], seeds: range, horizon: float = HORIZON) -> Row:
    """Both designs at one point, with the same seeds."""
    alone, both = (
        trials.run_all(
            SCENARIO.model(**(dict(at) | {"control": control, "horizon": horizon})),
            seeds,
            threads=1,
        )
        for control in (0.0, 1.0)
    )

    def lost(span: tuple[float, float]) -> Estimate:
        return intervals.mean(answered(alone, span) - answered(both, span))

    return Row(
        index=index,
        point=at,
        alone=intervals.mean(answered(alone, IN_SPIKE)),
        alone_after=intervals.mean(answered(alone, AFTER)),
        before=lost(BEFORE),
        harm=lost(IN_SPIKE),
        harm_after=lost(AFTER),
        tickets_alone=float(alone.levels("short.limit", *IN_SPIKE).mean()),
        tickets=float(both.levels("short.limit", *IN_SPIKE).mean()),
        lasts=trials.median(both.values(lasting)) if horizon > HORIZON else None,
    )


def lasting(samples: Samples) -> float:
    """Seconds from the end of the spike to that of the last 5 s with less than 90 % answered."""
    end = float(samples.t[-1])
    edges = np.arange(END, end + 1e-9, 5.0)
    good, asked = (
        np.diff(np.interp(edges, samples.t, samples.columns[f"users.{column}"]))
        for column in ("succeeded", "requests")
    )
    bad = np.flatnonzero(good < 0.9 * asked)
    if not len(bad):
        return 0.0
    return NEVER if bad[-1] == len(good) - 1 else float(edges[bad[-1] + 1] - END)


def answered(runs: trials.Runs, span: tuple[float, float]) -> trials.Floats:
    """The share of the users' requests that were answered, in each replica."""
    return runs.rates("users.succeeded", *span) / runs.rates("users.requests", *span)


def search(file: Path, points: int, replicas: int = 2, seed: int = 1) -> Iterator[Row]:
    """Run the points that `file` does not hold yet, and add them to it as they come."""
    known = {row.index for row in load(file)}
    wanted = [i for i in range(points) if i not in known]
    with ThreadPoolExecutor(2) as pool, file.open("ab") as out:
        for row in pool.map(lambda i: measure(i, point(i, seed), range(replicas)), wanted):
            out.write(line(row))
            out.flush()
            yield row


def confirm(rows: list[Row], seeds: range) -> Iterator[Row]:
    """Every point of harm again, for longer, with seeds that the search never saw.

    Each comes twice: as it was, with a run in peace, and with a gate that knows the classes.
    """
    found = [r for r in rows if r.copes and r.quiet and (r.harmed or r.outlasts)]
    wanted = [(r.index, dict(r.point) | {"each": each}) for r in found for each in (0.0, 1.0)]

    def again(each: tuple[int, dict[str, float]]) -> Row:
        row = measure(each[0], each[1], seeds, LONG)
        return row if each[1]["each"] else msgspec.structs.replace(row, peace=calm(each[1], seeds))

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(again, wanted)


def calm(at: Mapping[str, float], seeds: range) -> Estimate:
    """The share answered with control and without any spike, until the end."""
    model = SCENARIO.model(**(dict(at) | {"control": 1.0, "horizon": LONG}))
    runs = trials.run_all(msgspec.structs.replace(model, triggers=()), seeds, threads=1)
    return intervals.mean(answered(runs, (BEFORE[0], LONG)))


def line(row: Row) -> bytes:
    """A row as a line of a file, with as many digits as it is worth."""
    return msgspec.json.encode(_rounded(msgspec.to_builtins(row))) + b"\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items() if each is not None}
    return round(value, 5) if isinstance(value, float) else value


def load(file: Path) -> list[Row]:
    """The rows of a file, by index; none if there is no file."""
    if not file.exists():
        return []
    rows = [msgspec.json.decode(line, type=Row) for line in file.read_bytes().splitlines()]
    return sorted(rows, key=lambda row: row.index)


def main() -> int:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description="where admission control harms execution control")
    parser.add_argument("file", type=Path)
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--confirm", type=Path, help="write the worst points again, fresh seeds")
    options = parser.parse_args()
    for row in search(options.file, options.points, options.replicas):
        print(
            f"{row.index}: alone {row.alone.value:.3f}, before {row.before.value:.3f}, "
            f"harm {row.harm.value:.3f}, after {row.harm_after.value:.3f}, "
            f"{'interferes' if row.interferes else ''}",
            flush=True,
        )
    if options.confirm:
        again = confirm(load(options.file), range(1000, 1003))
        options.confirm.write_bytes(b"".join(line(row) for row in again))
    return 0


if __name__ == "__main__":
    sys.exit(main())
