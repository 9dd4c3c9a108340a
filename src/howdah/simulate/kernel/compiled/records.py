"""Items, requests and sessions: taking a record, giving it back, and the stack of a cascade.

Owns the free lists and the stack. That there is room for everything one event can need was
looked at before the event; so nothing here can fail. Must never schedule an event.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, get32, put, put32


@compiled
def item(s: Word, reference: Word) -> Word:
    """The address of an item."""
    return s + get(s + at.ITEMS) + reference


@compiled
def request(s: Word, reference: Word) -> Word:
    """The address of a request."""
    return s + get(s + at.REQUESTS) + reference


@compiled
def session(s: Word, reference: Word) -> Word:
    """The address of a session."""
    return s + get(s + at.SESSIONS) + reference


@compiled
def item_reference(s: Word, address: Word) -> Word:
    """The reference of the item at an address."""
    return address - s - get(s + at.ITEMS)


@compiled
def new_item(s: Word) -> Word:
    """The reference of a free item."""
    put(s + at.ITEM_ROOM, get(s + at.ITEM_ROOM) - 1)
    free = get(s + at.ITEM_FREE)
    if free >= 0:
        put(s + at.ITEM_FREE, get32(item(s, free) + at.I_NEXT))
        return free
    unused = get(s + at.ITEM_UNUSED)
    put(s + at.ITEM_UNUSED, unused + get(s + at.ITEM_SIZE))
    return unused


@compiled
def free_item(s: Word, it: Word) -> None:
    """Give an item back."""
    put(it + at.I_SERIAL, -1)
    put32(it + at.I_NEXT, get(s + at.ITEM_FREE))
    put(s + at.ITEM_FREE, item_reference(s, it))
    put(s + at.ITEM_ROOM, get(s + at.ITEM_ROOM) + 1)


@compiled
def new_request(s: Word) -> Word:
    """The reference of a free request."""
    put(s + at.REQUEST_ROOM, get(s + at.REQUEST_ROOM) - 1)
    free = get(s + at.REQUEST_FREE)
    if free >= 0:
        put(s + at.REQUEST_FREE, get32(request(s, free) + at.R_NEXT))
        return free
    unused = get(s + at.REQUEST_UNUSED)
    put(s + at.REQUEST_UNUSED, unused + at.R_SIZE)
    return unused


@compiled
def free_request(s: Word, rq: Word) -> None:
    """Give a request back."""
    put32(rq + at.R_CLIENT, 0)
    put32(rq + at.R_NEXT, get(s + at.REQUEST_FREE))
    put(s + at.REQUEST_FREE, rq - s - get(s + at.REQUESTS))
    put(s + at.REQUEST_ROOM, get(s + at.REQUEST_ROOM) + 1)


@compiled
def new_session(s: Word) -> Word:
    """The reference of a free session."""
    put(s + at.SESSION_ROOM, get(s + at.SESSION_ROOM) - 1)
    free = get(s + at.SESSION_FREE)
    if free >= 0:
        put(s + at.SESSION_FREE, get(session(s, free) + at.S_NEXT))
        return free
    unused = get(s + at.SESSION_UNUSED)
    put(s + at.SESSION_UNUSED, unused + at.S_SIZE)
    return unused


@compiled
def free_session(s: Word, se: Word) -> None:
    """Give a session back."""
    put(se + at.S_ROUND, -1)
    put(se + at.S_NEXT, get(s + at.SESSION_FREE))
    put(s + at.SESSION_FREE, se - s - get(s + at.SESSIONS))
    put(s + at.SESSION_ROOM, get(s + at.SESSION_ROOM) + 1)


@compiled
def push(s: Word, reference: Word, destination: Word) -> None:
    """Onto the cascade's stack: an item and where it goes, or a task and what it is about."""
    top = get(s + at.STACK_TOP)
    if top >= get(s + at.STACK_SIZE):
        put(s + at.STATUS, at.BROKEN)
        return
    entry = s + get(s + at.STACK) + top * 16
    put(entry, reference)
    put(entry + 8, destination)
    put(s + at.STACK_TOP, top + 1)


@compiled
def reverse(s: Word, bottom: Word) -> None:
    """What was pushed since the stack had `bottom` entries is taken in the order of pushing."""
    stack = s + get(s + at.STACK)
    low, high = stack + bottom * 16, stack + (get(s + at.STACK_TOP) - 1) * 16
    while low < high:
        one, two = get(low), get(low + 8)
        put(low, get(high))
        put(low + 8, get(high + 8))
        put(high, one)
        put(high + 8, two)
        low += 16
        high -= 16
