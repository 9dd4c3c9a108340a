"""Retry storms as Markov chains over (items in the queue, items in the orbit).

Owns three readings of a storm and what is asked of them: how long the good state lasts, how long
the bad one, and from where it tips. Must never solve: `chain.py` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.simulate.analytic.chain import Chain, chain, equilibrium, hitting_times, relaxation
from howdah.simulate.analytic.moments import erlang_survival

Flags = npt.NDArray[np.bool_]
Transition = tuple[int, int, float]


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """A chain whose state is queue * orbits + orbit, with `queues` by `orbits` states."""

    chain: Chain
    queues: int
    orbits: int

    def where(self, *, queue_from: int = 0, queue_to: int | None = None) -> Flags:
        """The states with so many in the queue (both ends included), any number in the orbit."""
        queue = np.arange(self.chain.states) // self.orbits
        last = self.queues - 1 if queue_to is None else queue_to
        return np.asarray((queue >= queue_from) & (queue <= last))

    def at(self, queue: int, orbit: int = 0) -> int:
        """The number of a state."""
        return queue * self.orbits + orbit


class Escapes(msgspec.Struct, frozen=True, kw_only=True):
    """How long a storm's states last, in seconds."""

    tips_after: float  # mean time from empty until the queue is nearly full
    recovers_after: float  # mean time from full (queue and orbit) until the queue is empty
    relaxation: float  # in which the slowest deviation decays by e
    full_share: float  # of the time in equilibrium with a queue nearly full


def escapes(storm: Storm, *, nearly: float = 0.9) -> Escapes:
    """The four figures; "nearly full" is a queue of at least `nearly` of its capacity."""
    edge = math.ceil(nearly * storm.queues)
    full = storm.where(queue_from=edge)
    share = equilibrium(storm.chain)
    up = hitting_times(storm.chain, full)
    down = hitting_times(storm.chain, storm.where(queue_to=0))
    return Escapes(
        tips_after=float(up[storm.at(0)]),
        recovers_after=float(down[storm.at(storm.queues - 1, storm.orbits - 1)]),
        relaxation=relaxation(storm.chain, share=share),
        full_share=float(share[full].sum()),
    )


def retry_storm(
    *,
    arrival: float,
    service: float,
    queues: int,
    orbits: int,
    timeout: float,
    retries: int,
    calibration: float = 0.25,
) -> Storm:
    """A queue whose clients time out and try again, as Metafor's HotOS'25 tool models it.

    An item of the orbit tries again with rate R / ((R + 1) timeout) and gives up with
    1 / ((R + 1) timeout); an arrival behind q others times out with Chebyshev's bound on the
    Erlang time of q services, and a share `calibration` of those enters the orbit. Queue and
    orbit hold 0..queues-1 and 0..orbits-1. Source: arXiv 2510.03551 and its public tool.
    """
    reading = _Reading(
        arrival=arrival,
        service=1 / service,
        retry=retries / ((retries + 1) * timeout),
        drop=1 / ((retries + 1) * timeout),
        calibration=calibration,
        late=tuple(_late(q, service, timeout) for q in range(queues)),
        queues=queues,
        orbits=orbits,
    )
    return _storm(queues, orbits, reading.transitions())


def retrial(
    *, arrival: float, service: float, servers: int, capacity: int, backoff: float, orbits: int
) -> Storm:
    """M/M/c/K whose refused items try again for ever, each after an exponential `backoff`.

    Exact but for the bound on the orbit (`orbits` - 1 items; a further one is lost). This is the
    chain of a Queue and an Open client that has no timeout and retries without limit.
    """

    def transitions() -> Iterator[Transition]:
        for q in range(capacity + 1):
            for r in range(orbits):
                here = q * orbits + r
                if q < capacity:
                    yield here, here + orbits, arrival
                    if r:
                        yield here, here + orbits - 1, r / backoff
                elif r < orbits - 1:
                    yield here, here + 1, arrival
                if q:
                    yield here, here - orbits, min(q, servers) / service

    return _storm(capacity + 1, orbits, transitions())


def late_storm(
    *,
    arrival: float,
    service: float,
    servers: int,
    capacity: int,
    timeout: float,
    retries: int,
    backoff: float,
    orbits: int,
) -> Storm:
    """M/M/c/K in order of arrival, whose server works on what its client no longer waits for.

    Who enters behind q others is late with the exact chance that the wait and service take
    longer than `timeout`; late and refused requests enter the orbit, from where they come again
    after `timeout` + `backoff` on average. Two approximations: that time is exponential, and a
    request that failed again goes on with (R - 1) / R, which makes R + 1 attempts on average but
    keeps no count. Beside 64 long runs of the retry storm RS mean escape times come out between
    0.7 and 1.5 of the simulated ones, at loads from .9 down to .7.
    """
    again, rate = (retries - 1) / retries, 1 / (timeout + backoff)
    late = [_too_late(q, service, servers, timeout) for q in range(capacity)]

    def transitions() -> Iterator[Transition]:
        for q in range(capacity + 1):
            for r in range(orbits):
                here, comes = q * orbits + r, r * rate
                full = r == orbits - 1
                if q:
                    yield here, here - orbits, min(q, servers) / service
                if q == capacity:
                    yield here, here + 1, 0.0 if full else arrival
                    yield here, here - 1, comes * (1 - again)
                    continue
                yield here, here + orbits + 1, 0.0 if full else arrival * late[q]
                yield here, here + orbits, arrival if full else arrival * (1 - late[q])
                yield here, here + orbits, comes * late[q] * again
                yield here, here + orbits - 1, comes * (1 - late[q] * again)

    return _storm(capacity + 1, orbits, transitions())


def _too_late(ahead: int, service: float, servers: int, timeout: float) -> float:
    """P(wait + service > timeout) of who finds `ahead` inside.

    For several servers the wait is Erlang(k) of rate c mu and the service exponential of rate mu:
    P(wait > t) + e^(-mu t) (c / (c - 1))^k P(Erlang(k, (c - 1) mu) <= t).
    """
    t, mu, k = np.array(timeout), 1 / service, ahead - servers + 1
    if k <= 0:
        return math.exp(-mu * timeout)
    if servers == 1:
        return float(erlang_survival(k + 1, mu, t))
    waits = float(erlang_survival(k, servers * mu, t))
    less = 1 - float(erlang_survival(k, (servers - 1) * mu, t))
    if less <= 0:
        return waits
    logs = -mu * timeout + k * math.log(servers / (servers - 1)) + math.log(less)
    return min(1.0, waits + math.exp(logs))


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of `retry_storm`."""

    arrival: float
    service: float
    retry: float
    drop: float
    calibration: float
    late: tuple[float, ...]
    queues: int
    orbits: int

    def transitions(self) -> Iterator[Transition]:
        for q in range(self.queues):
            for r in range(self.orbits):
                here = q * self.orbits + r
                if q == self.queues - 1:
                    yield here, here - 1, r * (self.drop + self.retry)
                else:
                    yield from self._room(here, r, 0.0 if q == 0 else self.late[q], q == 0)
                if q:
                    yield here, here - self.orbits, self.service

    def _room(self, here: int, r: int, late: float, empty: bool) -> Iterator[Transition]:
        """Arrivals and retries while the queue has room."""
        yield here, here + self.orbits, self.arrival + r * self.retry * late
        if r < self.orbits - 1 and not empty:
            yield here, here + self.orbits + 1, self.calibration * self.arrival * late
        if r:
            yield here, here + self.orbits - 1, r * self.retry * (1 - late)
            yield here, here - 1, r * self.drop


def _late(ahead: int, service: float, timeout: float) -> float:
    """Chebyshev: P(sum of `ahead` exponential services > timeout) <= variance / distance^2."""
    spread, middle = math.sqrt(ahead) * service, ahead * service
    return (spread / (timeout - middle)) ** 2 if timeout - middle > spread else 1.0


def _storm(queues: int, orbits: int, transitions: Iterator[Transition]) -> Storm:
    # A rate "to orbit -1" has the factor r = 0, and `chain` drops it before it is looked at.
    return Storm(chain=chain(queues * orbits, transitions), queues=queues, orbits=orbits)
