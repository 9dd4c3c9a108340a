"""At what load, and after what disturbance, the measured system would tip.

Owns the model made of a fitted curve and of how clients behave, and the spread of its answers over
the curves that the measurements allow. Must never answer for a knee that was not seen or given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from howdah.errors import BadInput
from howdah.simulate.calibrate.fit import Curve, Fitted
from howdah.simulate.model import (
    Distribution,
    Exponential,
    Model,
    Open,
    Pool,
    Release,
    Retry,
    Scale,
    Sharing,
    Trigger,
    Uniform,
)
from howdah.simulate.search.threshold import Threshold, threshold
from howdah.simulate.search.trial import Budget, Judge

_CALM_TIMEOUTS = 10.0  # before the disturbance, to know what is undisturbed
_LONGEST_TIMEOUTS = 20.0  # of the disturbance
_WATCHED_TIMEOUTS = 30.0  # after it: a recovery that takes longer is none that anybody waits for
_SMALL = 2000.0
"""Transactions in a timeout, up to which a run is as long as above; beyond, chance averages out and
a third of it, and fewer runs, say as much."""
_BURST = "burst"

Law = Callable[[float], Distribution]
Tell = Callable[[str, float], None]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How the database is used: what measurements of the server cannot show."""

    rate: float  # transactions a second that are asked for now
    connections: int  # that the pool allows at once
    timeout: float  # seconds until a client gives up
    retries: int = 3
    backoff: float = 1.0  # seconds at most before a retry, uniform from 0
    burst: float = 3.0  # times the rate, the disturbance that is looked for


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """An answer over the curves that the measurements allow: its median, 5 % and 95 % points.

    `outside` says for how many of the curves there was no value in the range that was searched.
    """

    median: float | None
    low: float | None
    high: float | None
    curves: int
    outside: int = 0


class Foresight(msgspec.Struct, frozen=True, kw_only=True):
    """What the measured system would do."""

    usage: Usage
    most_per_second: Spread  # at the knee
    load: float  # the present rate as a share of that, by the best curve
    longest: float  # seconds of a burst, the longest that was tried
    tips_at: Spread  # the rate at which the longest burst leaves half of the runs down
    burst_seconds: Spread  # at the present rate: how long the burst must be
    unknown: tuple[str, ...] = ()


def foresee(
    fitted: Fitted,
    usage: Usage,
    *,
    law: Law | None = None,
    tell: Tell = lambda _what, _share: None,
) -> Foresight:
    """Ask the model of the best curve and of some resampled ones. `law`: of a demand's mean.

    Raises `BadInput` where the knee is unknown: no load can be called too high without it.
    """
    if not fitted.knee_seen and fitted.unknown and "knee" in fitted.unknown[0]:
        raise BadInput(
            "where this database tips cannot be said: its knee was not reached",
            detail=fitted.unknown[0],
            hint="record it under more load, or give the number of cores to assume",
        )
    pace = _pace(fitted.best, usage)
    curves, budget = max(1, round(4 * pace)), Budget(replicas=max(2, round(6 * pace)), probes=5)
    chosen = [fitted.best, *fitted.draws[:: max(1, len(fitted.draws) // curves)][:curves]]
    loads, bursts = [], []
    for place, curve in enumerate(chosen):
        tell("the rate at which a burst tips it", place / len(chosen))
        loads.append(_tipping_load(curve, usage, law, budget))
        tell("the burst that tips it now", (place + 0.5) / len(chosen))
        bursts.append(_tipping_burst(curve, usage, law, budget))
    return Foresight(
        usage=usage,
        most_per_second=_spread([each.most_per_second for each in (fitted.best, *fitted.draws)]),
        load=usage.rate / fitted.best.most_per_second,
        longest=_longest(fitted.best, usage),
        tips_at=_spread([_value(each) for each in loads]),
        burst_seconds=_spread([_value(each) for each in bursts]),
        unknown=fitted.unknown,
    )


def model_of(curve: Curve, usage: Usage, law: Law | None = None) -> Model:
    """Clients with a timeout and retries, a pool of connections, and the processors behind it."""
    demand = law(curve.demand) if law is not None else Exponential(mean=curve.demand)
    calm, longest = _CALM_TIMEOUTS * _unit(curve, usage), _longest(curve, usage)
    burst = Scale(path="clients.rate", factor=usage.burst, until=calm + longest)
    return Model(
        name="measured",
        clients={
            "clients": Open(
                to="connections",
                rate=usage.rate,
                timeout=usage.timeout,
                demand=demand,
                retry=Retry(most=usage.retries, backoff=Uniform(low=0.0, high=usage.backoff)),
            )
        },
        stations={
            "connections": Pool(tickets=usage.connections, to="database"),
            "database": Sharing(cores=curve.cores, overhead=curve.overhead, to="done"),
            "done": Release(pool="connections"),
        },
        triggers=(Trigger(name=_BURST, at=calm, actions=(burst,)),),
        horizon=calm + longest + _WATCHED_TIMEOUTS * _unit(curve, usage),
    )


def _pace(curve: Curve, usage: Usage) -> float:
    """1 for a small system, less for one whose runs would be long."""
    return min(1.0, _SMALL / (curve.most_per_second * usage.timeout))


def _unit(curve: Curve, usage: Usage) -> float:
    return usage.timeout * max(1 / 3, _pace(curve, usage))


def _longest(curve: Curve, usage: Usage) -> float:
    return _LONGEST_TIMEOUTS * _unit(curve, usage)


def _tipping_load(curve: Curve, usage: Usage, law: Law | None, budget: Budget) -> Threshold:
    most = curve.most_per_second
    return threshold(
        model_of(curve, usage, law),
        "clients.rate",
        low=0.05 * most,
        high=0.99 * most,
        judge=_asked,
        budget=budget,
    )


def _tipping_burst(curve: Curve, usage: Usage, law: Law | None, budget: Budget) -> Threshold:
    return threshold(
        model_of(curve, usage, law),
        f"triggers.{_BURST}.length",
        low=_longest(curve, usage) / 1000,
        high=_longest(curve, usage),
        judge=_asked,
        budget=budget,
    )


def _asked(model: Model) -> Judge:
    """Goodput is held against what is asked for: near its limit a system falls by itself."""
    client = model.clients["clients"]
    assert isinstance(client, Open), "the model of a measured system has open clients"
    return Judge(undisturbed={"clients": client.rate})


def _value(found: Threshold) -> float | None:
    return None if found.value is None else found.value.value


def _spread(values: Sequence[float | None]) -> Spread:
    known = [each for each in values if each is not None]
    outside = len(values) - len(known)
    if not known:
        return Spread(median=None, low=None, high=None, curves=len(values), outside=outside)
    low, median, high = (float(each) for each in np.quantile(known, [0.05, 0.5, 0.95]))
    return Spread(median=median, low=low, high=high, curves=len(values), outside=outside)
