"""What keeps a model down: from a stuck moment each feedback edge is cut in turn.

Owns the counterfactual runs and the name of the sustaining loop. Must never name an edge that was
not cut: what the report says was computed from runs that differ in that edge alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Literal

import msgspec

from howdah.errors import CouldNot
from howdah.simulate.engine import Engine, Snapshot
from howdah.simulate.intervals import Estimate, Survival, share, survival
from howdah.simulate.measures import (
    Disturbance,
    Recovery,
    disturbance,
    recovery,
    together,
)
from howdah.simulate.model import Model
from howdah.simulate.parts import flatten
from howdah.simulate.run import start
from howdah.simulate.search.edges import NOTHING, Cut, both, cuts
from howdah.simulate.search.reduction import one_minimal
from howdah.simulate.search.trial import (
    BUDGET,
    JUDGE,
    SECOND,
    Budget,
    Judge,
    Progress,
    advance,
    levels,
    trials,
)


class Ablation(msgspec.Struct, frozen=True, kw_only=True):
    """What one cut did to the stuck moments."""

    cut: str
    kind: Literal["feedback", "state", "nothing"]
    elements: tuple[str, ...]
    recovered: Estimate  # share of the moments from which goodput came back
    recovery: Survival  # and after how long
    stays: Estimate | None  # of those: share that stayed good when the cut was undone


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Which cuts recover, best first, and the loop that this names."""

    ablations: tuple[Ablation, ...]
    control: Ablation  # nothing cut: what would have happened anyway
    sustaining: tuple[str, ...]  # feedback edges whose cut alone recovers most moments
    loop: tuple[str, ...]  # the elements that they touch
    remedies: tuple[str, ...]  # state that, put back once, recovers most moments
    moments: int
    patience: float  # seconds that each was watched
    sentence: str


class _Moment(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    engine: Engine
    snapshot: Snapshot
    at: float


def attribute(
    model: Model,
    *,
    moments: int = 8,
    patience: float | None = None,
    sets: bool = True,
    extra: Sequence[Cut] = (),
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
) -> Attribution:
    """Cut each edge at up to `moments` stuck runs' horizons and watch for `patience` seconds.

    `patience` is the time that the runs were watched after the disturbance, when not given. When
    no single cut recovers most moments, all are made at once (with `sets`), and that set is reduced
    to one from which none can be taken. CouldNot: no run is stuck.
    """
    model = flatten(model)
    during = disturbance(model)
    normal = levels(model, judge=judge, budget=budget)
    judge = msgspec.structs.replace(judge, undisturbed=normal)
    found = _stuck(model, moments, judge, budget)
    watch = patience or model.horizon - during.end
    tried = [*cuts(model), *extra]
    bench = _Bench(found, watch, judge, budget)
    control, *results = bench.all([NOTHING, *tried], progress)
    if sets and len(tried) > 1 and not any(_works(each) for each in results):
        results += bench.smallest(tried)
    return _report(control, results, len(found), watch)


def _stuck(model: Model, moments: int, judge: Judge, budget: Budget) -> list[_Moment]:
    found = trials(model, budget.seeds(), judge=judge, budget=budget)
    seeds = [t.seed for t in found if t.recovery.stuck][:moments]
    if not seeds:
        raise CouldNot(
            f"none of {len(found)} runs is stuck at second {model.horizon:g}",
            hint="a stronger trigger, a higher load, or more replicas",
        )
    kept = []
    for seed in seeds:
        engine = start(model, seed, budget.engine)
        advance(engine, model.horizon)
        kept.append(_Moment(seed=seed, engine=engine, snapshot=engine.snapshot(), at=model.horizon))
    return kept


class _Bench:
    """The stuck moments, each with an engine that is set back to it for every cut."""

    def __init__(
        self, moments: list[_Moment], patience: float, judge: Judge, budget: Budget
    ) -> None:
        self.moments, self.patience = moments, patience
        self.judge, self.budget = judge, budget

    def all(self, tried: Sequence[Cut], progress: Progress | None) -> list[Ablation]:
        """Every cut at every moment; moments run beside each other, cuts one by one."""
        results = []
        with ThreadPoolExecutor(self.budget.threads) as pool:
            for done, cut in enumerate(tried, 1):
                runs = list(pool.map(lambda moment, cut=cut: self._one(moment, cut), self.moments))
                results.append(_ablation(cut, runs))
                if progress is not None:
                    progress(cut.name, done / len(tried))
        return results

    def smallest(self, tried: Sequence[Cut]) -> list[Ablation]:
        """The cuts that are needed together, as one; empty when even all of them do not help."""

        def together(some: Sequence[Cut]) -> Ablation:
            return self.all([reduce(both, some)], None)[0]

        if not _works(together(tried)):
            return []
        return [together(one_minimal(tried, lambda some: bool(some) and _works(together(some))))]

    def _one(self, moment: _Moment, cut: Cut) -> tuple[Recovery, bool | None]:
        """What became of this moment, and whether it stayed good when the cut was undone."""
        engine = moment.engine
        engine.restore(moment.snapshot)
        cut.apply(engine)
        advance(engine, moment.at + self.patience)
        after = self._recovery(engine, moment.at)
        if after.stuck or not cut.lasts:
            return after, None
        undone = engine.now_ns / SECOND
        cut.undo(engine)
        advance(engine, undone + self.patience)
        # Half of the time passes before it is judged: a relapse takes its time.
        return after, not self._recovery(engine, undone + self.patience / 2).stuck

    def _recovery(self, engine: Engine, since: float) -> Recovery:
        samples = engine.samples()
        during = Disturbance(start=since, end=since)
        return together(
            {
                name: recovery(
                    samples.t,
                    samples.columns[f"{name}.succeeded"],
                    during,
                    undisturbed=level,
                    by=self.judge.by,
                )
                for name, level in self.judge.undisturbed.items()
            }
        )


def _ablation(cut: Cut, runs: list[tuple[Recovery, bool | None]]) -> Ablation:
    back = sum(not r.stuck for r, _ in runs)
    stayed = [stays for _, stays in runs if stays is not None]
    return Ablation(
        cut=cut.name,
        kind=cut.kind,
        elements=cut.elements,
        recovered=share(back, len(runs)),
        recovery=survival([r.after for r, _ in runs], [r.horizon for r, _ in runs]),
        stays=share(sum(stayed), len(stayed)) if stayed else None,
    )


def _works(ablation: Ablation) -> bool:
    return ablation.recovered.value >= 0.5


def _speed(ablation: Ablation) -> tuple[float, float]:
    median = ablation.recovery.median
    return -ablation.recovered.value, float("inf") if median is None else median


def _report(
    control: Ablation, results: list[Ablation], moments: int, patience: float
) -> Attribution:
    ranked = tuple(sorted(results, key=_speed))
    # What comes back by itself as often says nothing about a cut.
    working = [r for r in ranked if _works(r) and r.recovered.low > control.recovered.value]
    feedback = [r for r in working if r.kind == "feedback"]
    state = [r for r in working if r.kind == "state"]
    return Attribution(
        ablations=ranked,
        control=control,
        sustaining=tuple(r.cut for r in feedback),
        loop=tuple(dict.fromkeys(e for r in feedback for e in r.elements)),
        remedies=tuple(r.cut for r in state),
        moments=moments,
        patience=patience,
        sentence=_sentence(control, feedback, state, patience),
    )


def _sentence(
    control: Ablation, feedback: list[Ablation], state: list[Ablation], patience: float
) -> str:
    count = control.recovered.count
    if not feedback and not state:
        return f"No cut brings most of {count} stuck runs back within {patience:g} s."
    words = []
    if feedback:
        words.append(f"It is kept down by {', '.join(map(_figure, feedback))}.")
    if state:
        words.append(f"Putting back helps: {', '.join(map(_figure, state))}.")
    by_itself = round(control.recovered.value * count)
    words.append(f"Nothing cut: {by_itself} of {count} come back within {patience:g} s.")
    return " ".join(words)


def _figure(ablation: Ablation) -> str:
    count = ablation.recovered.count
    back = round(ablation.recovered.value * count)
    median = ablation.recovery.median
    after = "" if median is None else f", half of them after {median:g} s"
    return f"{ablation.cut} ({back} of {count} come back{after})"
