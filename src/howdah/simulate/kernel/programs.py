"""Programs that were made lately: replicas of a model share one.

Owns the few that are kept. A program never changes, so threads can share it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import msgspec

from howdah.simulate.kernel.program import Program, program
from howdah.simulate.model import Model
from howdah.simulate.parts import flatten

_MOST = 32
_lock = threading.Lock()
_kept: OrderedDict[bytes, Program] = OrderedDict()


def program_of(model: Model) -> Program:
    """The program of a model. Raises Unsupported."""
    key = msgspec.msgpack.encode(model)
    with _lock:
        if key not in _kept:
            _kept[key] = program(flatten(model))
            while len(_kept) > _MOST:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]
