"""A19: admission control in front of execution control that would have coped alone.

Owns the scenario; see `execution_control.py` for the database, and `interference.py` for the search
over controls, spikes and demands of which this is one point.
"""

from __future__ import annotations

from howdah.simulate import intervals
from howdah.simulate.intervals import Estimate
from howdah.simulate.model import (
    Choice,
    Client,
    Constant,
    Delay,
    Exponential,
    Gate,
    Model,
    Open,
    Policy,
    Retry,
    Scale,
    Station,
    Trigger,
)
from howdah.simulate.scenarios.execution_control import (
    BETA,
    MOST,
    SHORT,
    database,
    long_client,
    probers,
)
from howdah.simulate.scenarios.readings import kept
from howdah.simulate.scenarios.scenario import (
    Measure,
    Scenario,
    Study,
    expect,
    expect_at_least,
    parameters,
)

MESSI = "M. Demirbas, A. Charapko, A. Vig (2026): the claim; its parameters are not public"
PROTOTYPE = "prototype of the same model in time steps; the last 40 s of the spike"
SPIKE, LASTS, HORIZON = 30.0, 60.0, 150.0
END = SPIKE + LASTS
SIGNALS = ("latency", "wait")


def build(
    control: float,
    each: float,
    wait: float,
    threshold: float,
    up: float,
    down: float,
    period: float,
    rate: float,
    spike: float,
    long_rate: float,
    long_spike: float,
    io: float,
    beta: float,
    most: float,
    joint: float,
    retries: float,
) -> Model:
    """Both classes pass one gate. From second 30 to 90 the classes' rates are multiplied.

    A short operation needs 0.5 ms of a core and then `io` seconds of a device, with its ticket.
    """
    policy = Policy(
        name="admission_by_latency",
        arguments={
            "threshold": threshold,
            "up": up,
            "down": down,
            "period": period,
            "signal": SIGNALS[int(wait > 0)],
            "classes": "each" if each else "blind",
        },
    )
    front = "gate" if control else "class"
    clients: dict[str, Client] = {
        "users": Open(
            rate=rate,
            to=front,
            timeout=0.5,
            retry=Retry(most=int(retries), backoff=Constant(value=0.05)),
            demand=Exponential(mean=0.0005),
            group=SHORT,
        ),
        "reports": long_client(long_rate, front),
    }
    return Model(
        name="admission control",
        clients=clients,
        stations=_stations(beta, io, policy if control else None, wait),
        controllers=probers(int(most), joint=bool(joint)),
        triggers=(
            Trigger(
                at=SPIKE,
                actions=(
                    Scale(path="users.rate", factor=spike, until=END),
                    Scale(path="reports.rate", factor=long_spike, until=END),
                ),
            ),
        ),
        horizon=HORIZON,
        sample=0.5,
        settled_after=END,
    )


def _stations(beta: float, io: float, policy: Policy | None, wait: float) -> dict[str, Station]:
    stations = database(beta, {"short": 8, "long": 8}, done="done")
    stations["class"] = Choice(to=("short", "long"), by_group=True)
    stations["done"] = Choice(to=("io", "reply"), by_group=True)
    stations["io"] = Delay(time=Exponential(mean=io))
    if policy is not None:
        watch = {0: None, 1: "long", 2: "short"}[int(wait)]
        stations["gate"] = Gate(policy=policy, to="class", watch=watch)
    return stations


def harm(start: float, end: float, **variant: float) -> Measure:
    """Points of goodput that admission control takes from users: alone less controlled, paired."""

    def measure(study: Study) -> Estimate:
        alone, both = (study.runs(**(variant | {"control": control})) for control in (0.0, 1.0))
        shares = [
            r.rates("users.succeeded", start, end) / r.rates("users.requests", start, end)
            for r in (alone, both)
        ]
        return intervals.mean(shares[0] - shares[1])

    return measure


LAST = (END - 30, END)

SCENARIO = Scenario(
    id="A19",
    title="Admission control harms an execution control that would have coped",
    source=MESSI,
    teaches=(
        "A gate that looks at everybody's latency refuses everybody for the slow class.",
        "Tickets alone keep the slow class to its own queue, and the fast one never notices.",
        "Watching each class by itself, or a threshold above the slow class's own latency, does no "
        "harm.",
    ),
    parameters=parameters(
        control=(1, 0, 1, "1: a gate with admission control; 0: execution control alone"),
        each=(0, 0, 1, "1: the gate knows classes"),
        wait=(
            1,
            0,
            2,
            "signal: 0 latency of everybody, 1 wait for a long ticket, 2 for a short one",
        ),
        threshold=(0.005, 1e-4, 10, "seconds above which more is refused (ours)"),
        up=(0.1, 0, 20, "share refused more, a second, while above (ours)"),
        down=(0.02, 0, 20, "share refused less, a second, while below (ours)"),
        period=(1.0, 0.01, 60, "seconds between looks (ours)"),
        rate=(1000, 0, 20_000, "short operations a second (ours)"),
        spike=(3, 0, 20, "times as many during the spike (ours)"),
        long_rate=(1.5, 0, 20, "long operations a second, 2 s each (ours)"),
        long_spike=(3.3, 0, 20, "times as many during the spike (ours)"),
        io=(0.004, 1e-5, 1, "seconds of a device for a short operation (ours)"),
        beta=BETA,
        most=MOST,
        joint=(0, 0, 1, "1: one prober for both pools"),
        retries=(3, 0, 10, "further attempts of a short operation, after 50 ms (ours)"),
    ),
    build=build,
    expected=(
        expect_at_least(
            "share answered in the spike, execution control alone",
            kept("users", *LAST, control=0, beta=0.0),
            0.95,
            PROTOTYPE,
        ),
        expect(
            "share answered in the spike, with admission control",
            kept("users", *LAST, beta=0.0),
            0.65,
            PROTOTYPE,
            within=0.1,
        ),
    ),
    replicas=3,
    replicas_full=8,
)
