"""Small models for tests."""

from __future__ import annotations

from typing import Any

from howdah.simulate.model import (
    Constant,
    Exponential,
    Model,
    Open,
    Queue,
    Retry,
    Scale,
    Trigger,
    Uniform,
)


def one_queue(**changes: Any) -> Model:
    """An open client and a queue; what is not given is the smallest."""
    given: dict[str, Any] = {
        "clients": {"web": Open(rate=0.5, to="db")},
        "stations": {"db": Queue(service=Exponential(mean=1.0))},
        "horizon": 100.0,
    }
    return Model(**(given | changes))


def queue(**changes: Any) -> Queue:
    """A queue of constant services of a second."""
    return Queue(**({"service": Constant(value=1.0)} | changes))


def client(**changes: Any) -> Open:
    """An open client of one request a second, evenly."""
    given: dict[str, Any] = {"rate": 1.0, "to": "db", "interval": "even"}
    return Open(**(given | changes))


def retry_storm(rate: float = 0.6, horizon: float = 6000.0, **changes: Any) -> Model:
    """The canonical retry storm: see the scenarios."""
    retry = Retry(most=3, backoff=Uniform(low=0.0, high=10.0))
    burst = Scale(path="web.rate", factor=8.0, until=2100.0)
    return Model(
        clients={"web": Open(rate=rate, to="db", timeout=30.0, retry=retry, **changes)},
        stations={"db": Queue(service=Exponential(mean=1.0), capacity=100)},
        triggers=(Trigger(at=2000.0, actions=(burst,), name="burst"),),
        horizon=horizon,
    )
