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
    expect_at_most,
    parameters,
)

MESSI = "M. Demirbas, A. Charapko, A. Vig (2026): the claim; its parameters are not public"
PROTOTYPE = "prototype of the same model in time steps; the last 40 s of the spike"
SPIKE, LASTS, HORIZON = 15.0, 40.0, 100.0
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
    horizon: float,
) -> Model:
    """Both classes pass one gate. From second 15 to 55 the classes' rates are multiplied.

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
        horizon=horizon,
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


IN_SPIKE, AFTER = (SPIKE + 10, END), (END + 20, HORIZON - 1)
SEARCHED = "the search of A19 (docs/simulate/admission-control.md), here with other seeds"
PROTOTYPED = {
    "wait": 1,
    "threshold": 0.005,
    "up": 0.1,
    "down": 0.02,
    "period": 1.0,
    "spike": 3,
    "long_spike": 3.3,
    "io": 0.004,
    "beta": 0,
    "joint": 0,
}
# A point of the search at which the harm comes after the spike, by the long ones that finish then.
LATER = {
    "threshold": 0.061,
    "up": 0.2,
    "down": 0.03,
    "period": 2.9,
    "spike": 1.26,
    "long_spike": 3.8,
    "io": 0.007,
    "beta": 0.009,
    "joint": 0,
    "retries": 1,
}

SCENARIO = Scenario(
    id="A19",
    title="Admission control harms an execution control that would have coped",
    source=MESSI,
    teaches=(
        "A gate that looks at everybody's latency refuses everybody for the slow class, while "
        "tickets alone keep the slow class to its own queue.",
        "The harm may come when the spike is over, as the long ones finish, and last longer than "
        "it; it ends by itself.",
        "A gate that watches each class by itself does no harm; where tickets cannot cope, the "
        "blind one helps.",
    ),
    parameters=parameters(
        control=(1, 0, 1, "1: a gate with admission control; 0: execution control alone"),
        each=(0, 0, 1, "1: the gate knows classes"),
        wait=(0, 0, 2, "signal: 0 latency, 1 wait for a long ticket, 2 for a short one"),
        threshold=(0.0113, 1e-4, 10, "seconds above which more is refused (searched)"),
        up=(0.258, 0, 20, "share refused more, a second, while above (searched)"),
        down=(0.0128, 0, 20, "share refused less, a second, while below (searched)"),
        period=(0.875, 0.01, 60, "seconds between looks (searched)"),
        rate=(1000, 0, 20_000, "short operations a second (ours)"),
        spike=(2.18, 0, 20, "times as many during the spike (searched)"),
        long_rate=(1.5, 0, 20, "long operations a second, 2 s each (ours)"),
        long_spike=(5.87, 0, 20, "times as many during the spike (searched)"),
        io=(0.00114, 1e-5, 1, "seconds of a device for a short operation (searched)"),
        beta=(0.005, 0, 1, "share of all work lost for each thread beyond the cores (searched)"),
        most=MOST,
        joint=(1, 0, 1, "1: one prober for both pools, as MongoDB ships"),
        retries=(3, 0, 10, "further attempts of a short operation, after 50 ms (ours)"),
        horizon=(HORIZON, 60, 1000, "seconds that are simulated"),
    ),
    build=build,
    expected=(
        expect_at_least(
            "share answered in the spike, execution control alone",
            kept("users", *IN_SPIKE, control=0),
            0.95,
            SEARCHED,
        ),
        expect_at_least("lost in the spike to admission control", harm(*IN_SPIKE), 0.3, SEARCHED),
        expect_at_most(
            "lost in the spike when the gate knows classes",
            harm(*IN_SPIKE, each=1),
            0.02,
            SEARCHED,
        ),
        expect_at_least(
            "share answered after the spike, execution control alone, second point",
            kept("users", *AFTER, control=0, **LATER),
            0.95,
            SEARCHED,
        ),
        expect_at_least(
            "lost 20 s after the spike, second point", harm(*AFTER, **LATER), 0.5, SEARCHED
        ),
        expect_at_most(
            "lost 20 s after the spike when the gate knows classes, second point",
            harm(*AFTER, each=1, **LATER),
            0.02,
            SEARCHED,
        ),
        expect_at_most(
            "lost 200 s after the spike, second point",
            harm(255, 299, horizon=300, **LATER),
            0.02,
            SEARCHED,
            scale="full",
        ),
        expect(
            "share answered in the spike with the wait for long tickets above 5 ms as the signal",
            kept("users", *IN_SPIKE, **PROTOTYPED),
            0.65,
            PROTOTYPE,
            within=0.1,
            not_reproduced="the prototype's gate looked at the mean wait in both pools; a gate "
            "here watches one, and probers here give the long pool tickets until nobody waits",
        ),
    ),
    replicas=4,
    replicas_full=8,
)
