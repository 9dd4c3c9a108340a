"""Processor sharing, kept as virtual time: one completion pending, whoever is inside.

Owns how cores are shared and what a quantum leaves over. Must never keep two completions.
"""

from __future__ import annotations

import math

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.hooks import seconds
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get8,
    get32,
    getf,
    put,
    put8,
    put32,
    putf,
)
from howdah.simulate.kernel.compiled.pending import forget_slot, schedule_lane, schedule_slot
from howdah.simulate.kernel.compiled.ranks import rank_in, rank_out
from howdah.simulate.kernel.compiled.records import item, push
from howdah.simulate.kernel.compiled.tally import began, came, went


@compiled
def upward(ns: Word) -> Word:
    """A duration in nanoseconds, rounded up, within the clock."""
    if not ns > 0.0:
        return 0
    if ns >= 4e18:
        return at.NEVER
    return np.int64(math.ceil(ns))


@compiled
def _rate(sharing: Word, n: Word) -> Word:
    cores = getf(sharing + at.P_CORES)
    used = min(n, cores) * getf(sharing + at.P_SPEED)
    return used / (1.0 + getf(sharing + at.P_OVERHEAD) * max(0.0, n - cores))


@compiled
def advance_sharing(s: Word, sharing: Word) -> None:
    """Virtual time is brought up to now, with what is true until now."""
    now, inside = get(s + at.NOW), get(sharing + at.E_INSIDE)
    if inside > 0:
        n = np.float64(inside)
        passed = seconds(now - get(sharing + at.P_SINCE))
        grown = passed * (_rate(sharing, n) / n)
        putf(sharing + at.P_VIRTUAL, getf(sharing + at.P_VIRTUAL) + grown)
    put(sharing + at.P_SINCE, now)


@compiled
def plan_sharing(s: Word, sharing: Word) -> None:
    """The completion is scheduled anew."""
    n = np.float64(get(sharing + at.E_INSIDE))
    slot, rate = get(sharing + at.P_SLOT), _rate(sharing, n)
    if n == 0.0 or rate <= 0.0:
        forget_slot(s, slot)
        return
    reference = get32(s + get(sharing + at.P_HEAP))
    it = item(s, reference)
    left = (getf(it + at.I_REST) - getf(sharing + at.P_VIRTUAL)) * n / rate * 1e9
    code = at.SHARED << 48 | get(sharing + at.E_NUMBER) << 32 | reference
    schedule_slot(s, slot, get(s + at.NOW) + upward(left), code, get(it + at.I_SERIAL))


@compiled
def enter_sharing(s: Word, sharing: Word, it: Word, reference: Word) -> None:
    """The item runs from now on."""
    advance_sharing(s, sharing)
    count = get(sharing + at.E_INSIDE)
    came(s, sharing)
    began(s, sharing, 0)
    now = get(s + at.NOW)
    put(it + at.I_SINCE, now)
    put32(it + at.I_PLACE, sharing - s)
    put8(it + at.I_STATE, at.SERVING)
    putf(it + at.I_REST, getf(sharing + at.P_VIRTUAL) + getf(it + at.I_REST))
    rank_in(s, s + get(sharing + at.P_HEAP), count, reference, 0)
    plan_sharing(s, sharing)
    stay = (get32(it + at.I_STAY) + 1) & 0x7FFFFFFF
    put32(it + at.I_STAY, stay)
    quantum = get(sharing + at.P_QUANTUM)
    if quantum >= 0:
        code = at.QUANTUM << 48 | get(sharing + at.E_NUMBER) << 32 | reference
        serial = get(it + at.I_SERIAL)
        schedule_lane(s, get(sharing + at.P_QUANTUM_LANE), now + quantum, code, serial | stay << 40)


@compiled
def _leave(s: Word, sharing: Word, it: Word, reference: Word, to: Word) -> None:
    count = get(sharing + at.E_INSIDE)
    rank_out(s, s + get(sharing + at.P_HEAP), count, reference, 0)
    went(s, sharing)
    put8(it + at.I_STATE, at.MOVING)
    if count == 1:
        putf(sharing + at.P_VIRTUAL, 0.0)
    plan_sharing(s, sharing)
    push(s, reference, to)


@compiled
def shared(s: Word, sharing: Word, it: Word, reference: Word) -> None:
    """The item's demand is done."""
    advance_sharing(s, sharing)
    _leave(s, sharing, it, reference, get(sharing + at.E_TO))
    putf(it + at.I_REST, getf(it + at.I_DEMAND))


@compiled
def in_quantum(s: Word, sharing: Word, it: Word, stay: Word) -> Word:
    """Whether a quantum is that of the item's present stay."""
    if get32(it + at.I_PLACE) != sharing - s or get8(it + at.I_STATE) != at.SERVING:
        return False
    return get32(it + at.I_STAY) == stay


@compiled
def quantum_over(s: Word, sharing: Word, it: Word, reference: Word) -> None:
    """The item yields, with what is left of its demand."""
    advance_sharing(s, sharing)
    rest = max(0.0, getf(it + at.I_REST) - getf(sharing + at.P_VIRTUAL))
    _leave(s, sharing, it, reference, get(sharing + at.P_YIELD_TO))
    putf(it + at.I_REST, rest)
