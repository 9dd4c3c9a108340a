"""Asking policies: the views of every hook that is asked about items, and the calls.

Owns what a hook is told and in which place of the view; `semantics.md` has the table. Must never
act on an answer. A view is one area of the arena, written anew for each call.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, call, compiled, get, get32, getf, putf
from howdah.simulate.kernel.compiled.random import count_draw

_FAR = 1e9  # seconds: never
_MOST = 1e18


@compiled
def seconds(ns: Word) -> Word:
    """A time or a duration in seconds."""
    return np.float64(ns) / 1e9


@compiled
def tell(s: Word, place: Word, value: Word) -> None:
    """A number of the view."""
    putf(s + get(s + at.VIEW) + 8 * place, value)


@compiled
def ask(s: Word, hook: Word, state: Word, parameters: Word, u: Word) -> Word:
    """The answer of a hook, no number being 0; `hook` is the address of its address."""
    told = s + get(s + at.VIEW)
    answer = call(get(hook), s + get(state), s + get(parameters), told, u)
    if answer != answer:
        return 0.0
    return min(max(answer, -_MOST), _MOST)


@compiled
def ask_raw(s: Word, hook: Word, state: Word, parameters: Word, u: Word) -> Word:
    """The answer as it is, no number being -1."""
    answer = call(get(hook), s + get(state), s + get(parameters), s + get(s + at.VIEW), u)
    return -1.0 if answer != answer else answer


@compiled
def started(element: Word) -> Word:
    """Services begun, or tickets taken."""
    gone = get(element + at.E_REFUSED) + get(element + at.E_DROPPED)
    return get(element + at.E_ENTERED) - gone - get(element + at.E_WAITING)


@compiled
def limit(element: Word) -> Word:
    """What a controller sets: servers, cores, tickets, a rate; a Delay has none."""
    kind = get(element + at.E_TYPE)
    if kind == at.T_QUEUE:
        return np.float64(get(element + at.Q_SERVERS))
    if kind == at.T_SHARING:
        return getf(element + at.P_CORES)
    if kind == at.T_POOL:
        return np.float64(get(element + at.L_TICKETS))
    if kind == at.T_CLOSED:
        return np.float64(get(element + at.C_USERS))
    if kind <= at.T_AGENTIC:
        return getf(element + at.C_RATE)
    return 0.0


@compiled
def tell_watched(s: Word, gate: Word) -> None:
    """Seven numbers of the element that a gate watches, from place 7 on; 0 without one."""
    offset = get(gate + at.G_WATCH)
    if offset < 0:
        for place in range(7, 14):
            tell(s, place, 0.0)
        return
    element = s + offset
    if get(element + at.E_TYPE) <= at.T_AGENTIC:
        _tell_watched_client(s, element)
        return
    tell(s, 7, np.float64(get(element + at.E_WAITING)))
    tell(s, 8, np.float64(get(element + at.E_INSIDE)))
    tell(s, 9, limit(element))
    tell(s, 10, np.float64(get(element + at.E_ENTERED)))
    tell(s, 11, np.float64(get(element + at.E_LEFT)))
    tell(s, 12, np.float64(started(element)))
    tell(s, 13, seconds(get(element + at.E_WAITS)))


@compiled
def _tell_watched_client(s: Word, client: Word) -> None:
    tell(s, 7, np.float64(get(client + at.C_ORBIT)))
    tell(s, 8, np.float64(get(client + at.C_OPEN)))
    tell(s, 9, limit(client))
    tell(s, 10, np.float64(get(client + at.C_ATTEMPTS)))
    tell(s, 11, np.float64(get(client + at.C_SUCCEEDED)))
    tell(s, 12, np.float64(get(client + at.C_REQUESTS)))
    tell(s, 13, seconds(get(client + at.C_LATENCY)))


@compiled
def to_deadline(s: Word, deadline: Word) -> Word:
    """Seconds until a deadline; far away without one."""
    if deadline >= at.NEVER:
        return _FAR
    return seconds(deadline - get(s + at.NOW))


@compiled
def ask_admit(s: Word, gate: Word, it: Word, u: Word) -> Word:
    """Whether the gate's policy admits the item: its answer."""
    client = s + get32(it + at.I_CLIENT)
    tell(s, 0, seconds(get(s + at.NOW)))
    tell(s, 1, np.float64(get(client + at.C_GROUP)))
    tell(s, 2, np.float64(get32(it + at.I_B) >> 12))
    tell(s, 3, np.float64(get(client + at.C_BAND)))
    tell(s, 4, to_deadline(s, get(it + at.I_DEADLINE)))
    tell(s, 5, np.float64(get(gate + at.G_INFLIGHT)))
    tell(s, 6, np.float64(get(gate + at.G_AWAITED)))
    tell_watched(s, gate)
    return ask(s, gate + at.G_ADMIT_HOOK, gate + at.G_STATE, gate + at.G_PARAMETERS, u)


@compiled
def _tell_outcome(s: Word, it: Word, outcome: Word) -> None:
    now = get(s + at.NOW)
    tell(s, 0, seconds(now))
    tell(s, 1, seconds(now - get(it + at.I_BORN)))
    tell(s, 2, np.float64(outcome))
    tell(s, 3, np.float64(get(s + get32(it + at.I_CLIENT) + at.C_GROUP)))
    tell(s, 4, np.float64(get32(it + at.I_B) >> 12))


@compiled
def gate_observes(s: Word, gate: Word, it: Word, outcome: Word) -> None:
    """The gate is told how an attempt that it admitted ended."""
    if get(gate + at.G_OBSERVE_HOOK) == 0:
        return
    _tell_outcome(s, it, outcome)
    tell(s, 5, np.float64(get(gate + at.G_INFLIGHT)))
    tell(s, 6, np.float64(get(gate + at.G_AWAITED)))
    tell_watched(s, gate)
    u = count_draw(s, gate + at.G_OBSERVE)
    ask(s, gate + at.G_OBSERVE_HOOK, gate + at.G_STATE, gate + at.G_PARAMETERS, u)


@compiled
def client_observes(s: Word, client: Word, it: Word, outcome: Word) -> None:
    """The client's own policy is told how an attempt ended."""
    _tell_outcome(s, it, outcome)
    tell(s, 5, np.float64(get(client + at.C_OPEN)))
    tell(s, 6, np.float64(get(client + at.C_AWAITED)))
    for place in range(7, 14):
        tell(s, place, 0.0)
    u = count_draw(s, client + at.C_OBSERVE)
    ask(s, client + at.C_OBSERVE_HOOK, client + at.C_STATE, client + at.C_PARAMETERS, u)
