"""What happens at once: items go from element to element until all are at rest.

Owns the way of an item, its end, and the order of a cascade: depth first, from the stack. Must
never pop an event.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.clients import create_attempt, hear, open_request
from howdah.simulate.kernel.compiled.lines import append
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get8,
    get32,
    put,
    put8,
    put32,
    trailing_zeros,
)
from howdah.simulate.kernel.compiled.nodes import (
    enter_cache,
    enter_choice,
    enter_delay,
    enter_gate,
    forget_ways,
    store,
)
from howdah.simulate.kernel.compiled.pools import admit_later, enter_pool, release, release_all
from howdah.simulate.kernel.compiled.queues import enter_queue
from howdah.simulate.kernel.compiled.records import free_item, item, push, request, reverse, session
from howdah.simulate.kernel.compiled.sessions import begin_session, go_on, join_round, keeps
from howdah.simulate.kernel.compiled.sharing import enter_sharing
from howdah.simulate.kernel.compiled.tally import add


@compiled
def _forget_gates(s: Word, it: Word) -> None:
    mask = get32(it + at.I_GATES) & 0xFFFFFFFF
    while mask != 0:
        add(s + get(s + get(s + at.GATES) + 8 * trailing_zeros(mask)) + at.G_INFLIGHT, -1)
        mask &= mask - 1


@compiled
def _leave_graph(s: Word, it: Word) -> None:
    """The item is in flight no longer: gates and choices count one less."""
    if get32(it + at.I_GATES) != 0:
        _forget_gates(s, it)
    if get32(it + at.I_WAYS) != 0:
        forget_ways(s, it)


@compiled
def _count_completions(s: Word, it: Word) -> None:
    """A reply counts in every pool of which the item ever took a ticket."""
    mask = get32(it + at.I_TOOK) & 0xFFFFFFFF
    while mask != 0:
        add(s + get(s + get(s + at.POOLS) + 8 * trailing_zeros(mask)) + at.E_COMPLETIONS, 1)
        mask &= mask - 1


@compiled
def end_item(s: Word, it: Word, reference: Word, outcome: Word) -> None:
    """The item ends; its client hears, if it still waits. Outcome 2: rejected; 1: withdrawn."""
    release_all(s, it)
    _leave_graph(s, it)
    if get8(it + at.I_WAITED) != 0:
        hear(s, reference, outcome)
    free_item(s, it)


@compiled
def _keep(s: Word, it: Word, reference: Word, rq: Word) -> None:
    """The answered item keeps its tickets until its session has thought."""
    append(s, session(s, get32(rq + at.R_USER)) + at.S_KEPT, it)
    put32(it + at.I_PLACE, 0)
    put8(it + at.I_STATE, at.KEPT)
    _leave_graph(s, it)
    hear(s, reference, 0)


@compiled
def _keeps(s: Word, it: Word) -> Word:
    if get8(it + at.I_HELD_COUNT) == 0:
        return False
    client = s + get32(it + at.I_CLIENT)
    if get(client + at.E_TYPE) != at.T_AGENTIC:
        return False
    return keeps(s, client, it, request(s, get32(it + at.I_REQUEST)))


@compiled
def _reply(s: Word, it: Word, reference: Word) -> None:
    """The item is answered; work for nobody if its client waits no longer."""
    if get32(it + at.I_TOOK) != 0:
        _count_completions(s, it)
    if get8(it + at.I_WAITED) == 0:
        add(s + get32(it + at.I_CLIENT) + at.C_WASTED, 1)
    elif _keeps(s, it):
        _keep(s, it, reference, request(s, get32(it + at.I_REQUEST)))
        return
    end_item(s, it, reference, 0)


@compiled
def _enter_node(s: Word, element: Word, it: Word, kind: Word) -> Word:
    """Where the item goes on to from an element in which nothing stays."""
    if kind == at.T_RELEASE:
        release(s, s + get(element + at.N_POOL), it)
    elif kind == at.T_GATE:
        return enter_gate(s, element, it)
    elif kind == at.T_CACHE:
        return enter_cache(s, element, it)
    elif kind == at.T_FILL:
        store(s, s + get(element + at.N_POOL), get32(it + at.I_KEY))
    elif kind == at.T_CHOICE:
        return enter_choice(s, element, it)
    return get(element + at.E_TO)


@compiled
def _enter(s: Word, it: Word, reference: Word, to: Word) -> Word:
    """The item arrives: where it goes on to, or STOP."""
    if to == at.REPLY:
        _reply(s, it, reference)
        return at.STOP
    if to == at.REJECT:
        end_item(s, it, reference, 2)
        return at.STOP
    element = s + to
    kind = get(element + at.E_TYPE)
    if kind == at.T_QUEUE:
        return enter_queue(s, element, it)
    if kind == at.T_POOL:
        return enter_pool(s, element, it)
    if kind == at.T_SHARING:
        enter_sharing(s, element, it, reference)
        return at.STOP
    if kind == at.T_DELAY:
        enter_delay(s, element, it, reference)
        return at.STOP
    return _enter_node(s, element, it, kind)


@compiled
def _next_of_round(s: Word, reference: Word) -> None:
    """The next request of a session's round; the rest of them wait below it on the stack."""
    se = session(s, reference)
    client = s + get(se + at.S_CLIENT)
    rq_reference = open_request(s, client, reference)
    join_round(s, client, reference, request(s, rq_reference))
    create_attempt(s, rq_reference, 0, False)
    if get(se + at.S_STARTED) < get(client + at.C_PARALLEL):
        push(s, reference, at.ROUND)


@compiled
def start_request(s: Word, client: Word, user: Word) -> None:
    """A request, or a session, starts."""
    if get(client + at.E_TYPE) == at.T_AGENTIC:
        begin_session(s, client)
    else:
        create_attempt(s, open_request(s, client, user), 0, False)


@compiled
def _start(s: Word, task: Word) -> None:
    """So many requests of a client, one after the other."""
    client, count = s + (task & 0xFFFFFFFF), task >> 32
    start_request(s, client, at.NONE)
    if count > 1:
        push(s, (count - 1) << 32 | (client - s), at.START)


@compiled
def _task(s: Word, about: Word, task: Word) -> None:
    """Something on the stack that is no item."""
    if task == at.ADMIT:
        admit_later(s, about)
    elif task == at.ROUND:
        _next_of_round(s, about)
    elif task == at.START:
        _start(s, about)
    else:
        go_on(s, about)


@compiled
def release_kept(s: Word, reference: Word) -> None:
    """A session has thought: what its items kept is released, then it goes on."""
    line = session(s, reference) + at.S_KEPT
    kept = get32(line)
    while kept >= 0:
        it = item(s, kept)
        following = get32(it + at.I_NEXT)
        release_all(s, it)
        free_item(s, it)
        kept = following
    put(line, -1)
    push(s, reference, at.GO_ON)


@compiled
def walk(s: Word) -> None:
    """Work the stack through, depth first, until everything is at rest."""
    while get(s + at.STACK_TOP) > 0:
        top = get(s + at.STACK_TOP) - 1
        put(s + at.STACK_TOP, top)
        entry = s + get(s + at.STACK) + 16 * top
        reference, to = get(entry), get(entry + 8)
        if to < at.STOP:
            _task(s, reference, to)
            reverse(s, top)
            continue
        it = item(s, reference)
        while to != at.STOP:
            bottom = get(s + at.STACK_TOP)
            to = _enter(s, it, reference, to)
            reverse(s, bottom)
