"""The database of scenarios A18 and A19: two classes of operations, tickets, crowded cores.

Owns the model and its usual parameters. Must never say what is expected of it.

Eight cores by processor sharing; each runnable thread beyond them costs a share `beta` of all work.
Short operations need 1 ms, long ones 2 s of a core, both exponential. Each class has a pool of
tickets; a long operation gives its ticket back every 10 ms of wall-clock time and queues for it
again (a yield). A prober per pool tries more or fewer tickets every 100 ms and keeps what released
more tickets. `beta`, the demands and rates are ours: the study that this follows published no
parameters. The prober's constants are those of MongoDB (see the policy), which ships *one* prober
for both pools.
"""

from __future__ import annotations

from collections.abc import Mapping

from howdah.simulate.model import (
    Choice,
    Client,
    Constant,
    Controller,
    Exponential,
    Inject,
    Model,
    Open,
    Policy,
    Pool,
    Release,
    Retry,
    Sharing,
    Station,
    Trigger,
)

CORES = 8
SHORT_DEMAND, LONG_DEMAND = 0.001, 2.0
BURST = 40.0
SHORT, LONG = 0, 1

BETA = (0.01, 0.0, 1.0, "share of all work lost for each runnable thread beyond the cores (ours)")
MOST = (128, 4, 1000, "tickets of a pool at most (MongoDB: 128)")
SHORT_RATE = (2500, 0, 20_000, "short operations a second, 1 ms each (ours)")
LONG_RATE = (1.5, 0, 20, "long operations a second, 2 s each (ours)")


def short_client(rate: float, retries: int, to: str = "short", timeout: float = 0.1) -> Open:
    """Users who give up after 100 ms and try again at once; what they gave up goes on."""
    return Open(
        rate=rate,
        to=to,
        timeout=timeout,
        retry=Retry(most=retries, backoff=Constant(value=0.0)),
        demand=Exponential(mean=SHORT_DEMAND),
        group=SHORT,
    )


def long_client(rate: float, to: str = "long") -> Open:
    """Reports that wait as long as it takes."""
    return Open(rate=rate, to=to, demand=Exponential(mean=LONG_DEMAND), group=LONG)


def database(
    beta: float, tickets: Mapping[str, int], yield_after: float = 0.01, done: str = "reply"
) -> dict[str, Station]:
    """Pools, cores, and the way of an operation that yields; `done`: where it goes in the end."""
    return {
        "short": Pool(tickets=tickets["short"], to="cpu"),
        "long": Pool(tickets=tickets["long"], to="cpu"),
        "cpu": Sharing(
            cores=CORES, to=done, overhead=beta, quantum=yield_after, yield_to="yielded"
        ),
        "yielded": Choice(to=("short_gives", "long_gives"), by_group=True),
        "short_gives": Release(pool="short", to="short"),
        "long_gives": Release(pool="long", to="long"),
    }


def probers(most: int, metric: str = "releases", *, joint: bool = False) -> dict[str, Controller]:
    """One prober for each pool, or the one for both that MongoDB ships."""
    policy = Policy(name="mongo_throughput_probing", arguments={"maximum": most, "metric": metric})
    if joint:
        return {"prober": Controller(policy=policy, watch=("short", "long"), period=0.1)}
    return {
        f"{pool}_prober": Controller(policy=policy, watch=(pool,), period=0.1)
        for pool in ("short", "long")
    }


def two_pools(
    *,
    beta: float,
    most: int,
    tickets: int,
    probing: bool,
    joint: bool,
    completions: bool,
    retries: int,
    short_rate: float,
    long_rate: float,
    burst: int,
    yield_after: float,
    horizon: float,
) -> Model:
    """Two pools and their probers, and a burst of long operations at second 40."""
    clients: dict[str, Client] = {
        "users": short_client(short_rate, retries),
        "reports": long_client(long_rate),
    }
    metric = "completions" if completions else "releases"
    return Model(
        name="two probers",
        clients=clients,
        stations=database(beta, {"short": tickets, "long": tickets}, yield_after),
        controllers=probers(most, metric, joint=joint) if probing else {},
        triggers=(Trigger(at=BURST, actions=(Inject(client="reports", count=burst),)),)
        if burst
        else (),
        horizon=horizon,
        sample=0.1,
        settled_after=BURST,
    )
