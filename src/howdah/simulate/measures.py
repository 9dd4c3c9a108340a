"""What a run says about a failure: recovery, deficit, amplification, and which columns show it.

Owns pure functions over sampled columns (seconds, values). Must never run an engine, and never
call a run recovered that was only not watched for long enough: every verdict names its horizon.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput
from howdah.simulate.model import Model, Trigger

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Floats]

GAUGES = frozenset(
    {"open", "waiting_retry", "limit", "inside", "waiting", "in_service", "inflight"}
)


class Yardstick(msgspec.Struct, frozen=True, kw_only=True):
    """When goodput counts as back: `share` of the undisturbed, in `windows` successive windows.

    A window lasts until `expected` successes would be seen without a disturbance (at least a
    hundredth of what is left of the run), or `window` seconds when given, and at most a twelfth of
    what is left. With `lasting` a return that is followed by as many windows that are clearly down
    (below `share` by twice the chance in a window) was none: a collapse may come long after its
    trigger. Near the load at which a model tips by itself this counts those falls too.
    """

    share: float = 0.9
    windows: int = 3
    expected: float = 100.0
    window: float | None = None
    lasting: bool = True


YARDSTICK = Yardstick()


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one client's goodput after a disturbance."""

    after: float | None  # seconds from the disturbance's end to the return for good; None: stuck
    horizon: float  # seconds that were watched after the end
    undisturbed: float  # successes a second before the disturbance
    last: float  # the same over the last fifth of the run
    deficit: float  # successes missing since the disturbance began
    window: float  # seconds of a window

    @property
    def stuck(self) -> bool:
        """Still down at the horizon."""
        return self.after is None


class Disturbance(msgspec.Struct, frozen=True, kw_only=True):
    """From the first trigger's action to the end of the last, in seconds of the run."""

    start: float
    end: float


def disturbance(model: Model) -> Disturbance:
    """When the model's triggers begin and end; `settled_after` overrides the end.

    A trigger with a condition has no time of its own: its model must name `settled_after`.
    """
    fixed = [t for t in model.triggers if t.at is not None]
    if len(fixed) < len(model.triggers) and model.settled_after is None:
        raise BadInput(
            f"when the disturbance of {model.name!r} ends is not known: a trigger has a condition",
            hint="set settled_after, the second after which the disturbance is over",
        )
    start = min((t.at for t in fixed if t.at is not None), default=model.settled_after or 0.0)
    end = max((_end(t) for t in fixed), default=start)
    return Disturbance(start=start, end=end if model.settled_after is None else model.settled_after)


def _end(trigger: Trigger) -> float:
    at = trigger.at or 0.0
    return max([at, *(getattr(a, "until", None) or at for a in trigger.actions)])


def growth(t: Floats, values: Floats, start: float, end: float) -> float:
    """How much a cumulative column grew between two seconds (straight lines between samples)."""
    first, last = np.interp([start, end], t, values)
    return float(last - first)


def rate(t: Floats, values: Floats, start: float, end: float) -> float:
    """The growth of a cumulative column a second."""
    return growth(t, values, start, end) / (end - start) if end > start else math.nan


def recovery(
    t: Floats,
    succeeded: Floats,
    during: Disturbance,
    *,
    undisturbed: float | None = None,
    by: Yardstick = YARDSTICK,
) -> Recovery:
    """When goodput came back, from samples of a client's `succeeded`.

    Undisturbed is the goodput between a quarter of the time before the disturbance and its
    start, unless given (from a run without the trigger, when there is no time before).
    """
    horizon = float(t[-1])
    if undisturbed is None:
        undisturbed = rate(t, succeeded, during.start / 4, during.start)
    if not undisturbed > 0:
        raise BadInput(
            "there is no undisturbed goodput to compare with",
            hint="begin the disturbance later, or give the goodput of a run without it",
        )
    if horizon <= during.end:
        raise BadInput("the run ends before its disturbance does", hint="a longer horizon")
    window = _window(undisturbed, horizon - during.end, by)
    back = _back(t, succeeded, during.end, undisturbed * window, window, by)
    return Recovery(
        after=None if back is None else back - during.end,
        horizon=horizon - during.end,
        undisturbed=undisturbed,
        last=rate(t, succeeded, horizon - (horizon - during.end) / 5, horizon),
        deficit=undisturbed * (horizon - during.start)
        - growth(t, succeeded, during.start, horizon),
        window=window,
    )


def _window(undisturbed: float, left: float, by: Yardstick) -> float:
    longest = left / (4 * by.windows)
    usual = max(by.expected / undisturbed, left / 100)
    return min(by.window if by.window is not None else usual, longest)


def _back(
    t: Floats, succeeded: Floats, end: float, expected: float, window: float, by: Yardstick
) -> float | None:
    """The second from which goodput is back for good; None when it is not."""
    starts = np.unique(np.concatenate([[end], t[t > end]]))
    edges = starts[:, None] + window * np.arange(by.windows + 1)
    seen = edges[:, -1] <= float(t[-1]) + 1e-9
    starts, grown = starts[seen], np.diff(np.interp(edges[seen], t, succeeded), axis=1)
    good = (grown >= by.share * expected).all(axis=1)
    # By chance alone a window is this low once in forty, and all of them practically never.
    clearly = by.share - 2 / math.sqrt(expected) if expected > 0 else 0.0
    down = np.flatnonzero((grown < max(clearly, by.share / 2) * expected).all(axis=1))
    if by.lasting and len(down):
        good[: down[-1] + 1] = False
    found = np.flatnonzero(good)
    return float(starts[found[0]]) if len(found) else None


def clients(columns: Columns) -> tuple[str, ...]:
    """The clients that have a column `succeeded`."""
    return tuple(name[: -len(".succeeded")] for name in columns if name.endswith(".succeeded"))


def recoveries(
    t: Floats,
    columns: Columns,
    during: Disturbance,
    *,
    undisturbed: Mapping[str, float] | None = None,
    by: Yardstick = YARDSTICK,
) -> dict[str, Recovery]:
    """The recovery of each client that had any goodput to lose."""
    known = dict(undisturbed or {})
    found = {}
    for name in clients(columns):
        values = columns[f"{name}.succeeded"]
        level = known.get(name, rate(t, values, during.start / 4, during.start))
        if level > 0:
            found[name] = recovery(t, values, during, undisturbed=level, by=by)
    if not found:
        raise BadInput("no client has any goodput before the disturbance")
    return found


def together(each: Mapping[str, Recovery]) -> Recovery:
    """One verdict for all clients: recovered when the last of them is; goodputs added up."""
    times = [r.after for r in each.values()]
    return Recovery(
        after=None if None in times else max(t for t in times if t is not None),
        horizon=max(r.horizon for r in each.values()),
        undisturbed=sum(r.undisturbed for r in each.values()),
        last=sum(r.last for r in each.values()),
        deficit=sum(r.deficit for r in each.values()),
        window=max(r.window for r in each.values()),
    )


class Amplification(msgspec.Struct, frozen=True, kw_only=True):
    """How much more load and work there is than without the failure; 1 is none."""

    load: float  # w_L: attempts for a request
    work: float  # w_C: at the worst processor, visits for an attempt times service for a visit
    processor: str  # where that is


def amplification(
    t: Floats, columns: Columns, normal: tuple[float, float], failing: tuple[float, float]
) -> Amplification:
    """w_L and w_C (OSDI 2022) of a stretch of time `failing` against another, `normal`."""

    def per(top: list[str], bottom: list[str], span: tuple[float, float]) -> float:
        below = sum(growth(t, columns[c], *span) for c in bottom)
        return sum(growth(t, columns[c], *span) for c in top) / below if below else math.nan

    names = clients(columns)
    requests, tries = [f"{n}.requests" for n in names], [f"{n}.attempts" for n in names]
    load = per(tries, requests, failing) / per(tries, requests, normal)
    worst, where = 1.0, ""
    for busy in (name for name in columns if name.endswith(".busy")):
        place = busy[: -len(".busy")]
        came, left = [f"{place}.entered"], [f"{place}.left"]
        visits = per(came, tries, failing) / per(came, tries, normal)
        cost = per([busy], left, failing) / per([busy], left, normal)
        if visits * cost > worst:
            worst, where = visits * cost, place
    return Amplification(load=load, work=worst, processor=where)


class Characteristic(msgspec.Struct, frozen=True, kw_only=True):
    """A column as a sign of the failure."""

    column: str
    score: float  # share of the failing time that it is abnormal less share of the good time
    normal: tuple[float, float]  # the band that it keeps without a disturbance


def characteristic(
    t: Floats, columns: Columns, during: Disturbance, recovered_after: float | None
) -> tuple[Characteristic, ...]:
    """Columns ranked by how well they say "down": abnormal until recovery, normal after it.

    Gauges are taken as they are, cumulative columns by their growth from sample to sample, both
    averaged over ten samples. The band is the range of the three quarters of the time before the
    disturbance, widened by half. Score 1: abnormal all the time until recovery and never after.
    """
    at = t[1:]
    back = math.inf if recovered_after is None else during.end + recovered_after
    before = (at >= during.start / 4) & (at < during.start)
    failing, good = (at > during.end) & (at < back), before | (at >= back)
    if not before.any() or not failing.any():
        return ()
    found = []
    for name, values in columns.items():
        gauge = name.rsplit(".", 1)[-1] in GAUGES
        series = _smooth(values[1:] if gauge else np.diff(values))
        low, high = float(series[before].min()), float(series[before].max())
        slack = (high - low) / 2 + 1e-9
        odd = (series < low - slack) | (series > high + slack)
        score = float(odd[failing].mean() - odd[good].mean())
        if score > 0:
            found.append(Characteristic(column=name, score=score, normal=(low, high)))
    return tuple(sorted(found, key=lambda each: (-each.score, each.column)))


def _smooth(values: Floats, over: int = 10) -> Floats:
    """Each value with the ones before it, so that an average never looks ahead."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    index = np.arange(1, len(values) + 1)
    first = np.maximum(index - over, 0)
    return np.asarray((total[index] - total[first]) / (index - first))


def undisturbed_goodput(runs: Sequence[tuple[Floats, Columns]], since: float) -> dict[str, float]:
    """Each client's goodput after second `since`, averaged over runs without a trigger."""
    if not runs:
        raise BadInput("undisturbed goodput needs at least one run")
    return {
        name: sum(rate(t, c[f"{name}.succeeded"], since, float(t[-1])) for t, c in runs) / len(runs)
        for name in clients(runs[0][1])
    }
