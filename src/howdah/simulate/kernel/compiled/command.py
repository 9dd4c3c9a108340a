"""The one function that Python calls: every command of the kernel behind a number.

Owns the numbers of the commands. One compiled function means one entry in the cache, and the code
of a cascade only once. Must never be called on an arena while another thread is in it.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.cascade import walk
from howdah.simulate.kernel.compiled.controllers import plan_tick
from howdah.simulate.kernel.compiled.events import begin_client, run, take_note
from howdah.simulate.kernel.compiled.interventions import drop_all, reseed
from howdah.simulate.kernel.compiled.limits import set_limit, set_of_sharing
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, put
from howdah.simulate.kernel.compiled.nodes import fill_cache, flush_cache
from howdah.simulate.kernel.compiled.pending import schedule, take
from howdah.simulate.kernel.compiled.queues import serve
from howdah.simulate.kernel.compiled.records import push, reverse
from howdah.simulate.kernel.compiled.samples import gather

(
    RUN,  # until, most
    WALK,
    BEGIN_CLIENT,  # element
    BEGIN_CONTROLLER,  # element
    SCHEDULE,  # time, code, serial
    TAKE_ACTION,
    INJECT,  # element, count
    LIMIT,  # element, value
    SHARING,  # element, field, value
    SERVE,  # element
    FLUSH,  # element
    FILL,  # element
    DROP,  # element
    RESEED,  # mix(seed + G)
    GATHER,  # address of a row
) = range(15)


@compiled
def _take_action(s: Word) -> None:
    """The trigger's event at the head of the heap happens; Python does what it says."""
    head = s + at.HEADER_SIZE
    time, code, serial = get(head), get(head + at.ENTRY_CODE), get(head + at.ENTRY_SERIAL)
    put(s + at.NOW, time)
    take(s, 0)
    take_note(s, time, code, serial)


@compiled
def _begin(s: Word, operation: Word, a: Word, b: Word, c: Word) -> None:
    """What is scheduled at the start, and by triggers."""
    if operation == BEGIN_CLIENT:
        begin_client(s, s + a)
    elif operation == BEGIN_CONTROLLER:
        plan_tick(s, s + a)
    elif operation == SCHEDULE:
        schedule(s, a, b, c)
    else:
        _take_action(s)


@compiled
def _change(s: Word, operation: Word, a: Word, b: Word, x: Word) -> None:
    """Something is set; what follows waits on the stack for WALK."""
    if operation == INJECT:
        push(s, b << 32 | a, at.START)
    elif operation == LIMIT:
        set_limit(s, s + a, x)
    elif operation == SHARING:
        set_of_sharing(s, s + a, b, x)
    elif operation == SERVE:
        serve(s, s + a)
    elif operation == FLUSH:
        flush_cache(s, s + a)
    elif operation == FILL:
        fill_cache(s, s + a)
    elif operation == DROP:
        drop_all(s, s + a)


def dispatch(s: Word, operation: Word, a: Word, b: Word, c: Word, x: Word) -> Word:
    """Do a command; RUN answers why it stopped. Compiled by `entry.py`, with all that it calls."""
    if operation == RUN:
        return run(s, a, b)
    if operation == WALK:
        reverse(s, 0)
        walk(s)
    elif operation == GATHER:
        gather(s, a)
    elif operation == RESEED:
        reseed(s, np.uint64(a))
    elif operation <= TAKE_ACTION:
        _begin(s, operation, a, b, c)
    else:
        _change(s, operation, a, b, x)
    return 0
