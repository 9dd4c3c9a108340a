"""What searches do to a running engine: drop a line, go on with other random numbers.

Owns the order in which waiting items are dropped, and which worlds change. See Interventions in
`semantics.md`. Must never touch those in service.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get32,
    getu,
    putu,
    trailing_zeros,
)
from howdah.simulate.kernel.compiled.pools import drop_from_pool
from howdah.simulate.kernel.compiled.queues import drop_queued
from howdah.simulate.kernel.compiled.random import mix
from howdah.simulate.kernel.compiled.records import item, push, request, session


@compiled
def _oldest_of_heap(s: Word, pool: Word, count: Word) -> Word:
    """The oldest of those in a `fewest` pool's heap, which is in another order."""
    heap = s + get(pool + at.L_HEAP)
    best = get32(heap)
    for place in range(1, count):
        reference = get32(heap + 4 * place)
        if get(item(s, reference) + at.I_NEXT) < get(item(s, best) + at.I_NEXT):
            best = reference
    return best


@compiled
def _drop_key(s: Word, pool: Word, bowl: Word) -> None:
    while get(bowl + at.KEY_WAITING) > 0:
        if get(pool + at.L_HEAP) != 0:
            reference = _oldest_of_heap(s, pool, get(bowl + at.KEY_WAITING))
        else:
            reference = get32(bowl + at.KEY_HEAD)
        drop_from_pool(s, pool, item(s, reference))
        push(s, reference, at.REJECT)


@compiled
def drop_all(s: Word, element: Word) -> None:
    """Everybody who waits there is taken out, and rejected one after another."""
    if get(element + at.E_TYPE) == at.T_POOL:
        for key in range(get(element + at.L_KEY_COUNT)):
            _drop_key(s, element, s + get(element + at.L_KEYS) + key * at.KEY_SIZE)
        return
    while get(element + at.E_WAITING) > 0:
        band = trailing_zeros(get(element + at.Q_BANDS))
        reference = get32(element + at.Q_LINES + 8 * band)
        drop_queued(s, element, item(s, reference))
        push(s, reference, at.REJECT)


@compiled
def _another(address: Word, root: Word) -> None:
    putu(address, mix(getu(address) + root))


@compiled
def reseed(s: Word, root: Word) -> None:
    """All further draws are new ones; what was drawn stays."""
    putu(s + at.ROOT, root)
    for reference in range(0, get(s + at.ITEM_UNUSED), get(s + at.ITEM_SIZE)):
        it = item(s, reference)
        if get(it + at.I_SERIAL) >= 0:
            _another(it + at.I_WORLD, root)
    for reference in range(0, get(s + at.REQUEST_UNUSED), at.R_SIZE):
        rq = request(s, reference)
        if get32(rq + at.R_CLIENT) != 0:
            _another(rq + at.R_WORLD, root)
    for reference in range(0, get(s + at.SESSION_UNUSED), at.S_SIZE):
        se = session(s, reference)
        if get(se + at.S_ROUND) >= 0:
            _another(se + at.S_WORLD, root)
