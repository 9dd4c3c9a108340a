"""A15: a server that slows down with every request in it, and clients that try three times.

Owns the scenario, after M. Brooker's simulation of collapse; his clients and server, our engine.
"""

from __future__ import annotations

from howdah.simulate.model import (
    Constant,
    Delay,
    Exponential,
    Model,
    Open,
    Policy,
    Queue,
    Retry,
    Set,
    Trigger,
    Uniform,
)
from howdah.simulate.scenarios.readings import failing, kept
from howdah.simulate.scenarios.scenario import (
    Scenario,
    expect,
    expect_share,
    parameters,
)

BROOKER = "M. Brooker, simulator_example (BSD-2), simple_collapse_sim: run by us, 10 runs of each"
SPIKE, HORIZON = 20.0, 80.0
PEAK, SLOPE = 25.0, 1.6


def build(rate: float, spike: float, backoff: float, ramp: float) -> Model:
    """A spike from second 20 to 25, or with `ramp` 1 a load that rises to 80 and falls again.

    The server holds everybody at once, for 1 s and 0.01 s for each request in it. With backoff a
    client waits U(0, backoff), then U(0, 2 backoff).
    """
    retry = Retry(
        most=2,
        backoff=Uniform(low=0.0, high=backoff) if backoff else Constant(value=0.0),
        factor=2.0,
    )
    steps = tuple((float(t), 80 - SLOPE * abs(t - PEAK)) for t in range(75)) if ramp else ()
    burst = Trigger(at=SPIKE, actions=(Set(path="web.rate", value=spike, until=SPIKE + 5),))
    slower = Policy(name="linear", arguments={"per_item": 0.01})
    return Model(
        name="collapse",
        clients={
            "web": Open(
                rate=rate, to="there", timeout=3.0, retry=retry, profile=(*steps, (75.0, 0.0))
            )
            if ramp
            else Open(rate=rate, to="there", timeout=3.0, retry=retry)
        },
        stations={
            "there": Delay(time=Exponential(mean=0.1), to="server"),
            "server": Queue(
                service=Constant(value=1.0), servers=1_000_000, slowdown=slower, to="back"
            ),
            "back": Delay(time=Exponential(mean=0.1)),
        },
        triggers=() if ramp else (burst,),
        horizon=HORIZON,
        sample=0.5,
    )


SCENARIO = Scenario(
    id="A15",
    title="Collapse of a server that slows down under load",
    source=BROOKER,
    teaches=(
        "A server that gets slower with each request in it has a load beyond which it does less.",
        "Five seconds of double load are enough; three tries of each request keep it there.",
        "Backoff and jitter outlast a short spike; through a ramp of a minute they do not, because "
        "the retries only come later.",
    ),
    parameters=parameters(
        rate=(40, 0, 60, "requests a second (Brooker)"),
        spike=(80, 0, 400, "requests a second during the spike (Brooker)"),
        backoff=(0, 0, 100, "longest first wait before a retry, s; his is 20, then 40 (Brooker)"),
        ramp=(0, 0, 1, "1: the load rises to 80 at second 25 and falls by 1.6 a second (Brooker)"),
    ),
    build=build,
    expected=(
        expect("share answered before", kept("web", 8, SPIKE), 0.99, BROOKER, within=0.03),
        expect_share(
            "P(collapsed), spike, no backoff", failing("web", 60, 80), 0.9, BROOKER, of=10
        ),
        expect_share(
            "P(collapsed), spike, backoff and jitter",
            failing("web", 60, 80, backoff=20),
            0.0,
            BROOKER,
            of=10,
        ),
        expect(
            "share answered at second 8-20, ramp",
            kept("web", 8, 20, ramp=1),
            0.87,
            BROOKER,
            within=0.04,
        ),
        expect(
            "share answered at second 45-50, ramp, no backoff (load 48 to 40)",
            kept("web", 45, 50, ramp=1),
            0.0,
            BROOKER,
            within=0.02,
        ),
        expect(
            "share answered at second 45-50, ramp, backoff and jitter",
            kept("web", 45, 50, ramp=1, backoff=20),
            0.0,
            BROOKER,
            within=0.02,
        ),
        expect(
            "share answered at second 60-80, ramp, backoff and jitter (load 24 to 0)",
            kept("web", 60, 80, ramp=1, backoff=20),
            0.0,
            BROOKER,
            within=0.05,
        ),
        expect_share(
            "P(collapsed) without a spike", failing("web", 60, 80, spike=40), 0.0, BROOKER, of=10
        ),
    ),
    replicas=16,
    replicas_full=64,
)
