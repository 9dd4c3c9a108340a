"""Limits that change while the model runs, and what follows at once.

Owns the consequences of a new rate, number of servers, cores, tickets or speed. Must never decide
a limit.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, getf, put, putf
from howdah.simulate.kernel.compiled.pending import forget_slot, schedule_slot, slot_time
from howdah.simulate.kernel.compiled.pools import admit_all
from howdah.simulate.kernel.compiled.queues import serve
from howdah.simulate.kernel.compiled.sharing import advance_sharing, plan_sharing


@compiled
def _nearest(ns: Word) -> Word:
    """A duration in nanoseconds, rounded, within the clock."""
    if not ns > 0.0:
        return 0
    if ns >= 4e18:
        return at.NEVER
    return np.int64(ns + 0.5)


@compiled
def set_rate(s: Word, client: Word, rate: Word) -> None:
    """What is left of the interval stretches or shrinks."""
    old, now = getf(client + at.C_RATE), get(s + at.NOW)
    putf(client + at.C_RATE, rate)
    if rate == old:
        return
    slot, rest = get(client + at.C_SLOT), getf(client + at.C_REST)
    if rest < 0.0:
        rest = np.float64(slot_time(s, slot) - now) * old
    if rate > 0.0:
        due = now + _nearest(rest / rate)
        code = at.ARRIVAL << 48 | get(client + at.E_NUMBER) << 32
        schedule_slot(s, slot, due, code, get(client + at.C_INTERVAL_COUNT) - 1)
        putf(client + at.C_REST, -1.0)
    else:
        forget_slot(s, slot)
        putf(client + at.C_REST, rest)


@compiled
def set_of_sharing(s: Word, sharing: Word, field: Word, value: Word) -> None:
    """Cores, overhead or speed: progress so far is kept."""
    advance_sharing(s, sharing)
    putf(sharing + field, value)
    plan_sharing(s, sharing)


@compiled
def set_limit(s: Word, element: Word, value: Word) -> None:
    """What a controller sets: a rate, servers, cores, tickets."""
    kind = get(element + at.E_TYPE)
    if kind == at.T_QUEUE:
        put(element + at.Q_SERVERS, np.int64(value))
        serve(s, element)
    elif kind == at.T_POOL:
        put(element + at.L_TICKETS, np.int64(value))
        admit_all(s, element)
    elif kind == at.T_SHARING:
        set_of_sharing(s, element, at.P_CORES, value)
    elif kind == at.T_OPEN or kind == at.T_AGENTIC:
        set_rate(s, element, value)
