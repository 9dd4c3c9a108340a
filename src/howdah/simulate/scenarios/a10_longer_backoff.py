"""A10: ten times the backoff.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.model import Model
from howdah.simulate.scenarios.retry_storm import PROTOTYPE, retry_storm, stays_down, usual
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect_share


def build(rate: float, backoff: float) -> Model:
    """The storm whose clients wait U(0, backoff) seconds before they try again."""
    return retry_storm(rate=rate, backoff=backoff)


def at(rate: float, backoff: float) -> Expectation:
    """P(stuck) at a load."""
    return expect_share(
        f"P(stuck) at {rate:g}, backoff up to {backoff:g} s",
        stays_down(rate=rate, backoff=backoff),
        1.0,
        PROTOTYPE,
    )


SCENARIO = Scenario(
    id="A10",
    title="A retry storm with a longer backoff",
    source="constructed (ours); the point is M. Brooker's, 'Fixing retries' (2022)",
    teaches=(
        "With clients that come whatever happens, backoff only delays the same number of attempts.",
        "Jitter spreads them; it does not make them fewer.",
        "Only fewer attempts, or clients that wait for an answer before the next request, help.",
    ),
    parameters=usual(backoff=(100, 0.1, 1000, "longest backoff in seconds (ours)")),
    build=build,
    expected=(at(0.4, 100), at(0.6, 100), at(0.6, 10)),
)
