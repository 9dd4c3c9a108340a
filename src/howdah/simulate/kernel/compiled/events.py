"""What each kind of event does, and the loop that lets them happen in order.

Owns the hash, the clock, and when the kernel returns to Python: at the end, when an array must
grow, and for actions of triggers, which Python does. Must never skip an event.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.cascade import end_item, release_kept, start_request, walk
from howdah.simulate.kernel.compiled.clients import (
    create_attempt,
    first_think,
    hear,
    retry_now,
    schedule_arrival,
)
from howdah.simulate.kernel.compiled.controllers import tick
from howdah.simulate.kernel.compiled.limits import set_rate
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get8,
    get32,
    getf,
    getu,
    put,
    putu,
)
from howdah.simulate.kernel.compiled.nodes import delayed
from howdah.simulate.kernel.compiled.pending import first_source, schedule_slot, take
from howdah.simulate.kernel.compiled.pools import drop_from_pool
from howdah.simulate.kernel.compiled.queues import drop_queued, served
from howdah.simulate.kernel.compiled.random import GOLDEN, mix
from howdah.simulate.kernel.compiled.records import item, push, reverse
from howdah.simulate.kernel.compiled.samples import sample
from howdah.simulate.kernel.compiled.sharing import in_quantum, quantum_over, shared
from howdah.simulate.kernel.compiled.tally import add

_SERIAL_BITS = (1 << 40) - 1  # of a quantum; above them its stay


@compiled
def withdraw(s: Word, it: Word, reference: Word) -> Word:
    """An item that waits is taken out of its line and ends; its client hears after that."""
    if get8(it + at.I_STATE) != at.WAITING:
        return False
    element = s + get32(it + at.I_PLACE)
    if get(element + at.E_TYPE) == at.T_QUEUE:
        drop_queued(s, element, it)
    else:
        drop_from_pool(s, element, it)
    end_item(s, it, reference, 1)
    return True


@compiled
def _timeout(s: Word, client: Word, it: Word, reference: Word) -> None:
    if get(client + at.C_CANCELS) != 0 and withdraw(s, it, reference):
        return
    hear(s, reference, 1)


@compiled
def _hedge(s: Word, it: Word) -> None:
    attempt = get32(it + at.I_B) >> 12
    create_attempt(s, get32(it + at.I_REQUEST), attempt, True)


@compiled
def _plan_profile(s: Word, client: Word, step: Word) -> None:
    if step < get(client + at.C_PROFILE_COUNT):
        entry = get(client + at.C_PROFILE) + 16 * step
        code = at.PROFILE << 48 | get(client + at.E_NUMBER) << 32
        schedule_slot(s, get(client + at.C_PROFILE_SLOT), get(entry), code, step)


@compiled
def _profile(s: Word, client: Word, step: Word) -> None:
    _plan_profile(s, client, step + 1)
    set_rate(s, client, getf(get(client + at.C_PROFILE) + 16 * step + 8))


@compiled
def _applies(s: Word, kind: Word, element: Word, reference: Word, serial: Word) -> Word:
    """Whether the event still means something."""
    if kind == at.TIMEOUT or kind == at.HEDGE:
        it = item(s, reference)
        if get(it + at.I_SERIAL) != serial or get8(it + at.I_WAITED) == 0:
            return False
        return kind == at.TIMEOUT or not getf(element + at.C_MUTED) > 0.0
    if kind == at.QUANTUM:
        it = item(s, reference)
        if get(it + at.I_SERIAL) != serial & _SERIAL_BITS:
            return False
        return in_quantum(s, element, it, serial >> 40)
    return True


@compiled
def _happen_to_client(s: Word, kind: Word, client: Word, reference: Word, serial: Word) -> None:
    if kind == at.ARRIVAL:
        schedule_arrival(s, client)
        start_request(s, client, at.NONE)
    elif kind == at.TIMEOUT:
        _timeout(s, client, item(s, reference), reference)
    elif kind == at.RETRY:
        retry_now(s, reference)
    elif kind == at.HEDGE:
        _hedge(s, item(s, reference))
    elif kind == at.PROFILE:
        _profile(s, client, serial)
    elif get(client + at.E_TYPE) == at.T_AGENTIC:
        release_kept(s, reference)
    else:
        start_request(s, client, serial)


@compiled
def _happen(
    s: Word, source: Word, kind: Word, element: Word, reference: Word, serial: Word
) -> None:
    """The event itself; what follows at once is put on the stack."""
    if kind == at.SERVED:
        served(s, element, item(s, reference), reference, source == get(element + at.Q_SLOT))
    elif kind == at.SHARED:
        shared(s, element, item(s, reference), reference)
    elif kind == at.QUANTUM:
        quantum_over(s, element, item(s, reference), reference)
    elif kind == at.DELAYED:
        push(s, reference, delayed(s, element, item(s, reference)))
    elif kind == at.TICK:
        tick(s, element)
    else:
        _happen_to_client(s, kind, element, reference, serial)


@compiled
def take_note(s: Word, time: Word, code: Word, serial: Word) -> None:
    """The event enters the hash."""
    what = np.uint64((code >> 32 << 32) ^ serial)
    told = np.uint64(time) + GOLDEN * what
    putu(s + at.HASH, mix(getu(s + at.HASH) ^ told))
    add(s + at.HAPPENED, 1)


@compiled
def _step(s: Word, source: Word, head: Word) -> None:
    """The first event of all happens, with all that follows at once."""
    time, code, serial = get(head), get(head + at.ENTRY_CODE), get(head + at.ENTRY_SERIAL)
    kind, reference = code >> 48, get32(head + at.ENTRY_CODE)
    element = s + get(s + at.ELEMENTS) + ((code >> 32) & 0xFFFF) * at.ELEMENT_SIZE
    put(s + at.NOW, time)
    take(s, source)
    if not _applies(s, kind, element, reference, serial):
        add(s + at.CANCELLED, 1)
        return
    take_note(s, time, code, serial & _SERIAL_BITS if kind == at.QUANTUM else serial)
    _happen(s, source, kind, element, reference, serial)
    reverse(s, 0)
    walk(s)


@compiled
def _cramped(s: Word) -> Word:
    """Whether one more event might find no room."""
    if get(s + at.ITEM_ROOM) < at.MARGIN or get(s + at.REQUEST_ROOM) < at.MARGIN:
        return True
    return get(s + at.HEAP_ROOM) < get(s + at.HEAP_NEED) or get(s + at.SESSION_ROOM) < 1


@compiled
def run(s: Word, until: Word, most: Word) -> Word:
    """Let everything up to `until` happen; why it stopped."""
    last = get(s + at.HAPPENED) + most
    heads = s + at.HEADER_SIZE
    while True:
        source = first_source(s)
        head = heads + source * at.ENTRY_SIZE
        time = get(head)
        due = get(s + at.SAMPLE_NEXT)
        if due < time and due <= until:
            if get(s + at.SAMPLE_ROOM) <= 0:
                return at.GROW
            sample(s, due)
            if get(s + at.SAMPLE_STOP) != 0:
                return at.SAMPLED
            continue
        if time > until:
            put(s + at.NOW, max(until, get(s + at.NOW)))
            return at.DONE
        if get(s + at.HAPPENED) >= last:
            return at.ENOUGH
        if _cramped(s) or get(s + at.STATUS) != 0:
            return at.GROW
        kind = get(head + at.ENTRY_CODE) >> 48
        if kind == at.ACT or kind == at.UNDO:
            return at.ACTION
        _step(s, source, head)


@compiled
def begin_client(s: Word, client: Word) -> None:
    """What is scheduled of a client at the start."""
    if get(client + at.E_TYPE) == at.T_CLOSED:
        for user in range(get(client + at.C_USERS)):
            first_think(s, client, user)
        return
    _plan_profile(s, client, 0)
    schedule_arrival(s, client)
