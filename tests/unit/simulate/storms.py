"""The retry storm of the research (RS), for the tests of searches."""

from __future__ import annotations

from typing import Literal

from howdah.simulate.model import (
    Exponential,
    Model,
    Open,
    Queue,
    Retry,
    Scale,
    Trigger,
    Uniform,
)


def storm(
    rate: float = 0.6,
    *,
    factor: float = 8.0,
    length: float = 100.0,
    at: float = 2000.0,
    horizon: float = 6000.0,
    retries: int = 3,
    discipline: Literal["fifo", "lifo"] = "fifo",
) -> Model:
    """M/M/1/100, timeout 30 s, late work is done all the same; a burst of `factor` at `at`."""
    backoff = Uniform(low=0.0, high=10.0)
    burst = Scale(path="web.rate", factor=factor, until=at + length)
    return Model(
        name="RS",
        clients={
            "web": Open(
                rate=rate,
                to="db",
                timeout=30.0,
                retry=Retry(most=retries, backoff=backoff) if retries else None,
            )
        },
        stations={
            "db": Queue(
                service=Exponential(mean=1.0),
                capacity=100,
                discipline=discipline,
            )
        },
        triggers=(Trigger(name="burst", at=at, actions=(burst,)),),
        horizon=horizon,
    )
