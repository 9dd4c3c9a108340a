"""Retrial queues in closed form: refused items go around in an orbit and try again.

Owns M/M/1/1 with exponential retrials. Must never hold a chain: larger ones are `storm.py`'s.
Source: G. Falin and J. Templeton, "Retrial Queues" (1997), chapter 1.
"""

from __future__ import annotations

import msgspec

from howdah.errors import BadInput


class Orbit(msgspec.Struct, frozen=True, kw_only=True):
    """A retrial queue in equilibrium."""

    busy: float  # share of the server's time
    orbit: float  # items waiting to try again
    inside: float  # items in service and in orbit
    sojourn: float  # seconds from first attempt to the end of service
    retries: float  # further attempts of an item


def mm11_retrial(arrival: float, service: float, retrial: float) -> Orbit:
    """M/M/1/1 whose refused items try again, each after an exponential time of rate `retrial`.

    E[orbit] = rho (lambda + rho theta) / ((1 - rho) theta), P(busy) = rho, in units of mu = 1.

    >>> round(mm11_retrial(0.5, 1.0, 0.2).orbit, 9)
    3.0
    """
    rho = arrival * service
    if rho >= 1:
        raise BadInput(f"a load of {rho:g} is too much for one server: the orbit grows for ever")
    theta = retrial * service
    orbit = rho * (rho + rho * theta) / ((1 - rho) * theta)
    return Orbit(
        busy=rho,
        orbit=orbit,
        inside=orbit + rho,
        sojourn=(orbit + rho) / arrival if arrival else service,
        retries=retrial * orbit / arrival if arrival else 0.0,
    )
