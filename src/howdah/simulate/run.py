"""A run: a model, a seed, what was done to it on the way, and every instant of it.

Owns the choice of the engine, the script of interventions, keyframes (snapshots from which any
instant is reached again), forks and replay files. Must never change what an engine would do: a run
that is looked at, stopped or forked has the same hash as one that is not.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from howdah.errors import BadInput
from howdah.simulate import numbers
from howdah.simulate.choosing import Chosen, choose, start
from howdah.simulate.engine import Engine, Item, Samples, Snapshot
from howdah.simulate.model import Model
from howdah.simulate.replay import Replay, Step, read, write
from howdah.simulate.settable import check
from howdah.simulate.validate import validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Moment", "Run", "simulate", "start"]

MOST_KEYFRAMES = 256  # then every second one is dropped, and they come half as often
_SPACING = {"kernel": 1 << 19, "reference": 1 << 14}  # events between keyframes


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The state at a second of a run."""

    time: float
    events: int
    hash: int
    gauges: Mapping[str, float]
    items: tuple[Item, ...]


class _Keyframe(msgspec.Struct, frozen=True):
    """A snapshot, and how many steps of the script it has behind it."""

    snapshot: Snapshot
    steps: int


class Run:
    """One run. Make one with `Run.start` or `simulate`; times are seconds of the run."""

    def __init__(self, model: Model, seed: int, chosen: Chosen) -> None:
        self.model = model
        self.seed = seed
        self.engine = chosen.engine
        self.why = chosen.why  # this engine was taken
        self._script: list[Step] = []
        self._frames = [_Keyframe(self.engine.snapshot(), 0)]
        self._spacing = _SPACING[self.engine.name]
        self._aside: Engine | None = None  # looks at other instants

    @classmethod
    def start(cls, model: Model, *, seed: int = 0, engine: str | None = None) -> Run:
        """A run at second 0. Raises BadInput for a model that cannot run.

        `engine`: "kernel" or "reference"; without it the kernel if it can run this model.
        """
        validate(model)
        return cls(model, seed, choose(model, seed, engine))

    # Going on.

    @property
    def now(self) -> float:
        """The second that was reached."""
        return self.engine.now_ns / 1e9

    @property
    def events(self) -> int:
        """Events that happened so far."""
        return self.engine.events

    @property
    def hash(self) -> int:
        """The hash of all events so far: a function of model, seed and script."""
        return self.engine.hash

    def until(self, second: float) -> Run:
        """Go on until this second; everything that happens at it has happened then."""
        wanted = numbers.nanoseconds(second)
        if wanted < self.engine.now_ns:
            raise BadInput(
                f"the run is at second {self.now:g} already", hint=f"run.at({second:g}) looks back"
            )
        self._go(wanted)
        return self

    def _go(self, wanted: int) -> None:
        while not self.engine.advance(wanted, self._spacing):
            self._keep()
        self.invariants()

    def _keep(self) -> None:
        """One more keyframe; few enough of them whatever the length of the run."""
        self._frames.append(_Keyframe(self.engine.snapshot(), len(self._script)))
        if len(self._frames) > MOST_KEYFRAMES:
            self._frames = self._frames[::2]
            self._spacing *= 2

    def invariants(self) -> None:
        """Flow balance, Little's law and the rest; a violation is a bug and ends the run."""
        wrong = self.engine.check()
        if wrong:
            raise RuntimeError(f"the {self.engine.name} engine does not add up: {wrong}")

    # What is done to it.

    def _step(self, kind: str, what: str, value: float | str | None = None) -> Run:
        step = Step(time=self.engine.now_ns, kind=kind, what=what, value=value)
        step.apply(self.engine)
        self._script.append(step)
        self.invariants()
        return self

    def set(self, path: str, value: float | str) -> Run:
        """Change a setting now. Raises BadInput with the nearest path, or what is wrong with the
        value."""
        check(self.model, path, value)
        return self._step("set", path, value)

    def inject(self, client: str, count: int) -> Run:
        """So many requests (sessions) of a client start now."""
        return self._step("inject", client, count)

    def flush(self, cache: str) -> Run:
        """The cache forgets everything."""
        return self._step("flush", cache)

    def drop(self, element: str) -> Run:
        """Everybody who waits in this Queue or Pool is rejected."""
        return self._step("drop", element)

    def reseed(self, seed: int) -> Run:
        """All further draws are new ones."""
        return self._step("reseed", "", seed)

    # Other instants.

    def at(self, second: float) -> Moment:
        """The state at an instant that was passed: a keyframe, and what follows it again."""
        engine = self._reach(numbers.nanoseconds(second))[0]
        return Moment(
            time=engine.now_ns / 1e9,
            events=engine.events,
            hash=engine.hash,
            gauges=engine.gauges(),
            items=tuple(engine.items()),
        )

    def _reach(self, time: int) -> tuple[Engine, int]:
        """An engine at a time, and how many steps of the script it has behind it."""
        if time > self.engine.now_ns:
            raise BadInput(
                f"second {time / 1e9:g} is not reached yet: the run is at {self.now:g}",
                hint=f"run.until({time / 1e9:g})",
            )
        index = bisect.bisect_right(self._frames, time, key=lambda one: one.snapshot.now_ns) - 1
        frame = self._frames[index]
        engine = self._aside = self._aside or self.engine.fork()
        engine.restore(frame.snapshot)
        steps = frame.steps
        for step in self._script[frame.steps :]:
            if step.time > time:
                break
            engine.advance(step.time)
            step.apply(engine)
            steps += 1
        engine.advance(time)
        return engine, steps

    def fork(self, at: float | None = None, set: Mapping[str, float | str] | None = None) -> Run:
        """Another run from an instant of this one (now), with other settings from then on."""
        time = self.engine.now_ns if at is None else numbers.nanoseconds(at)
        engine, steps = self._reach(time)
        twin = Run.__new__(Run)
        twin.__dict__.update(self.__dict__)
        twin.engine, twin._aside = engine.fork(), None
        twin._script = self._script[:steps]
        twin._frames = [
            one for one in self._frames if one.snapshot.now_ns <= time and one.steps <= steps
        ]
        for path, value in (set or {}).items():
            twin.set(path, value)
        return twin

    # What is to be seen.

    def samples(self) -> Samples:
        """Every column at every sample so far."""
        return self.engine.samples()

    def series(self, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and values of a column's samples. Raises BadInput."""
        samples = self.engine.samples()
        if column not in samples.columns:
            raise BadInput(
                f"there is no column {column}", hint=", ".join(list(samples.columns)[:20])
            )
        return samples.t, samples.columns[column]

    def rate(self, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What a cumulative column grew by, a second, between a sample and the one before."""
        t, values = self.series(column)
        return t[1:], (values[1:] - values[:-1]) / (t[1:] - t[:-1])

    def gauges(self) -> dict[str, float]:
        """Every column, now."""
        return self.engine.gauges()

    def items(self) -> list[Item]:
        """What is in flight, by serial."""
        return self.engine.items()

    # Replay files.

    def save(self, path: Path) -> None:
        """Write the run as a file from which it can be had again, to the bit."""
        replay = Replay(
            model=self.model,
            seed=self.seed,
            script=tuple(self._script),
            until=self.engine.now_ns,
            events=self.events,
            hash=f"{self.hash:016x}",
        )
        write(replay, path)

    @classmethod
    def replay(cls, path: Path, *, engine: str | None = None) -> Run:
        """The run of a replay file, run again. Raises BadFile when it comes out differently."""
        told = read(path)
        run = cls.start(told.model, seed=told.seed, engine=engine)
        for step in told.script:
            run._go(step.time)
            run._step(step.kind, step.what, step.value)
        run._go(told.until)
        told.verify(run.hash, run.events, path)
        return run


def simulate(
    model: Model,
    seed: int = 0,
    until: float | None = None,
    engine: Literal["kernel", "reference"] | None = None,
) -> Run:
    """Run a model to a second (its horizon). Raises BadInput for a model that cannot run."""
    run = Run.start(model, seed=seed, engine=engine)
    return run.until(model.horizon if until is None else until)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one replica: its last gauges, and the samples of the columns asked for."""

    seed: int
    hash: int
    events: int
    gauges: Mapping[str, float]
    t: Any = None
    columns: Mapping[str, Any] = {}


def replicas(
    model: Model,
    seeds: Iterable[int],
    *,
    threads: int = 2,
    until: float | None = None,
    set: Mapping[str, float | str] | None = None,
    columns: Iterable[str] = (),
    engine: str | None = None,
) -> list[Outcome]:
    """Runs with other seeds, each changed by `set` at second 0; in the order of the seeds.

    The kernel holds no lock of Python's, so threads run beside each other; what comes out does
    not depend on their number.
    """
    from concurrent.futures import ThreadPoolExecutor

    validate(model)
    wanted, kept = numbers.nanoseconds(model.horizon if until is None else until), tuple(columns)

    def one(seed: int) -> Outcome:
        made = start(model, seed, engine)
        for path, value in (set or {}).items():
            made.set(path, value)
        made.advance(wanted)
        samples = made.samples() if kept else None
        return Outcome(
            seed=seed,
            hash=made.hash,
            events=made.events,
            gauges=made.gauges(),
            t=samples.t if samples else None,
            columns={name: samples.columns[name] for name in kept} if samples else {},
        )

    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(pool.map(one, seeds))
