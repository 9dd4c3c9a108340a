"""Single stations in equilibrium: the classical formulas, each with its source.

Owns Erlang's formulas, queues with a bound, with impatience, with general service times and with
priorities. Rates are per second, times in seconds, loads in servers. Must never simulate.

Sources: L. Kleinrock, "Queueing Systems" volumes 1 and 2 (1975, 1976); M. Harchol-Balter,
"Performance Modeling and Design of Computer Systems" (2013); A. Cobham, "Priority assignment in
waiting line problems" (1954); F. Baccelli and G. Hebuterne, "On queues with impatient customers"
(1981).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput
from howdah.simulate.analytic.moments import erlang_survival

Floats = npt.NDArray[np.float64]


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """A station in equilibrium. Means are over the items that were let in."""

    busy: float  # share of the servers' time
    throughput: float  # items a second that leave after service
    wait: float  # seconds in line
    sojourn: float  # seconds in line and in service
    waiting: float  # items in line
    inside: float  # items in line and in service
    p_wait: float  # share of the admitted that wait at all
    p_refused: float = 0.0  # share of the arrivals that find the station full


def erlang_b(load: float, servers: int) -> float:
    """P(all of c servers busy) without a waiting line; M/G/c/c, any service time.

    The recursion B(0) = 1, B(c) = a B(c-1) / (c + a B(c-1)), `load` a in servers.

    >>> round(erlang_b(2.0, 3), 4)
    0.2105
    """
    blocked = 1.0
    for c in range(1, servers + 1):
        blocked = load * blocked / (c + load * blocked)
    return blocked


def erlang_c(load: float, servers: int) -> float:
    """P(an arrival waits) in M/M/c: B / (1 - (a/c)(1 - B)), with B of Erlang's first formula.

    >>> round(erlang_c(2.0, 3), 4)
    0.4444
    """
    _stable(load, servers)
    blocked = erlang_b(load, servers)
    return blocked / (1 - load / servers * (1 - blocked))


def mmc(arrival: float, service: float, servers: int = 1) -> Steady:
    """M/M/c, first come first served; `service` is the mean. Wq = C(c, a) / (c mu - lambda).

    >>> mmc(0.8, 1.0).sojourn == 1 / (1 - 0.8)
    True
    """
    load = arrival * service
    p_wait = erlang_c(load, servers)
    wait = p_wait * service / (servers - load)
    return Steady(
        busy=load / servers,
        throughput=arrival,
        wait=wait,
        sojourn=wait + service,
        waiting=arrival * wait,
        inside=arrival * (wait + service),
        p_wait=p_wait,
    )


def mmc_sojourn_exceeds(arrival: float, service: float, servers: int, t: float) -> float:
    """P(sojourn > t) in M/M/c: e^(-(mu - lambda) t) for one server.

    The wait is 0 with 1 - C, else exponential with rate c mu - lambda; service is independent.
    """
    load, mu = arrival * service, 1 / service
    p_wait, theta = erlang_c(load, servers), servers / service - arrival
    if math.isclose(theta, mu):
        waited = math.exp(-mu * t) * (1 + mu * t)
    else:
        waited = (mu * math.exp(-theta * t) - theta * math.exp(-mu * t)) / (mu - theta)
    return (1 - p_wait) * math.exp(-mu * t) + p_wait * waited


def mmck(arrival: float, service: float, servers: int, capacity: int) -> Steady:
    """M/M/c/K: at most `capacity` inside; an arrival that finds it full is refused.

    For one server p_K = (1 - r) r^K / (1 - r^(K+1)). Weights are kept relative to the largest, so
    that no load overflows.
    """
    p = birth_death(
        np.full(capacity, arrival), np.minimum(np.arange(1, capacity + 1), servers) / service
    )
    n = np.arange(capacity + 1)
    admitted = arrival * (1 - p[-1])
    waiting = float((np.maximum(n - servers, 0) * p).sum())
    inside = float((n * p).sum())
    return Steady(
        busy=float((np.minimum(n, servers) * p).sum()) / servers if servers else 0.0,
        throughput=admitted,
        wait=waiting / admitted if admitted else 0.0,
        sojourn=inside / admitted if admitted else 0.0,
        waiting=waiting,
        inside=inside,
        p_wait=float(p[servers:-1].sum()) / (1 - p[-1]),
        p_refused=float(p[-1]),
    )


def mm1k_answered_in_time(arrival: float, service: float, capacity: int, timeout: float) -> float:
    """P(an admitted item of an M/M/1/K queue leaves within `timeout`).

    It finds n inside with p_n / (1 - p_K) and stays the sum of n + 1 exponential services.
    """
    p = birth_death(np.full(capacity, arrival), np.full(capacity, 1 / service))
    late = [float(erlang_survival(n + 1, 1 / service, np.array(timeout))) for n in range(capacity)]
    return 1 - float((p[:-1] * late).sum()) / (1 - float(p[-1]))


def birth_death(births: Floats, deaths: Floats) -> Floats:
    """The equilibrium of a birth-death chain on 0..n: p_k ~ prod births[i] / deaths[i].

    `births[i]` leads from i to i + 1, `deaths[i]` from i + 1 to i; returns n + 1 probabilities.
    """
    with np.errstate(divide="ignore"):
        logs = np.concatenate([[0.0], np.cumsum(np.log(births) - np.log(deaths))])
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def mg1(arrival: float, service: float, second_moment: float) -> Steady:
    """M/G/1 first come first served, Pollaczek-Khinchine: Wq = lambda E[S^2] / (2 (1 - rho))."""
    load = arrival * service
    _stable(load, 1)
    wait = arrival * second_moment / (2 * (1 - load))
    return Steady(
        busy=load,
        throughput=arrival,
        wait=wait,
        sojourn=wait + service,
        waiting=arrival * wait,
        inside=arrival * (wait + service),
        p_wait=load,
    )


def mgc(arrival: float, service: float, second_moment: float, servers: int) -> Steady:
    """M/G/c, approximated (Lee and Longton 1959): the M/M/c wait times (1 + cv^2) / 2.

    Exact for one server and for exponential service.
    """
    base = mmc(arrival, service, servers)
    wait = base.wait * second_moment / (2 * service**2)
    return msgspec.structs.replace(
        base,
        wait=wait,
        sojourn=wait + service,
        waiting=arrival * wait,
        inside=arrival * (wait + service),
    )


def mginf(arrival: float, service: float) -> Steady:
    """M/G/infinity: Poisson many inside, lambda E[S] on average, whatever the service time."""
    return Steady(
        busy=0.0,
        throughput=arrival,
        wait=0.0,
        sojourn=service,
        waiting=0.0,
        inside=arrival * service,
        p_wait=0.0,
    )


def sharing_sojourn(arrival: float, demand: float, size: float) -> float:
    """M/G/1 processor sharing: an item of demand `size` stays size / (1 - rho).

    Insensitive: only the mean `demand` of the others counts (Kleinrock, volume 2, 4.4).
    """
    _stable(arrival * demand, 1)
    return size / (1 - arrival * demand)


def sharing(
    arrival: float, demand: float, cores: float, *, overhead: float = 0.0, most: int = 0
) -> Steady:
    """Processor sharing on `cores` with an overhead for each runnable item beyond them.

    The rate of n items is c(n) = min(n, cores) / (1 + overhead max(0, n - cores)) core-seconds a
    second; the number inside is then a birth-death chain, for demands of any distribution
    (insensitivity of state-dependent sharing: Cohen 1979). With an overhead c(n) falls to
    nothing, so there is no equilibrium without a bound: `most` inside (the others are refused).
    """
    if not most:
        _stable(arrival * demand, cores)
        if overhead > 0:
            raise BadInput("processor sharing with an overhead has no equilibrium without a bound")
        most = _enough(arrival * demand / cores, cores)
    n = np.arange(1, most + 1)
    speed = np.minimum(n, cores) / (1 + overhead * np.maximum(0, n - cores))
    p = birth_death(np.full(most, arrival), speed / demand)
    inside = float((np.arange(most + 1) * p).sum())
    admitted = arrival * (1 - float(p[-1]))
    return Steady(
        busy=float((np.minimum(n, cores) * p[1:]).sum()) / cores,
        throughput=admitted,
        wait=0.0,
        sojourn=inside / admitted if admitted else 0.0,
        waiting=0.0,
        inside=inside,
        p_wait=0.0,
        p_refused=float(p[-1]) if overhead or p[-1] > 1e-12 else 0.0,
    )


def cobham(
    arrivals: tuple[float, ...], service: float, second_moment: float, servers: int = 1
) -> tuple[float, ...]:
    """Mean waits by band, first band first served, without preemption (Cobham 1954).

    W_i = W_0 / ((1 - s_(i-1)) (1 - s_i)), s_i the load of bands 0..i per server; W_0 is the mean
    residual work: lambda E[S^2] / 2 for one server, C(c, a) / (c mu) for c exponential ones.
    All bands have the same service time. A band that is overloaded waits for ever (inf).
    """
    total = sum(arrivals)
    if servers == 1:
        residual = total * second_moment / 2
        if total * service >= 1:  # the server is always busy with somebody
            residual = second_moment / (2 * service)
    else:
        load = total * service
        residual = (erlang_c(load, servers) if load < servers else 1.0) * service / servers
    waits, before = [], 0.0
    for arrival in arrivals:
        after = before + arrival * service / servers
        waits.append(residual / ((1 - before) * (1 - after)) if after < 1 else math.inf)
        before = after
    return tuple(waits)


def size_based_sojourn(
    arrival: float, sizes: Floats, *, discipline: str = "srpt"
) -> tuple[float, Floats]:
    """M/G/1 with the shortest remaining ("srpt") or the least attained ("las") served first.

    `sizes` are equally likely service times in ascending order (quantiles at (i + 1/2) / n);
    returns the mean sojourn and that of each size. SRPT (Schrage and Miller 1966):
    lambda (E[S^2; S <= x] + x^2 P(S > x)) / (2 (1 - rho(x))^2) + integral_0^x dt / (1 - rho(t));
    LAS (Kleinrock, volume 2, 4.6): with S cut off at x,
    lambda E[min(S, x)^2] / (2 (1 - rho_x)^2) + x / (1 - rho_x).
    """
    n = len(sizes)
    _stable(arrival * float(sizes.mean()), 1)
    beyond = 1 - (np.arange(n) + 0.5) / n
    square = (np.cumsum(sizes**2) - sizes**2 / 2) / n + sizes**2 * beyond
    upto = (np.cumsum(sizes) - sizes / 2) / n
    if discipline == "las":
        load = arrival * (upto + sizes * beyond)
        each = arrival * square / (2 * (1 - load) ** 2) + sizes / (1 - load)
    else:
        load = arrival * upto
        before = np.concatenate([[0.0], sizes[:-1]])
        slower = np.concatenate([[1.0], 1 / (1 - load)])
        residence = np.cumsum((sizes - before) * (slower[1:] + slower[:-1]) / 2)
        each = arrival * square / (2 * (1 - load) ** 2) + residence
    return float(each.mean()), each


class Impatient(msgspec.Struct, frozen=True, kw_only=True):
    """A queue whose items leave the line after a fixed patience."""

    p_abandon: float  # share of the arrivals that leave the line unserved
    p_wait: float  # share that finds all servers busy
    busy: float  # share of the servers' time
    answered: float  # share of the arrivals that leave, served, within the patience


def mmc_impatient(arrival: float, service: float, servers: int, patience: float) -> Impatient:
    """M/M/c+D: who waits `patience` seconds leaves the line; who is in service stays.

    The offered wait has density p_(c-1) lambda e^(-(c mu - lambda) x) up to the patience, and
    p_(c-1) lambda e^(lambda D - c mu x) beyond (Palm 1937; Baccelli and Hebuterne 1981). No load
    is too high: impatience keeps the line finite.
    """
    mu, load, drift = 1 / service, arrival * service, servers / service - arrival
    logs = np.array([k * math.log(load) - math.lgamma(k + 1) for k in range(servers)])
    below, last = float(np.exp(logs).sum()), float(np.exp(logs[-1]))
    grown = math.exp(-drift * patience)
    waits = last * arrival * (patience if abs(drift) < 1e-12 else (1 - grown) / drift)
    leaves = last * arrival * grown * service / servers
    scale = below + waits + leaves
    p_abandon = leaves / scale
    x = np.linspace(0.0, patience, 4001)
    density = last * arrival * np.exp(-drift * x) * -np.expm1(-mu * (patience - x)) / scale
    in_time = float(((density[1:] + density[:-1]) / 2).sum() * (x[1] - x[0]))
    return Impatient(
        p_abandon=p_abandon,
        p_wait=(waits + leaves) / scale,
        busy=arrival * (1 - p_abandon) * service / servers,
        answered=in_time - below / scale * math.expm1(-mu * patience),
    )


def _stable(load: float, servers: float) -> None:
    if load >= servers:
        raise BadInput(
            f"a load of {load:g} is too much for {servers:g} servers: there is no equilibrium"
        )


def _enough(ratio: float, cores: float) -> int:
    """So many that the chance of more inside is below 1e-16."""
    return int(cores + 40 / -math.log(ratio)) + 1 if ratio > 0 else int(cores) + 1
