"""A17: the retry storm of DesCartes.

Owns the scenario; parameters as that project publishes them.
"""

from __future__ import annotations

from howdah.simulate.model import Constant, Exponential, Model, Open, Queue, Retry, Set, Trigger
from howdah.simulate.scenarios.readings import failing, goodput, kept
from howdah.simulate.scenarios.scenario import (
    Scenario,
    expect_at_least,
    expect_at_most,
    expect_share,
    parameters,
)

DESCARTES = "DesCartes (Apache-2.0), retry storm example: parameters; its verdict is 'metastable'"
SPIKE, HORIZON = 120.0, 400.0


def build(rate: float, spike: float, retries: float) -> Model:
    """A spike from second 120 to 125; a retry comes at once."""
    retry = Retry(most=int(retries), backoff=Constant(value=0.0))
    burst = Set(path="web.rate", value=spike, until=SPIKE + 5)
    return Model(
        name="descartes",
        clients={"web": Open(rate=rate, to="db", timeout=4.0, retry=retry)},
        stations={"db": Queue(service=Exponential(mean=0.1), capacity=100)},
        triggers=(Trigger(at=SPIKE, actions=(burst,)),),
        horizon=HORIZON,
        sample=0.5,
    )


SCENARIO = Scenario(
    id="A17",
    title="The retry storm of DesCartes",
    source=DESCARTES,
    teaches=(
        "At 93 % of capacity five seconds of a spike leave a line of ten seconds, and patience is "
        "four.",
        "From then on everybody comes four times and nobody is answered in time.",
        "Without the spike most runs last the whole 400 s, and some tip by themselves.",
    ),
    parameters=parameters(
        rate=(9.3, 0, 20, "requests a second; the server does 10 (DesCartes)"),
        spike=(30, 0, 100, "requests a second during the spike (DesCartes)"),
        retries=(3, 0, 10, "further attempts (DesCartes)"),
    ),
    build=build,
    expected=(
        expect_share("P(stuck)", failing("web", 350, HORIZON), 1.0, DESCARTES),
        expect_at_most("goodput at the end", goodput("web", 350, HORIZON), 0.1, DESCARTES),
        expect_at_least(
            "share answered at the end without retries",
            kept("web", 300, HORIZON, retries=0),
            0.7,
            "consequence: without the loop it passes",
        ),
    ),
    replicas=32,
)
