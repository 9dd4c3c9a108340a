"""The usual measures of an expectation: each names a variant of the model and what is read of it.

Owns functions that return a `Measure`. Must never run anything itself: `Study` does.
"""

from __future__ import annotations

import math

import numpy as np

from howdah.simulate import intervals
from howdah.simulate.intervals import Estimate
from howdah.simulate.measures import Yardstick
from howdah.simulate.scenarios import trials
from howdah.simulate.scenarios.scenario import Measure, Study


def stuck(
    client: str,
    *,
    by: Yardstick | None = None,
    undisturbed: float | None = None,
    **variant: float,
) -> Measure:
    """The share of runs in which the client's goodput is still down at the horizon."""
    return lambda study: trials.stuck_share(
        study.runs(**variant).recoveries(client, undisturbed, by)
    )


def recovered_within(
    client: str,
    *,
    by: Yardstick | None = None,
    undisturbed: float | None = None,
    **variant: float,
) -> Measure:
    """The median of the seconds until goodput is back; infinite when most runs stay down."""
    return lambda study: trials.recovery_median(
        study.runs(**variant).recoveries(client, undisturbed, by)
    )


def kept(client: str, start: float, end: float, **variant: float) -> Measure:
    """Goodput between two seconds as a share of the requests that came in them."""

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        good = runs.rates(f"{client}.succeeded", start, end)
        return intervals.mean(good / runs.rates(f"{client}.requests", start, end))

    return measure


def failing(client: str, start: float, end: float, below: float = 0.5, **variant: float) -> Measure:
    """The share of runs in which less than `below` of the requests in a span are answered."""

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        good = runs.rates(f"{client}.succeeded", start, end)
        found = good / runs.rates(f"{client}.requests", start, end)
        return intervals.share(int((found < below).sum()), len(found))

    return measure


def goodput(client: str, start: float, end: float, **variant: float) -> Measure:
    """Successes a second between two seconds."""
    return rate_of(f"{client}.succeeded", start, end, **variant)


def rate_of(column: str, start: float, end: float, **variant: float) -> Measure:
    """The growth of a column a second between two seconds."""
    return lambda study: intervals.mean(study.runs(**variant).rates(column, start, end))


def level_of(column: str, start: float, end: float, **variant: float) -> Measure:
    """The mean of a gauge between two seconds."""
    return lambda study: intervals.mean(study.runs(**variant).levels(column, start, end))


def first_at_least(column: str, level: float, since: float, **variant: float) -> Measure:
    """The median of the seconds after `since` until a gauge is first at `level`."""

    def measure(study: Study) -> Estimate:
        found = []
        for each in study.runs(**variant).samples:
            hits = each.t[(each.t >= since) & (each.columns[column] >= level)]
            found.append(float(hits[0]) - since if len(hits) else math.inf)
        return trials.median(np.array(found))

    return measure


def computed(value: float) -> Measure:
    """A figure of a formula beside the simulated ones."""
    return lambda _: trials.exact(value)


def kept_of(clients: tuple[str, ...], start: float, end: float, **variant: float) -> Measure:
    """Goodput of several clients together, as a share of their requests."""

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        good = runs.rates_of([f"{c}.succeeded" for c in clients], start, end)
        return intervals.mean(good / runs.rates_of([f"{c}.requests" for c in clients], start, end))

    return measure


def rate_of_all(columns: tuple[str, ...], start: float, end: float, **variant: float) -> Measure:
    """The growth of several columns together, a second."""
    return lambda study: intervals.mean(study.runs(**variant).rates_of(columns, start, end))
