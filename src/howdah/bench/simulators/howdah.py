"""Howdah's compiled kernel, and its pure-Python reference.

Owns its contenders only. They run what a user of the library runs: the general engine on a
described model, with hash, samples and invariants, nothing made for the bench.
"""

from __future__ import annotations

from typing import Literal

from howdah import __version__
from howdah.bench.roster import OURS
from howdah.bench.simulator import SINGLE_SERVER_RATE, STORM, Counts, Load, Simulator
from howdah.simulate.model import Exponential, Model, Open, Queue, Retry, Scale, Trigger, Uniform

Engine = Literal["kernel", "reference"]


def model_of(load: Load, seconds: float) -> Model:
    """The bench's model in Howdah's words."""
    if load is Load.SINGLE_SERVER:
        return Model(
            clients={"web": Open(to="db", rate=SINGLE_SERVER_RATE)},
            stations={"db": Queue(service=Exponential(mean=1.0))},
            horizon=seconds,
        )
    retry = Retry(most=STORM.retries, backoff=Uniform(low=0.0, high=STORM.backoff))
    burst = Scale(path="web.rate", factor=STORM.burst, until=STORM.burst_until)
    return Model(
        clients={"web": Open(to="db", rate=STORM.rate, timeout=STORM.timeout, retry=retry)},
        stations={"db": Queue(service=Exponential(mean=STORM.service), capacity=STORM.capacity)},
        triggers=(Trigger(at=STORM.burst_from, actions=(burst,)),),
        horizon=seconds,
    )


class HowdahKernel(Simulator):
    """The engine that runs by default."""

    name = OURS
    what = "a general engine on arrays, compiled; hash, samples and invariants included"
    loads = frozenset(Load)
    package = "howdah[simulate]"
    engine: Engine = "kernel"

    def version(self) -> str:
        import numba

        return f"{__version__}, numba {numba.__version__}"

    def run(self, load: Load, seconds: float, seed: int) -> Counts:
        from howdah.simulate.run import simulate

        gauges = simulate(model_of(load, seconds), seed=seed, engine=self.engine).gauges()
        return Counts(
            requests=int(gauges["web.requests"]),
            retries=int(gauges["web.retries"]),
            served=int(gauges["db.left"]),
            answered=int(gauges["web.succeeded"]),
        )


class HowdahReference(HowdahKernel):
    """The engine that says what the other one must do."""

    name = "howdah-reference"
    what = "the same model on the pure-Python reference engine: the oracle, not made for speed"
    engine: Engine = "reference"

    def version(self) -> str:
        return __version__


SIMULATORS = (HowdahKernel(), HowdahReference())
