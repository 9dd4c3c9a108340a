"""Whether a client tries again, and when: the built-in rule and policies.

Owns the budget's tokens. Must never schedule anything.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.hooks import ask_raw, seconds, tell, to_deadline
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, get32, getf, getu, putf
from howdah.simulate.kernel.compiled.random import draw, item_uniform, nanoseconds
from howdah.simulate.kernel.compiled.records import request


@compiled
def succeeded_budget(client: Word) -> None:
    """A success earns a part of a retry."""
    budget = getf(client + at.C_BUDGET)
    if budget >= 0.0:
        tokens = getf(client + at.C_TOKENS) + getf(client + at.C_DEPOSIT)
        putf(client + at.C_TOKENS, min(budget, tokens))


@compiled
def _ruled(client: Word, attempt: Word, u: Word) -> Word:
    """Seconds by the built-in rule; negative: refused."""
    budget = getf(client + at.C_BUDGET)
    if attempt >= get(client + at.C_MOST) or (budget >= 0.0 and getf(client + at.C_TOKENS) < 1.0):
        return -1.0
    factor, each = 1.0, getf(client + at.C_FACTOR)
    for _ in range(attempt):
        factor *= each
    return min(draw(client + at.C_BACKOFF, u) * factor, getf(client + at.C_LONGEST))


@compiled
def _asked(s: Word, client: Word, it: Word, attempt: Word, outcome: Word, u: Word) -> Word:
    """Seconds by the policy; negative: refused."""
    if get(client + at.C_RETRY_HOOK) == 0:
        return -1.0
    tell(s, 0, seconds(get(s + at.NOW)))
    tell(s, 1, np.float64(attempt))
    tell(s, 2, np.float64(outcome))
    tell(s, 3, np.float64(get(client + at.C_GROUP)))
    tell(s, 4, 0.0)
    tell(s, 5, to_deadline(s, get(it + at.I_DEADLINE)))
    tell(s, 6, seconds(get(request(s, get32(it + at.I_REQUEST)) + at.R_DELAY)))
    hook = client + at.C_RETRY_HOOK
    return ask_raw(s, hook, client + at.C_STATE, client + at.C_PARAMETERS, u)


@compiled
def retry_delay(s: Word, client: Word, it: Word, outcome: Word) -> Word:
    """Nanoseconds until the next attempt; negative: none. Takes the budget's token."""
    rule = get(client + at.C_RETRY_ON)
    if rule == 0 or getf(client + at.C_MUTED) > 0.0:
        return -1
    attempt = get32(it + at.I_B) >> 12
    u = item_uniform(getu(it + at.I_WORLD), getu(client + at.C_BACKOFF_NAME), attempt << 12)
    wait = _ruled(client, attempt, u) if rule == 1 else _asked(s, client, it, attempt, outcome, u)
    if not wait >= 0.0:
        return -1
    delay = nanoseconds(wait)
    deadline = get(it + at.I_DEADLINE)
    if deadline < at.NEVER and get(s + at.NOW) + delay >= deadline:
        return -1
    if rule == 1 and getf(client + at.C_BUDGET) >= 0.0:
        putf(client + at.C_TOKENS, getf(client + at.C_TOKENS) - 1.0)
    return delay
