"""Harm: one number that lets findings of different rules be ranked against each other.

Owns the unit and its few formulas. The unit is *8 kB pages wasted per hour*: read, written or held
for nothing. It is rate times size, so that a useless index of a busy table outranks a useless index
of a quiet one, whatever the rule.

An outage has no pages; it is priced at `OUTAGE_PAGES`, what a server that reads 1 GB/s would have
read in an hour, divided by the hours until it comes. Ranking needs an order, not an invoice.
"""

from __future__ import annotations

OUTAGE_PAGES = 3600 * 131_072.0  # one hour at 1 GB/s, in 8 kB pages
_SOONEST_HOURS = 1.0


def waste(pages: float, per_hour: float | None) -> float:
    """Pages touched for nothing per event, times events per hour (one an hour if unknown)."""
    return max(0.0, pages) * (1.0 if per_hour is None else max(0.0, per_hour))


def held(pages: float) -> float:
    """Pages that only take room: they cost a read an hour at most (backup, cache, vacuum)."""
    return max(0.0, pages)


def outage(hours_left: float | None, *, share: float = 1.0) -> float:
    """An outage of `share` of the database's work in so many hours.

    Without an estimate of the time left it is taken to be a month away.
    """
    hours = 30 * 24 if hours_left is None else max(_SOONEST_HOURS, hours_left)
    return OUTAGE_PAGES * share / hours
