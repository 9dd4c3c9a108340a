"""Networks of stations: Jackson's open ones and closed ones by convolution.

Owns the traffic equations, the product of M/M/c stations and the exact solution for a number of
users. Must never know a model: it works on rates, demands and numbers of servers.

Sources: J. R. Jackson, "Jobshop-like queueing systems" (1963); J. Buzen,
"Computational algorithms for closed queueing networks" (1973).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput
from howdah.simulate.analytic.queues import Steady, mginf, mmc

Floats = npt.NDArray[np.float64]


def traffic(external: Floats, routing: Floats) -> Floats:
    """Arrivals a second at each station: the solution of x = external + x routing.

    `routing[i, j]` is the share of what leaves station i that enters station j.
    """
    return np.asarray(np.linalg.solve((np.eye(len(external)) - routing).T, external))


def jackson(arrivals: Floats, services: Floats, servers: tuple[int, ...]) -> tuple[Steady, ...]:
    """Each station of an open network as if it were M/M/c alone (product form).

    `arrivals` from `traffic`, `services` the mean seconds, `servers` 0 for a pure delay.
    """
    return tuple(
        mmc(float(rate), float(mean), count) if count else mginf(float(rate), float(mean))
        for rate, mean, count in zip(arrivals, services, servers, strict=True)
    )


class ClosedNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A closed network with its full number of users."""

    users: int
    throughput: float  # requests a second
    response: float  # seconds from request to answer, thinking excluded
    inside: tuple[float, ...]  # items at each station
    busy: tuple[float, ...]  # share of the servers' time, of a delay: 0
    knee: float  # users at which the asymptotes cross: (sum of demands + think) / bottleneck


def closed(
    demands: tuple[float, ...], servers: tuple[int, ...], think: float, users: int
) -> ClosedNetwork:
    """`users` who think, ask, wait and think again: exact, one class, product form.

    `demands[i]`: visits times mean service at station i; `servers[i]` 0 means a delay. Buzen's
    convolution over the stations' weights d^n / prod min(k, c): all terms are positive, so that
    several servers lose no digits (which they do in mean value analysis, whose results these are).
    """
    if users < 1:
        raise BadInput("a closed network needs at least one user")
    bottleneck = max((d / c for d, c in zip(demands, servers, strict=True) if c), default=0.0)
    bound = users / max(think + sum(demands), users * bottleneck)
    stations = [
        _weights(d * bound, c, users) for d, c in [*zip(demands, servers, strict=True), (think, 0)]
    ]
    every = _convolve(stations, users)
    rate = float(bound * every[-2] / every[-1])
    inside = tuple(
        _mean_inside(station, _convolve(stations[:i] + stations[i + 1 :], users))
        for i, station in enumerate(stations[:-1])
    )
    return ClosedNetwork(
        users=users,
        throughput=rate,
        response=users / rate - think,
        inside=inside,
        busy=tuple(rate * d / c if c else 0.0 for d, c in zip(demands, servers, strict=True)),
        knee=(sum(demands) + think) / bottleneck if bottleneck else math.inf,
    )


def _weights(demand: float, servers: int, users: int) -> Floats:
    """Weight of 0..users items at one station, relative to the largest."""
    n = np.arange(1, users + 1)
    rates = np.minimum(n, servers) if servers else n
    with np.errstate(divide="ignore"):
        logs = np.concatenate([[0.0], np.cumsum(np.log(demand) - np.log(rates))])
    return np.asarray(np.exp(logs - logs.max()))


def _convolve(stations: list[Floats], users: int) -> Floats:
    whole = np.zeros(users + 1)
    whole[0] = 1.0
    for weights in stations:
        whole = np.convolve(whole, weights)[: users + 1]
        whole /= whole.max()
    return whole


def _mean_inside(station: Floats, others: Floats) -> float:
    chances = station * others[::-1]
    return float((np.arange(len(chances)) * chances).sum() / chances.sum())
