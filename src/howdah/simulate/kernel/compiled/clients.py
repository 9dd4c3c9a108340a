"""Clients: requests, attempts, timeouts, hedges, what a client does when it hears.

Owns the client's side of a request. What is asked of sessions is in `sessions.py`. Must never
know what happens inside the graph.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.hooks import client_observes, gate_observes
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get32,
    getf,
    getu,
    put,
    put8,
    put32,
    putf,
    putu,
    trailing_zeros,
)
from howdah.simulate.kernel.compiled.pending import schedule, schedule_lane, schedule_slot
from howdah.simulate.kernel.compiled.random import (
    GOLDEN,
    count_draw,
    draw,
    item_uniform,
    key_draw,
    ln,
    mix,
    nanoseconds,
)
from howdah.simulate.kernel.compiled.records import (
    free_request,
    item,
    new_item,
    new_request,
    push,
    request,
)
from howdah.simulate.kernel.compiled.retries import retry_delay, succeeded_budget
from howdah.simulate.kernel.compiled.sessions import request_of_session_ended
from howdah.simulate.kernel.compiled.tally import add

_TWIN = 2048  # where a hedge's visits count from


@compiled
def schedule_arrival(s: Word, client: Word) -> None:
    """Draw the next interval; at rate 0 the source is parked with it."""
    number = get(client + at.E_NUMBER)
    n = get(client + at.C_INTERVAL_COUNT)
    u = count_draw(s, client + at.C_INTERVAL)
    interval = 1.0 if get(client + at.C_EVEN) != 0 else -ln(1.0 - u)
    rate = getf(client + at.C_RATE)
    if rate > 0.0:
        due = get(s + at.NOW) + nanoseconds(interval / rate)
        code = at.ARRIVAL << 48 | number << 32
        schedule_slot(s, get(client + at.C_SLOT), due, code, n)
        putf(client + at.C_REST, -1.0)
    else:
        putf(client + at.C_REST, interval * 1e9)


@compiled
def _equip(client: Word, rq: Word, b: Word) -> None:
    """Draw the request's demand and key."""
    world = getu(rq + at.R_WORLD)
    demand = client + at.C_DEMAND
    if get(demand) == 0:
        putf(rq + at.R_DEMAND, getf(demand + at.LAW_A))
    else:
        u = item_uniform(world, getu(client + at.C_DEMAND_NAME), b)
        putf(rq + at.R_DEMAND, draw(demand, u))
    if get(client + at.C_KEY_COUNT) > 0:
        u = item_uniform(world, getu(client + at.C_KEY_NAME), b)
        put32(rq + at.R_KEY, key_draw(client + at.C_KEYS, u))


@compiled
def open_request(s: Word, client: Word, user: Word) -> Word:
    """The next request of the client, numbered, with its demand and key: its reference."""
    reference = new_request(s)
    rq = request(s, reference)
    n = get(client + at.C_REQUESTS)
    put(client + at.C_REQUESTS, n + 1)
    opened = get(client + at.C_OPEN) + 1
    put(client + at.C_OPEN, opened)
    if opened > get(client + at.C_PEAK):
        put(client + at.C_PEAK, opened)
    now = get(s + at.NOW)
    name = getu(client + at.C_NUMBER_NAME)
    put(rq + at.R_NUMBER, n)
    putu(rq + at.R_WORLD, mix(getu(s + at.ROOT) + name + GOLDEN * np.uint64(n)))
    put(rq + at.R_START, now)
    put(rq + at.R_DEADLINE, min(now + get(client + at.C_DEADLINE), at.NEVER))
    put32(rq + at.R_CLIENT, client - s)
    put32(rq + at.R_ITEM, at.NONE)
    put32(rq + at.R_TWIN, at.NONE)
    put32(rq + at.R_USER, user)
    put32(rq + at.R_ROUND, at.NONE)
    put32(rq + at.R_KEY, 0)
    put(rq + at.R_DELAY, 0)
    _equip(client, rq, 0)
    return reference


@compiled
def _new_item_of(s: Word, client: Word, rq: Word, request_reference: Word, b: Word) -> Word:
    """The reference of a new item of the request."""
    reference = new_item(s)
    it = item(s, reference)
    now, deadline = get(s + at.NOW), get(rq + at.R_DEADLINE)
    put(it + at.I_SERIAL, get(s + at.SERIALS))
    add(s + at.SERIALS, 1)
    putu(it + at.I_WORLD, getu(rq + at.R_WORLD))
    put32(it + at.I_REQUEST, request_reference)
    put32(it + at.I_CLIENT, client - s)
    put(it + 24, 1 << 40)  # nowhere, moving, waited for, holds nothing
    put32(it + at.I_B, b)
    put32(it + at.I_KEY, get32(rq + at.R_KEY))
    put(it + at.I_DEMAND, get(rq + at.R_DEMAND))
    put(it + at.I_REST, get(rq + at.R_DEMAND))
    put(it + at.I_POSITION, 0)
    put(it + at.I_BORN, now)
    put(it + at.I_NUMBER, get(rq + at.R_NUMBER))
    put(it + at.I_PATIENCE, min(now + get(client + at.C_TIMEOUT), deadline))
    put(it + at.I_DEADLINE, deadline)
    put(it + at.I_GATES, 0)
    put(it + at.I_WAYS, 0)
    for more in range(at.I_SIZE, get(s + at.ITEM_SIZE), 8):
        put(it + more, 0)
    return reference


@compiled
def create_attempt(s: Word, rq_reference: Word, attempt: Word, twin: Word) -> None:
    """An attempt is created: its timeout and hedge are scheduled, then it enters `to`."""
    rq = request(s, rq_reference)
    client = s + get32(rq + at.R_CLIENT)
    add(client + at.C_ATTEMPTS, 1)
    add(client + at.C_AWAITED, 1)
    b = attempt << 12
    reference = _new_item_of(s, client, rq, rq_reference, b + _TWIN if twin else b)
    it = item(s, reference)
    put32(rq + (at.R_TWIN if get32(rq + at.R_ITEM) >= 0 else at.R_ITEM), reference)
    number = get(client + at.E_NUMBER) << 32 | reference
    serial, patience = get(it + at.I_SERIAL), get(it + at.I_PATIENCE)
    if patience < at.NEVER:
        schedule_lane(
            s, get(client + at.C_TIMEOUT_LANE), patience, at.TIMEOUT << 48 | number, serial
        )
    hedge = get(client + at.C_HEDGE)
    if hedge < at.NEVER and not twin:
        due = get(s + at.NOW) + hedge
        schedule_lane(s, get(client + at.C_HEDGE_LANE), due, at.HEDGE << 48 | number, serial)
    push(s, reference, get(client + at.E_TO))


@compiled
def retry_now(s: Word, rq_reference: Word) -> None:
    """A backoff is over: the next attempt."""
    rq = request(s, rq_reference)
    client = s + get32(rq + at.R_CLIENT)
    add(client + at.C_ORBIT, -1)
    add(client + at.C_RETRIES, 1)
    attempt = get32(rq + at.R_ATTEMPT)
    mutation = getf(client + at.C_MUTATION)
    if mutation > 0.0:
        name = getu(client + at.C_MUTATION_NAME)
        if item_uniform(getu(rq + at.R_WORLD), name, attempt << 12) < mutation:
            _equip(client, rq, attempt << 12)
    create_attempt(s, rq_reference, attempt, False)


@compiled
def _gates_hear(s: Word, it: Word, outcome: Word) -> None:
    """Each gate that the item passed has one awaited less; it is told, unless outcome < 0."""
    mask = get32(it + at.I_GATES) & 0xFFFFFFFF
    while mask != 0:
        gate = s + get(s + get(s + at.GATES) + 8 * trailing_zeros(mask))
        mask &= mask - 1
        add(gate + at.G_AWAITED, -1)
        if outcome >= 0:
            gate_observes(s, gate, it, outcome)


@compiled
def _wait_no_longer(s: Word, client: Word, rq: Word, reference: Word, outcome: Word) -> None:
    it = item(s, reference)
    put8(it + at.I_WAITED, 0)
    if get32(rq + at.R_ITEM) == reference:
        put32(rq + at.R_ITEM, get32(rq + at.R_TWIN))
    put32(rq + at.R_TWIN, at.NONE)
    add(client + at.C_AWAITED, -1)
    if get32(it + at.I_GATES) != 0:
        _gates_hear(s, it, outcome)


@compiled
def _user_thinks(s: Word, client: Word, user: Word, u: Word) -> None:
    due = get(s + at.NOW) + nanoseconds(draw(client + at.C_THINK, u))
    schedule(s, due, at.THINK << 48 | get(client + at.E_NUMBER) << 32, user)


@compiled
def first_think(s: Word, client: Word, user: Word) -> None:
    """A closed client's user thinks before the first request."""
    _user_thinks(s, client, user, count_draw(s, client + at.C_FIRST))


@compiled
def _end_request(s: Word, client: Word, rq: Word, succeeded: Word) -> None:
    """The request is over: its user thinks, its session may go on."""
    add(client + at.C_OPEN, -1)
    user = get32(rq + at.R_USER)
    if user >= 0:
        if get(client + at.E_TYPE) == at.T_CLOSED:
            u = item_uniform(getu(rq + at.R_WORLD), getu(client + at.C_THINK_NAME), 0)
            _user_thinks(s, client, user, u)
        else:
            request_of_session_ended(s, client, rq, succeeded)
    free_request(s, rq)


@compiled
def _succeed(s: Word, client: Word, rq: Word) -> None:
    succeeded_budget(client)
    twin = get32(rq + at.R_ITEM)
    if twin >= 0:
        _wait_no_longer(s, client, rq, twin, -1)
    add(client + at.C_SUCCEEDED, 1)
    add(client + at.C_LATENCY, get(s + at.NOW) - get(rq + at.R_START))
    _end_request(s, client, rq, True)


@compiled
def _retry_or_fail(s: Word, client: Word, it: Word, rq_reference: Word, outcome: Word) -> None:
    rq = request(s, rq_reference)
    delay = retry_delay(s, client, it, outcome)
    if delay < 0:
        add(client + at.C_FAILED, 1)
        _end_request(s, client, rq, False)
        return
    add(client + at.C_ORBIT, 1)
    put(rq + at.R_DELAY, delay)
    put32(rq + at.R_ATTEMPT, (get32(it + at.I_B) >> 12) + 1)
    code = at.RETRY << 48 | get(client + at.E_NUMBER) << 32 | rq_reference
    schedule(s, get(s + at.NOW) + delay, code, get(rq + at.R_NUMBER))


@compiled
def hear(s: Word, reference: Word, outcome: Word) -> None:
    """The client learns how an attempt that it waits for ended: 0 ok, 1 timed out, 2 rejected."""
    it = item(s, reference)
    rq_reference = get32(it + at.I_REQUEST)
    rq = request(s, rq_reference)
    client = s + get32(it + at.I_CLIENT)
    _wait_no_longer(s, client, rq, reference, outcome)
    if outcome == 1:
        add(client + at.C_TIMED_OUT, 1)
    elif outcome == 2:
        add(client + at.C_REJECTED, 1)
    if get(client + at.C_OBSERVE_HOOK) != 0:
        client_observes(s, client, it, outcome)
    if outcome == 0:
        _succeed(s, client, rq)
    elif get32(rq + at.R_ITEM) < 0:
        _retry_or_fail(s, client, it, rq_reference, outcome)
