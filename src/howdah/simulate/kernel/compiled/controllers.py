"""Controllers: a policy that is called again and again and sets limits.

Owns what it is told and what its answers do. Must never act between ticks.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.hooks import ask, limit, seconds, started, tell
from howdah.simulate.kernel.compiled.limits import set_limit
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, getf, put, putf
from howdah.simulate.kernel.compiled.pending import schedule_slot
from howdah.simulate.kernel.compiled.random import count_draw

_NUMBERS = 10  # for each that is watched
_MOST = 1e9


@compiled
def plan_tick(s: Word, controller: Word) -> None:
    """The next tick."""
    code = at.TICK << 48 | get(controller + at.E_NUMBER) << 32
    due = get(s + at.NOW) + get(controller + at.O_PERIOD)
    schedule_slot(s, get(controller + at.O_SLOT), due, code, 0)


@compiled
def _tell_client(s: Word, place: Word, client: Word) -> None:
    now_open = get(client + at.C_OPEN)
    succeeded = np.float64(get(client + at.C_SUCCEEDED))
    tell(s, place, limit(client))
    tell(s, place + 1, np.float64(now_open))
    tell(s, place + 2, np.float64(get(client + at.C_PEAK)))
    put(client + at.C_PEAK, now_open)
    tell(s, place + 3, succeeded)
    tell(s, place + 4, np.float64(get(client + at.C_ORBIT)))
    tell(s, place + 5, np.float64(get(client + at.C_ATTEMPTS)))
    tell(s, place + 6, succeeded)
    tell(s, place + 7, seconds(get(client + at.C_LATENCY)))
    tell(s, place + 8, np.float64(get(client + at.C_REQUESTS)))
    tell(s, place + 9, succeeded)


@compiled
def _tell_place(s: Word, place: Word, element: Word) -> None:
    pool = get(element + at.E_TYPE) == at.T_POOL
    left = get(element + at.E_LEFT)
    used = get(element + at.E_SERVING) if pool else get(element + at.E_INSIDE)
    tell(s, place, limit(element))
    tell(s, place + 1, np.float64(used))
    tell(s, place + 2, np.float64(get(element + at.E_PEAK)))
    put(element + at.E_PEAK, used)
    tell(s, place + 3, np.float64(left))
    tell(s, place + 4, np.float64(get(element + at.E_WAITING)))
    tell(s, place + 5, np.float64(get(element + at.E_ENTERED)))
    tell(s, place + 6, np.float64(left))
    tell(s, place + 7, seconds(get(element + at.E_WAITS)))
    tell(s, place + 8, np.float64(started(element)))
    tell(s, place + 9, np.float64(get(element + at.E_COMPLETIONS) if pool else left))


@compiled
def _look(s: Word, controller: Word, watched: Word) -> None:
    """All that the policy is told."""
    tell(s, 0, seconds(get(s + at.NOW)))
    tell(s, 1, np.float64(watched))
    for index in range(watched):
        element = s + get(controller + at.O_WATCH + 8 * index)
        if get(element + at.E_TYPE) <= at.T_AGENTIC:
            _tell_client(s, 2 + _NUMBERS * index, element)
        else:
            _tell_place(s, 2 + _NUMBERS * index, element)


@compiled
def tick(s: Word, controller: Word) -> None:
    """Look, ask, set."""
    plan_tick(s, controller)
    watched = get(controller + at.O_WATCHED)
    _look(s, controller, watched)
    if getf(controller + at.O_FROZEN) > 0.0:
        return
    state = s + get(controller + at.O_STATE)
    for index in range(at.LIMITS):
        putf(state + 8 * index, -1.0)
    u = count_draw(s, controller + at.O_TICK)
    ask(s, controller + at.O_HOOK, controller + at.O_STATE, controller + at.O_PARAMETERS, u)
    wishes = controller + at.O_WISHES
    for index in range(watched):
        putf(wishes + 8 * index, getf(state + 8 * index))
    for index in range(watched):
        wish = getf(wishes + 8 * index)
        if wish >= 0.0:
            set_limit(s, s + get(controller + at.O_WATCH + 8 * index), min(wish, _MOST))
