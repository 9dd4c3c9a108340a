"""What is counted at processors and pools when items come, begin, and go.

Owns the counters and time integrals that all of them share. Integrals are brought up to now
before a number changes, so that Little's law can be checked exactly. Must never move an item.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, put


@compiled
def add(address: Word, n: Word) -> None:
    """Add to the word at an address."""
    put(address, get(address) + n)


@compiled
def touch(s: Word, element: Word) -> None:
    """Bring the integrals of the numbers inside and in service up to now."""
    now = get(s + at.NOW)
    passed = now - get(element + at.E_LAST)
    put(element + at.E_LAST, now)
    add(element + at.E_AREA, passed * get(element + at.E_INSIDE))
    add(element + at.E_BUSY, passed * get(element + at.E_SERVING))


@compiled
def came(s: Word, element: Word) -> None:
    """An item is inside now."""
    touch(s, element)
    add(element + at.E_ENTERED, 1)
    inside = get(element + at.E_INSIDE) + 1
    put(element + at.E_INSIDE, inside)
    add(element + at.E_CLOCKS, -get(s + at.NOW))
    if get(element + at.E_TYPE) != at.T_POOL and inside > get(element + at.E_PEAK):
        put(element + at.E_PEAK, inside)


@compiled
def began(s: Word, element: Word, waited: Word) -> None:
    """Service began, or a ticket was taken, after a wait of so many nanoseconds."""
    touch(s, element)
    serving = get(element + at.E_SERVING) + 1
    put(element + at.E_SERVING, serving)
    add(element + at.E_WAITS, waited)
    if get(element + at.E_TYPE) == at.T_POOL and serving > get(element + at.E_PEAK):
        put(element + at.E_PEAK, serving)


@compiled
def went(s: Word, element: Word) -> None:
    """An item that was in service, or held a ticket, is no longer inside."""
    touch(s, element)
    add(element + at.E_SERVING, -1)
    _gone(s, element)
    add(element + at.E_LEFT, 1)


@compiled
def dropped(s: Word, element: Word) -> None:
    """A waiting item was taken out of the line."""
    touch(s, element)
    add(element + at.E_WAITING, -1)
    _gone(s, element)
    add(element + at.E_DROPPED, 1)


@compiled
def _gone(s: Word, element: Word) -> None:
    add(element + at.E_INSIDE, -1)
    add(element + at.E_CLOCKS, get(s + at.NOW))


@compiled
def refused(element: Word) -> None:
    """An item was turned away at the door."""
    add(element + at.E_ENTERED, 1)
    add(element + at.E_REFUSED, 1)
