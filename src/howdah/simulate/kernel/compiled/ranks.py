"""An element's own heap of items: who is done first in a Sharing, who is next in a `fewest` Pool.

Owns the order within it: by (virtual end, serial), or by (acquisitions, arrival). An item knows
its place, so that it can leave from anywhere. Must never count anything.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, get32, put32
from howdah.simulate.kernel.compiled.records import item


@compiled
def _before(one: Word, two: Word, counts: Word) -> Word:
    """Whether item `one` comes first; `counts` is where acquisitions are counted, 0: a Sharing.

    Virtual ends are never negative, and such floats compare like their bits.
    """
    if counts == 0:
        first, second = get(one + at.I_REST), get(two + at.I_REST)
        tie = get(one + at.I_SERIAL) < get(two + at.I_SERIAL)
    else:
        first, second = get32(one + counts), get32(two + counts)
        tie = get(one + at.I_NEXT) < get(two + at.I_NEXT)
    return first < second or (first == second and tie)


@compiled
def _place(s: Word, heap: Word, place: Word, reference: Word) -> None:
    put32(heap + 4 * place, reference)
    put32(item(s, reference) + at.I_POSITION, place)


@compiled
def _rise(s: Word, heap: Word, place: Word, reference: Word, counts: Word) -> None:
    """The item goes up from an empty place to where it belongs."""
    it = item(s, reference)
    while place > 0:
        parent = (place - 1) >> 1
        other = get32(heap + 4 * parent)
        if not _before(it, item(s, other), counts):
            break
        _place(s, heap, place, other)
        place = parent
    _place(s, heap, place, reference)


@compiled
def _sink(s: Word, heap: Word, place: Word, reference: Word, count: Word, counts: Word) -> None:
    """The item goes down from an empty place to where it belongs."""
    it = item(s, reference)
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        other = get32(heap + 4 * child)
        if child + 1 < count:
            sibling = get32(heap + 4 * child + 4)
            if _before(item(s, sibling), item(s, other), counts):
                child, other = child + 1, sibling
        if not _before(item(s, other), it, counts):
            break
        _place(s, heap, place, other)
        place = child
    _place(s, heap, place, reference)


@compiled
def rank_in(s: Word, heap: Word, count: Word, reference: Word, counts: Word) -> None:
    """Into a heap that holds `count` items."""
    _rise(s, heap, count, reference, counts)


@compiled
def rank_out(s: Word, heap: Word, count: Word, reference: Word, counts: Word) -> None:
    """Out of a heap that holds `count` items, this one included."""
    place, last = get32(item(s, reference) + at.I_POSITION), get32(heap + 4 * (count - 1))
    if last == reference:
        return
    parent = (place - 1) >> 1
    if place > 0 and _before(item(s, last), item(s, get32(heap + 4 * parent)), counts):
        _rise(s, heap, place, last, counts)
    else:
        _sink(s, heap, place, last, count - 1, counts)
