"""Queues: servers with a waiting line and a discipline.

Owns who waits, who is served next and for how long. Must never decide where an item goes then.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.hooks import ask, seconds, tell
from howdah.simulate.kernel.compiled.lines import append, unlink
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get8,
    get32,
    getf,
    getu,
    put,
    put8,
    put32,
    trailing_zeros,
)
from howdah.simulate.kernel.compiled.pending import schedule, schedule_slot
from howdah.simulate.kernel.compiled.random import count_draw, draw, item_uniform, nanoseconds
from howdah.simulate.kernel.compiled.records import item, item_reference, push
from howdah.simulate.kernel.compiled.tally import add, began, came, dropped, refused, went

_FAR = 1e9


@compiled
def next_uniform(it: Word, name: Word) -> Word:
    """A draw of the item: its visits count one up first."""
    b = get32(it + at.I_B) + 1
    put32(it + at.I_B, b)
    return item_uniform(getu(it + at.I_WORLD), getu(name), b)


@compiled
def _slowed(s: Word, queue: Word, length: Word, u: Word) -> Word:
    tell(s, 0, seconds(get(s + at.NOW)))
    tell(s, 1, np.float64(get(queue + at.E_INSIDE)))
    tell(s, 2, np.float64(get(queue + at.E_SERVING)))
    tell(s, 3, np.float64(get(queue + at.E_WAITING)))
    hook = queue + at.Q_SLOWDOWN_HOOK
    return length * ask(s, hook, queue + at.Q_SLOWDOWN_STATE, queue + at.Q_SLOWDOWN_PARAMETERS, u)


@compiled
def _start(s: Word, queue: Word, it: Word) -> None:
    """Service starts; its end is scheduled."""
    now = get(s + at.NOW)
    began(s, queue, now - get(it + at.I_SINCE))
    put8(it + at.I_STATE, at.SERVING)
    u = next_uniform(it, queue + at.Q_SERVICE_NAME)
    length = draw(queue + at.Q_SERVICE, u)
    if get(queue + at.Q_SLOWDOWN_HOOK) != 0:
        length = _slowed(s, queue, length, u)
    due = now + nanoseconds(length / getf(queue + at.Q_SPEED))
    number = get(queue + at.E_NUMBER)
    code = at.SERVED << 48 | number << 32 | item_reference(s, it)
    serial = get(it + at.I_SERIAL)
    if get(queue + at.Q_SLOT_TAKEN) == 0:
        put(queue + at.Q_SLOT_TAKEN, 1)
        schedule_slot(s, get(queue + at.Q_SLOT), due, code, serial)
    else:
        schedule(s, due, code, serial)


@compiled
def _free(queue: Word) -> Word:
    """Whether a server may take somebody."""
    if get(queue + at.E_SERVING) >= get(queue + at.Q_SERVERS):
        return False
    return getf(queue + at.Q_SPEED) > 0.0


@compiled
def enter_queue(s: Word, queue: Word, it: Word) -> Word:
    """To a free server, to the line, or refused: where the item goes on to."""
    if get(queue + at.E_INSIDE) >= get(queue + at.Q_CAPACITY):
        refused(queue)
        return at.REJECT
    came(s, queue)
    now = get(s + at.NOW)
    put(it + at.I_SINCE, now)
    put32(it + at.I_PLACE, queue - s)
    if _free(queue):
        _start(s, queue, it)
        return at.STOP
    waiting = get(queue + at.E_WAITING)
    if waiting == 0:
        put(queue + at.Q_EMPTY_AT, now)
    put(queue + at.E_WAITING, waiting + 1)
    put8(it + at.I_STATE, at.WAITING)
    band = get(s + get32(it + at.I_CLIENT) + at.C_BAND)
    put(queue + at.Q_BANDS, get(queue + at.Q_BANDS) | 1 << band)
    append(s, queue + at.Q_LINES + 8 * band, it)
    return at.STOP


@compiled
def _unlink(s: Word, queue: Word, it: Word) -> None:
    """Out of its band's line; the mask of bands is kept."""
    band = get(s + get32(it + at.I_CLIENT) + at.C_BAND)
    line = queue + at.Q_LINES + 8 * band
    unlink(s, line, it)
    if get32(line) < 0:
        put(queue + at.Q_BANDS, get(queue + at.Q_BANDS) & ~(1 << band))


@compiled
def drop_queued(s: Word, queue: Word, it: Word) -> None:
    """A waiting item is taken out of the line."""
    _unlink(s, queue, it)
    dropped(s, queue)
    put8(it + at.I_STATE, at.MOVING)


@compiled
def _expired(s: Word, it: Word) -> Word:
    """Whether work on the item is of no use to anybody."""
    return get8(it + at.I_WAITED) == 0 or get(s + at.NOW) >= get(it + at.I_DEADLINE)


@compiled
def _patience(s: Word, it: Word) -> Word:
    """Seconds until the item's client stops waiting."""
    if get8(it + at.I_WAITED) == 0:
        return -1.0
    patience = get(it + at.I_PATIENCE)
    if patience >= at.NEVER:
        return _FAR
    return seconds(patience - get(s + at.NOW))


@compiled
def _policy_choice(s: Word, queue: Word, oldest: Word, youngest: Word) -> Word:
    """What the policy answers: 0 the oldest, 1 the youngest, 2 drop the oldest."""
    now = get(s + at.NOW)
    tell(s, 0, seconds(now))
    tell(s, 1, np.float64(get(queue + at.E_WAITING)))
    tell(s, 2, seconds(now - get(oldest + at.I_SINCE)))
    tell(s, 3, seconds(now - get(youngest + at.I_SINCE)))
    tell(s, 4, seconds(now - get(queue + at.Q_EMPTY_AT)))
    tell(s, 5, _patience(s, oldest))
    tell(s, 6, np.float64(get(queue + at.E_SERVING)))
    u = count_draw(s, queue + at.Q_DEQUEUE)
    hook = queue + at.Q_DEQUEUE_HOOK
    answer = ask(s, hook, queue + at.Q_STATE, queue + at.Q_PARAMETERS, u)
    return np.int64(answer) if 0.0 <= answer < 3.0 else 0


@compiled
def _choose(s: Word, queue: Word) -> Word:
    """The item that the discipline takes: its reference; a dropped one as ~reference."""
    line = queue + at.Q_LINES + 8 * trailing_zeros(get(queue + at.Q_BANDS))
    oldest, youngest = get32(line), get32(line + 4)
    discipline, choice = get(queue + at.Q_DISCIPLINE), 0
    expire = get(queue + at.Q_EXPIRED) != 0
    if expire and _expired(s, item(s, oldest)):
        return ~oldest
    if discipline == 2:
        choice = _policy_choice(s, queue, item(s, oldest), item(s, youngest))
    elif discipline == 1:
        choice = 1
    taken = youngest if choice == 1 else oldest
    if choice == 2 or (expire and _expired(s, item(s, taken))):
        return ~taken
    return taken


@compiled
def serve(s: Word, queue: Word) -> None:
    """Free servers take items; the dropped are put on the stack, to be rejected in order."""
    while get(queue + at.E_WAITING) > 0 and _free(queue):
        taken = _choose(s, queue)
        if taken < 0:
            drop_queued(s, queue, item(s, ~taken))
            push(s, ~taken, at.REJECT)
        else:
            it = item(s, taken)
            _unlink(s, queue, it)
            add(queue + at.E_WAITING, -1)
            _start(s, queue, it)


@compiled
def served(s: Word, queue: Word, it: Word, reference: Word, from_slot: Word) -> None:
    """A service is done: the item goes on after the servers have found their next ones."""
    if from_slot:
        put(queue + at.Q_SLOT_TAKEN, 0)
    went(s, queue)
    put8(it + at.I_STATE, at.MOVING)
    push(s, reference, get(queue + at.E_TO))
    serve(s, queue)
