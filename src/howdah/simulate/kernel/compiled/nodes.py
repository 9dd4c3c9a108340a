"""Delays, gates, choices, caches: what an item passes without waiting for anybody.

Owns routing and admission as policies answer them, and the order of a cache's keys. Must never
end an item: `reject` is an answer.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.hooks import ask, ask_admit, seconds, tell
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
)
from howdah.simulate.kernel.compiled.pending import schedule_lane
from howdah.simulate.kernel.compiled.queues import next_uniform
from howdah.simulate.kernel.compiled.random import draw, nanoseconds
from howdah.simulate.kernel.compiled.tally import add, began, came, went


@compiled
def enter_delay(s: Word, delay: Word, it: Word, reference: Word) -> None:
    """The item stays for its draw."""
    came(s, delay)
    began(s, delay, 0)
    now = get(s + at.NOW)
    put(it + at.I_SINCE, now)
    put32(it + at.I_PLACE, delay - s)
    put8(it + at.I_STATE, at.SERVING)
    u = next_uniform(it, delay + at.D_TIME_NAME)
    length = draw(delay + at.D_TIME, u) * getf(delay + at.D_FACTOR)
    code = at.DELAYED << 48 | get(delay + at.E_NUMBER) << 32 | reference
    schedule_lane(s, get(delay + at.D_LANE), now + nanoseconds(length), code, get(it))


@compiled
def delayed(s: Word, delay: Word, it: Word) -> Word:
    """The time is over: where the item goes on to."""
    went(s, delay)
    put8(it + at.I_STATE, at.MOVING)
    return get(delay + at.E_TO)


@compiled
def enter_gate(s: Word, gate: Word, it: Word) -> Word:
    """The policy admits or refuses: where the item goes on to."""
    if not getf(gate + at.G_OPEN) > 0.0:
        u = next_uniform(it, gate + at.G_ADMIT_NAME)
        if not ask_admit(s, gate, it, u) > 0.0:
            add(gate + at.G_REFUSED, 1)
            return at.REJECT
    add(gate + at.G_ADMITTED, 1)
    mask, own = get32(it + at.I_GATES), 1 << get(gate + at.G_BIT)
    if mask & own == 0:
        put32(it + at.I_GATES, mask | own)
        add(gate + at.G_INFLIGHT, 1)
        add(gate + at.G_AWAITED, get8(it + at.I_WAITED))
    return get(gate + at.E_TO)


@compiled
def _route(s: Word, choice: Word, it: Word, targets: Word, count: Word, u: Word) -> Word:
    """The way that the policy answers."""
    tell(s, 0, seconds(get(s + at.NOW)))
    tell(s, 1, np.float64(get(s + get32(it + at.I_CLIENT) + at.C_GROUP)))
    tell(s, 2, np.float64(get32(it + at.I_B) >> 12))
    tell(s, 3, np.float64(count))
    tell(s, 4, np.float64(get32(it + at.I_TICKETS)))
    for way in range(count):
        target = targets + way * at.TARGET_SIZE
        to, inside = get(target), 0
        if to >= 0 and at.T_QUEUE <= get(s + to + at.E_TYPE) <= at.T_POOL:
            inside = get(s + to + at.E_INSIDE)
        tell(s, 5 + 2 * way, np.float64(inside))
        tell(s, 6 + 2 * way, np.float64(get(target + at.TARGET_INFLIGHT)))
    answer = ask(s, choice + at.X_HOOK, choice + at.X_STATE, choice + at.X_PARAMETERS, u)
    way = max(0, min(np.int64(answer), count - 1))
    taken = it + at.I_WAYS + get(choice + at.X_BYTE)
    if get8(taken) != 0:
        add(targets + (get8(taken) - 1) * at.TARGET_SIZE + at.TARGET_INFLIGHT, -1)
    put8(taken, way + 1)
    add(targets + way * at.TARGET_SIZE + at.TARGET_INFLIGHT, 1)
    return way


@compiled
def _by_weight(targets: Word, count: Word, u: Word) -> Word:
    wanted = u * getf(targets + (count - 1) * at.TARGET_SIZE + at.TARGET_SUM)
    for way in range(count):
        if getf(targets + way * at.TARGET_SIZE + at.TARGET_SUM) > wanted:
            return way
    return count - 1


@compiled
def enter_choice(s: Word, choice: Word, it: Word) -> Word:
    """Where the item goes on to."""
    targets, count = s + get(choice + at.X_TARGETS), get(choice + at.X_COUNT)
    mode = get(choice + at.X_MODE)
    if mode == 1:
        way = min(get(s + get32(it + at.I_CLIENT) + at.C_GROUP), count - 1)
    else:
        u = next_uniform(it, choice + at.X_NAME)
        if mode == 2:
            way = _route(s, choice, it, targets, count, u)
        else:
            way = _by_weight(targets, count, u)
    return get(targets + way * at.TARGET_SIZE)


@compiled
def forget_ways(s: Word, it: Word) -> None:
    """An item ends: the choices that sent it have one less in flight."""
    for byte in range(at.WAYS):
        way = get8(it + at.I_WAYS + byte)
        if way != 0:
            choice = s + get(s + get(s + at.CHOICES) + 8 * byte)
            target = s + get(choice + at.X_TARGETS) + (way - 1) * at.TARGET_SIZE
            add(target + at.TARGET_INFLIGHT, -1)
    put32(it + at.I_WAYS, 0)


@compiled
def _cached(s: Word, cache: Word, key: Word) -> Word:
    return s + get(cache + at.K_KEYS) + key * at.CACHED_SIZE


@compiled
def _unlink_key(s: Word, cache: Word, key: Word) -> None:
    entry = _cached(s, cache, key)
    newer, older = get32(entry + at.CACHED_PREVIOUS), get32(entry + at.CACHED_NEXT)
    if newer < 0:
        put(cache + at.K_FIRST, older)
    else:
        put32(_cached(s, cache, newer) + at.CACHED_NEXT, older)
    if older < 0:
        put(cache + at.K_LAST, newer)
    else:
        put32(_cached(s, cache, older) + at.CACHED_PREVIOUS, newer)


@compiled
def _link_key(s: Word, cache: Word, key: Word) -> None:
    """The key is the one used last."""
    entry, second = _cached(s, cache, key), get(cache + at.K_FIRST)
    put32(entry + at.CACHED_PREVIOUS, at.NONE)
    put32(entry + at.CACHED_NEXT, second)
    put(cache + at.K_FIRST, key)
    if second < 0:
        put(cache + at.K_LAST, key)
    else:
        put32(_cached(s, cache, second) + at.CACHED_PREVIOUS, key)


@compiled
def enter_cache(s: Word, cache: Word, it: Word) -> Word:
    """A hit or a miss: where the item goes on to."""
    key = get32(it + at.I_KEY)
    if get32(_cached(s, cache, key)) == at.ABSENT:
        add(cache + at.K_MISSES, 1)
        return get(cache + at.K_MISS_TO)
    add(cache + at.K_HITS, 1)
    _unlink_key(s, cache, key)
    _link_key(s, cache, key)
    return get(cache + at.E_TO)


@compiled
def store(s: Word, cache: Word, key: Word) -> None:
    """The key is stored as the one used last; the one used longest ago may be forgotten."""
    if get32(_cached(s, cache, key)) != at.ABSENT:
        _unlink_key(s, cache, key)
    elif get(cache + at.K_STORED) < get(cache + at.K_ENTRIES):
        add(cache + at.K_STORED, 1)
    else:
        last = get(cache + at.K_LAST)
        _unlink_key(s, cache, last)
        put32(_cached(s, cache, last), at.ABSENT)
    _link_key(s, cache, key)


@compiled
def flush_cache(s: Word, cache: Word) -> None:
    """Everything is forgotten."""
    for key in range(get(cache + at.K_KEY_COUNT)):
        put32(_cached(s, cache, key), at.ABSENT)
    put(cache + at.K_STORED, 0)
    put(cache + at.K_FIRST, at.NONE)
    put(cache + at.K_LAST, at.NONE)


@compiled
def fill_cache(s: Word, cache: Word) -> None:
    """As it is at the start when it is full: keys from 0 on, key 0 used last."""
    flush_cache(s, cache)
    for key in range(get(cache + at.K_ENTRIES) - 1, -1, -1):
        store(s, cache, key)
