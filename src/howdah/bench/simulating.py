"""`howdah bench simulate`: the same models on each simulator, in one run.

Owns the JSON contract of that bench (version 1) and how it is measured: every simulator in a
process of its own, runs of doubling length until one has taken the wanted time, that one counts.
Must never compare unlike work: the counts of all simulators are compared first.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from howdah.bench import simulators
from howdah.bench.roster import OURS, is_ours
from howdah.bench.simulator import Counts, Load, Simulator
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.config import suggestion
from howdah.errors import BadInput

VERSION = 1
_FIRST_SECONDS = 4_000.0  # of the model's time: past the retry storm's burst
_TOLERANCE = 0.15
"""Shares of unlike length runs differ by chance; a model that is not the same differs by more."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one run does."""

    against: tuple[str, ...] = ()  # empty: everyone who is installed
    seconds: Annotated[float, Meta(ge=0.2, le=600)] = 5.0  # of wall time, for each measured run
    seed: int = 1


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """One simulator on one model. `per_second` counts arrivals, retries and departures."""

    name: str
    load: Load
    what: str
    version: str
    per_second: float
    ratio_to_howdah: float | None
    model_seconds: float
    wall_seconds: float
    counts: Counts


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """One that could not take part, and why."""

    name: str
    why: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON contract."""

    version: int = VERSION
    bench: str = "simulate"
    cores: int
    plan: Plan
    contenders: tuple[Simulated, ...]
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()


def everyone() -> dict[str, Simulator]:
    """Every simulator of the folder, by name."""
    modules = sorted(each.name for each in pkgutil.iter_modules(simulators.__path__))
    found = [importlib.import_module(f"{simulators.__name__}.{each}") for each in modules]
    return {each.name: each for module in found for each in module.SIMULATORS}


def chosen(against: Sequence[str]) -> tuple[Simulator, ...]:
    """Ours first, then those asked for, or all. `BadInput` for a name that nobody has."""
    able = everyone()
    for name in against:
        if name not in able:
            raise BadInput(f"no simulator {name!r} in the bench", hint=suggestion(name, able))
    names = dict.fromkeys([OURS, *(against or sorted(able))])
    return tuple(able[name] for name in names)


def run(plan: Plan, tell: Callable[[str], None]) -> Report:
    """Measure each simulator on each model that it knows."""
    measured: list[Simulated] = []
    missing: list[Missing] = []
    for simulator in chosen(plan.against):
        for load in sorted(simulator.loads):
            tell(f"{simulator.name}: {load}")
            try:
                measured.append(_in_a_process(simulator, load, plan))
            except _Failed as failed:
                missing.append(Missing(name=simulator.name, why=str(failed)))
                break
    compared = tuple(_beside(each, measured) for each in measured)
    return Report(
        cores=os.cpu_count() or 1,
        plan=plan,
        contenders=tuple(sorted(compared, key=lambda each: each.load)),
        missing=tuple(missing),
        notes=tuple(_unlike(measured)),
    )


class _Failed(Exception):
    """A simulator's process ended without a result."""


def _in_a_process(simulator: Simulator, load: Load, plan: Plan) -> Simulated:
    """One simulator alone: no other's memory, threads or compiled code beside it."""
    command = [sys.executable, "-m", __name__, simulator.name, load, str(plan.seconds)]
    done = subprocess.run([*command, str(plan.seed)], capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        install = f" (pip install {simulator.package})" if simulator.package else ""
        raise _Failed(f"{''.join(last) or 'it ended without a word'}{install}")
    return msgspec.json.decode(done.stdout, type=Simulated)


def measure(name: str, load: Load, seconds: float, seed: int, clock: Clock) -> Simulated:
    """Longer and longer runs, until one takes most of `seconds`; the first is a warm-up."""
    simulator = everyone()[name]
    version = simulator.version()
    simulator.run(load, _FIRST_SECONDS, seed)
    length = _FIRST_SECONDS
    while True:
        started = clock.monotonic()
        counts = simulator.run(load, length, seed)
        took = clock.monotonic() - started
        if took >= 0.7 * seconds:
            break
        length *= max(2.0, min(64.0, seconds / max(took, 1e-3)))
    return Simulated(
        name=name,
        load=load,
        what=simulator.what,
        version=version,
        per_second=counts.events / took,
        ratio_to_howdah=None,
        model_seconds=length,
        wall_seconds=took,
        counts=counts,
    )


def _beside(one: Simulated, everybody: Sequence[Simulated]) -> Simulated:
    """The same with its ratio to ours on the same model."""
    for other in everybody:
        if is_ours(other.name) and other.load is one.load:
            ratio = one.per_second / other.per_second
            return msgspec.structs.replace(one, ratio_to_howdah=ratio)
    return one


def _unlike(measured: Sequence[Simulated]) -> list[str]:
    """Whether somebody simulated something else: retries and work for each request must agree."""
    ours = {each.load: each.counts for each in measured if is_ours(each.name)}
    notes = []
    for each in measured:
        if each.load in ours:
            for field in ("retries", "served"):
                theirs, own = (
                    _for_each(counts, field) for counts in (each.counts, ours[each.load])
                )
                if abs(theirs - own) > _TOLERANCE * max(own, 0.05):
                    notes.append(
                        f"{each.name} on {each.load}: {theirs:.2f} {field} for each request, "
                        f"ours {own:.2f}: not the same model"
                    )
    return notes


def _for_each(counts: Counts, field: str) -> float:
    return float(getattr(counts, field)) / max(1, counts.requests)


if __name__ == "__main__":
    _name, _load, _seconds, _seed = sys.argv[1:]
    _result = measure(_name, Load(_load), float(_seconds), int(_seed), SYSTEM_CLOCK)
    sys.stdout.buffer.write(msgspec.json.encode(_result))
