"""Agentic clients: sessions of rounds of requests, with thinks between.

Owns what a session does next and which tickets it keeps. Must never cancel a request. A request's
USER is its session, its ROUND tells a later round of the same record apart.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import (
    Word,
    compiled,
    get,
    get8,
    get32,
    getf,
    getu,
    put,
    put32,
)
from howdah.simulate.kernel.compiled.pending import schedule
from howdah.simulate.kernel.compiled.random import draw, item_uniform, nanoseconds
from howdah.simulate.kernel.compiled.records import free_session, new_session, push, session
from howdah.simulate.kernel.compiled.tally import add


@compiled
def begin_session(s: Word, client: Word) -> None:
    """A session starts: its first round."""
    reference = new_session(s)
    se = session(s, reference)
    put(se + at.S_NUMBER, get(client + at.C_SESSIONS))
    add(client + at.C_SESSIONS, 1)
    put(se + at.S_CLIENT, client - s)
    put(se + at.S_STEP, 0)
    begin_round(s, client, reference)


@compiled
def begin_round(s: Word, client: Word, reference: Word) -> None:
    """All requests of a round start, each worked through before the next."""
    se = session(s, reference)
    parallel = get(client + at.C_PARALLEL)
    put(se + at.S_ROUND, get(s + at.ROUNDS))
    put(s + at.ROUNDS, (get(s + at.ROUNDS) + 1) & 0x7FFFFFFF)
    put(se + at.S_OPEN, parallel)
    put(se + at.S_STARTED, 0)
    put(se + at.S_OVER, 0)
    put(se + at.S_KEPT, -1)
    push(s, reference, at.ROUND)


@compiled
def join_round(s: Word, client: Word, reference: Word, rq: Word) -> None:
    """A new request belongs to the session's round: the first one's key may be its own."""
    se = session(s, reference)
    put32(rq + at.R_ROUND, get(se + at.S_ROUND))
    world, started = getu(rq + at.R_WORLD), get(se + at.S_STARTED)
    put(se + at.S_STARTED, started + 1)
    if started == 0:
        put(se + at.S_WORLD, get(rq + at.R_WORLD))
        put(se + at.S_KEY, get32(rq + at.R_KEY))
    elif item_uniform(world, getu(client + at.C_DISTINCT_NAME), 0) >= getf(client + at.C_DISTINCT):
        put32(rq + at.R_KEY, get(se + at.S_KEY))


@compiled
def _of_this_round(rq: Word, se: Word) -> Word:
    return get32(rq + at.R_ROUND) == get(se + at.S_ROUND)


@compiled
def request_of_session_ended(s: Word, client: Word, rq: Word, succeeded: Word) -> None:
    """The round may be over: then the session thinks."""
    reference = get32(rq + at.R_USER)
    se = session(s, reference)
    if not _of_this_round(rq, se):
        return
    left = get(se + at.S_OPEN) - 1
    put(se + at.S_OPEN, left)
    if get(se + at.S_OVER) != 0:
        return
    if left > 0 and not (succeeded and get(client + at.C_FIRST_WINS) != 0):
        return
    put(se + at.S_OVER, 1)
    u = item_uniform(getu(se + at.S_WORLD), getu(client + at.C_THINK_NAME), 0)
    due = get(s + at.NOW) + nanoseconds(draw(client + at.C_THINK, u))
    code = at.THINK << 48 | get(client + at.E_NUMBER) << 32 | reference
    schedule(s, due, code, get(se + at.S_NUMBER))


@compiled
def keeps(s: Word, client: Word, it: Word, rq: Word) -> Word:
    """Whether this answer leaves a transaction open over the think; `rq` is still open."""
    se = session(s, get32(rq + at.R_USER))
    if not _of_this_round(rq, se) or get(se + at.S_OVER) != 0 or get8(it + at.I_HELD_COUNT) == 0:
        return False
    b = (get32(it + at.I_B) >> 12) << 12
    return item_uniform(getu(rq + at.R_WORLD), getu(client + at.C_HOLDS_NAME), b) < getf(
        client + at.C_HOLDS
    )


@compiled
def go_on(s: Word, reference: Word) -> None:
    """A think is over and what was kept is released: the next round, or the end."""
    se = session(s, reference)
    client = s + get(se + at.S_CLIENT)
    u = item_uniform(getu(se + at.S_WORLD), getu(client + at.C_ROLLBACK_NAME), 0)
    if u >= getf(client + at.C_ROLLBACK):
        add(se + at.S_STEP, 1)
    if get(se + at.S_STEP) < get(client + at.C_STEPS):
        begin_round(s, client, reference)
    else:
        free_session(s, se)
