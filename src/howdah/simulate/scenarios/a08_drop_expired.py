"""A8: dropping what nobody waits for, before serving it.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import kept
from howdah.simulate.scenarios.retry_storm import (
    HORIZON,
    PROTOTYPE,
    retry_storm,
    stays_down,
    usual,
)
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect, expect_share


def build(rate: float, lifo: float) -> Model:
    """The storm whose server skips requests that have timed out."""
    return retry_storm(rate=rate, drop_expired=True, discipline="lifo" if lifo else "fifo")


def at(rate: float, share: float, lifo: int = 0, not_reproduced: str = "") -> Expectation:
    """P(stuck) at a load; what is not reproduced needs all replicas to be told apart."""
    order = "lifo" if lifo else "fifo"
    return expect_share(
        f"P(stuck) at {rate:g}, {order}",
        stays_down(rate=rate, lifo=lifo),
        share,
        PROTOTYPE,
        scale="full" if not_reproduced else "quick",
        not_reproduced=not_reproduced,
    )


SCENARIO = Scenario(
    id="A8",
    title="A retry storm with deadlines told to the server",
    source="constructed (ours)",
    teaches=(
        "A server that skips expired work does not waste itself on the dead, but a FIFO queue then "
        "serves those about to expire: many answers are late by a little.",
        "Told deadlines alone are no cure near full load; together with LIFO they are.",
        "The stuck state is milder: it answers nearly half instead of nothing.",
    ),
    parameters=usual(lifo=(0, 0, 1, "1: youngest first (ours)")),
    build=build,
    expected=(
        at(0.4, 0.0),
        at(0.6, 0.0),
        at(
            0.8,
            0.06,
            not_reproduced="here 0.24 and 0.34 in two checks of 96: a world counts as stuck that "
            "answers less than 90 % of what is asked, also one that was so before the burst",
        ),
        at(0.9, 0.94),
        expect(
            "share of requests answered at 0.9, last 1000 s",
            kept("web", HORIZON - 1000, HORIZON, rate=0.9),
            0.43,
            PROTOTYPE,
            within=0.05,
        ),
        at(0.8, 0.0, lifo=1),
        at(0.9, 0.0, lifo=1),
    ),
)
