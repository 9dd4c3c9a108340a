"""Pools of tickets, or one pool for each key.

Owns who holds a ticket and who gets the next. Must never take a ticket away from its holder, nor
let an item go on itself: who is admitted is put on the stack.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.lines import append, unlink
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get8,
    get32,
    put,
    put8,
    put32,
)
from howdah.simulate.kernel.compiled.ranks import rank_in, rank_out
from howdah.simulate.kernel.compiled.records import item, item_reference, push
from howdah.simulate.kernel.compiled.tally import add, began, came, dropped, refused, went

_MOST_HELD = 8


@compiled
def _bowl(s: Word, pool: Word, it: Word) -> Word:
    """The address of (used, waiting, head, tail) of the item's key, or of the whole pool."""
    key = get32(it + at.I_KEY) if get(pool + at.L_KEYED) != 0 else 0
    return s + get(pool + at.L_KEYS) + key * at.KEY_SIZE


@compiled
def _holds(pool: Word, it: Word) -> Word:
    """Which of the tickets that the item holds is of this pool; -1 if none."""
    bit = get(pool + at.L_BIT)
    for place in range(get8(it + at.I_HELD_COUNT)):
        if get8(it + at.I_HELD + place) == bit:
            return place
    return -1


@compiled
def _take(s: Word, pool: Word, bowl: Word, it: Word) -> None:
    """The item gets a ticket and goes on."""
    add(bowl + at.KEY_USED, 1)
    began(s, pool, get(s + at.NOW) - get(it + at.I_SINCE))
    bit, held = get(pool + at.L_BIT), get8(it + at.I_HELD_COUNT)
    if held >= _MOST_HELD:
        put(s + at.STATUS, at.BROKEN)
        return
    put8(it + at.I_HELD + held, bit)
    put8(it + at.I_HELD_COUNT, held + 1)
    put8(it + at.I_STATE, at.MOVING)
    put32(it + at.I_TICKETS, get32(it + at.I_TICKETS) + 1)
    put32(it + at.I_TOOK, get32(it + at.I_TOOK) | 1 << bit)
    counts = get(pool + at.L_COUNTS)
    if counts != 0:
        put32(it + counts, get32(it + counts) + 1)


@compiled
def _wait(s: Word, pool: Word, bowl: Word, it: Word) -> None:
    waiting = get(bowl + at.KEY_WAITING)
    put(bowl + at.KEY_WAITING, waiting + 1)
    add(pool + at.E_WAITING, 1)
    put32(it + at.I_PLACE, pool - s)
    put8(it + at.I_STATE, at.WAITING)
    if get(pool + at.L_HEAP) != 0:
        put(it + at.I_NEXT, get(pool + at.L_ARRIVALS))
        add(pool + at.L_ARRIVALS, 1)
        heap, counts = s + get(pool + at.L_HEAP), get(pool + at.L_COUNTS)
        rank_in(s, heap, waiting, item_reference(s, it), counts)
    else:
        append(s, bowl + at.KEY_HEAD, it)


@compiled
def enter_pool(s: Word, pool: Word, it: Word) -> Word:
    """To a ticket, to the line, or refused: where the item goes on to."""
    if _holds(pool, it) >= 0:
        return get(pool + at.E_TO)
    bowl = _bowl(s, pool, it)
    waiting = get(bowl + at.KEY_WAITING)
    free = get(bowl + at.KEY_USED) < get(pool + at.L_TICKETS)
    if free and (waiting == 0 or get(pool + at.L_ORDER) == at.BARGING):
        came(s, pool)
        put(it + at.I_SINCE, get(s + at.NOW))
        _take(s, pool, bowl, it)
        return get(pool + at.E_TO)
    if waiting >= get(pool + at.L_MOST_WAITING):
        refused(pool)
        return at.REJECT
    came(s, pool)
    put(it + at.I_SINCE, get(s + at.NOW))
    _wait(s, pool, bowl, it)
    return at.STOP


@compiled
def _fewest_of_key(s: Word, pool: Word, bowl: Word) -> Word:
    """The oldest of those with the fewest acquisitions, of a keyed pool: lines are short there."""
    counts, reference = get(pool + at.L_COUNTS), get32(bowl + at.KEY_HEAD)
    best = reference
    while reference >= 0:
        if get32(item(s, reference) + counts) < get32(item(s, best) + counts):
            best = reference
        reference = get32(item(s, reference) + at.I_NEXT)
    return best


@compiled
def _next(s: Word, pool: Word, bowl: Word) -> Word:
    """The reference of the next to be admitted."""
    if get(pool + at.L_HEAP) != 0:
        return get32(s + get(pool + at.L_HEAP))
    if get(pool + at.L_ORDER) == at.FEWEST:
        return _fewest_of_key(s, pool, bowl)
    return get32(bowl + at.KEY_HEAD)


@compiled
def _leave_line(s: Word, pool: Word, bowl: Word, it: Word) -> None:
    waiting = get(bowl + at.KEY_WAITING)
    put(bowl + at.KEY_WAITING, waiting - 1)
    if get(pool + at.L_HEAP) != 0:
        heap, counts = s + get(pool + at.L_HEAP), get(pool + at.L_COUNTS)
        rank_out(s, heap, waiting, item_reference(s, it), counts)
    else:
        unlink(s, bowl + at.KEY_HEAD, it)


@compiled
def admit(s: Word, pool: Word, bowl: Word) -> None:
    """While there are tickets and somebody waits, the next one gets one; they go on later."""
    while get(bowl + at.KEY_WAITING) > 0 and get(bowl + at.KEY_USED) < get(pool + at.L_TICKETS):
        reference = _next(s, pool, bowl)
        it = item(s, reference)
        _leave_line(s, pool, bowl, it)
        add(pool + at.E_WAITING, -1)
        _take(s, pool, bowl, it)
        push(s, reference, get(pool + at.E_TO))


@compiled
def admit_all(s: Word, pool: Word) -> None:
    """The number of tickets has changed: admit at once, in the order of keys."""
    for key in range(get(pool + at.L_KEY_COUNT)):
        admit(s, pool, s + get(pool + at.L_KEYS) + key * at.KEY_SIZE)


@compiled
def release(s: Word, pool: Word, it: Word) -> None:
    """The ticket comes back; who gets it goes on later."""
    place = _holds(pool, it)
    if place < 0:
        return
    held = get8(it + at.I_HELD_COUNT) - 1
    for later in range(place, held):
        put8(it + at.I_HELD + later, get8(it + at.I_HELD + later + 1))
    put8(it + at.I_HELD_COUNT, held)
    went(s, pool)
    add(pool + at.E_RELEASES, 1)
    bowl = _bowl(s, pool, it)
    add(bowl + at.KEY_USED, -1)
    if get(pool + at.L_ORDER) != at.BARGING:
        admit(s, pool, bowl)
    elif get(pool + at.E_WAITING) > 0:
        push(s, (pool - s) << 32 | get32(it + at.I_KEY), at.ADMIT)


@compiled
def admit_later(s: Word, task: Word) -> None:
    """A barging pool's ticket that nobody took meanwhile goes to who waits."""
    pool = s + (task >> 32)
    key = task & 0xFFFFFFFF if get(pool + at.L_KEYED) != 0 else 0
    admit(s, pool, s + get(pool + at.L_KEYS) + key * at.KEY_SIZE)


@compiled
def release_all(s: Word, it: Word) -> None:
    """The tickets of an item that ends, in the order in which they were taken."""
    while get8(it + at.I_HELD_COUNT) > 0:
        release(s, s + get(s + get(s + at.POOLS) + 8 * get8(it + at.I_HELD)), it)


@compiled
def drop_from_pool(s: Word, pool: Word, it: Word) -> None:
    """A waiting item is taken out of the line."""
    _leave_line(s, pool, _bowl(s, pool, it), it)
    dropped(s, pool)
    put8(it + at.I_STATE, at.MOVING)
