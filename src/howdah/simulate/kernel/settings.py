"""Settings of a running kernel by path: `db.speed`, `web.retry.most`, `ecs.policy.step`.

Owns which settings can be read and changed while running, in which word each is, and what a change
brings about. Must never accept what `semantics.md` does not name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from howdah.errors import BadInput
from howdah.simulate import model as models
from howdah.simulate.kernel.compiled import command as do
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.elements import optional_time

if TYPE_CHECKING:
    from howdah.simulate.kernel.engine import KernelEngine

Value = float | str | None

WHOLE, REAL, TIME, BOUND, QUANTUM = range(5)  # how a value is written
AT_ONCE, LIMIT, SHARING, SERVE, FILL = range(5)  # what follows


class Setting(msgspec.Struct, frozen=True):
    """Where a setting is, how it is written, and what follows."""

    word: int
    form: int = REAL
    then: int = AT_ONCE


_CLIENT = {
    "timeout": Setting(at.C_TIMEOUT, TIME),
    "hedge_after": Setting(at.C_HEDGE, TIME),
    "deadline": Setting(at.C_DEADLINE, TIME),
    "mutation": Setting(at.C_MUTATION),
    "muted": Setting(at.C_MUTED),
}
_RATE = {"rate": Setting(at.C_RATE, REAL, LIMIT)}
_RETRY = {
    "retry.most": Setting(at.C_MOST, WHOLE),
    "retry.factor": Setting(at.C_FACTOR),
    "retry.longest": Setting(at.C_LONGEST),
    "retry.deposit": Setting(at.C_DEPOSIT),
    "retry.budget": Setting(at.C_BUDGET),
}
_OF: dict[type[Any], dict[str, Setting]] = {
    models.Open: {**_CLIENT, **_RATE},
    models.Agentic: {**_CLIENT, **_RATE},
    models.Closed: _CLIENT,
    models.Queue: {
        "servers": Setting(at.Q_SERVERS, WHOLE, LIMIT),
        "capacity": Setting(at.Q_CAPACITY, BOUND),
        "speed": Setting(at.Q_SPEED, REAL, SERVE),
        "drop_expired": Setting(at.Q_EXPIRED, WHOLE),
        "discipline": Setting(at.Q_DISCIPLINE, WHOLE),
    },
    models.Sharing: {
        "cores": Setting(at.P_CORES, REAL, SHARING),
        "overhead": Setting(at.P_OVERHEAD, REAL, SHARING),
        "speed": Setting(at.P_SPEED, REAL, SHARING),
        "quantum": Setting(at.P_QUANTUM, QUANTUM),
    },
    models.Delay: {"factor": Setting(at.D_FACTOR)},
    models.Pool: {
        "tickets": Setting(at.L_TICKETS, WHOLE, LIMIT),
        "max_waiting": Setting(at.L_MOST_WAITING, BOUND),
    },
    models.Gate: {"open": Setting(at.G_OPEN)},
    models.Cache: {"full": Setting(at.K_STORED, WHOLE, FILL)},
    models.Controller: {
        "period": Setting(at.O_PERIOD, TIME),
        "frozen": Setting(at.O_FROZEN),
    },
}
# What controllers change too, so that the arena alone knows the value.
_LIVE = {"rate": True, "servers": False, "cores": True, "tickets": False}
_DISCIPLINES = ("fifo", "lifo", "policy")  # the last only if the model has one


def _unknown(path: str) -> BadInput:
    return BadInput(
        f"{path} is nothing that can be set in a running model",
        hint="a path like db.speed, web.retry.most or gate.policy.threshold",
    )


class Settings:
    """The settings of one engine: values as they were given, and their words."""

    def __init__(self, engine: KernelEngine) -> None:
        self._engine = engine
        self.given: dict[str, Value] = {}  # by path, those set so far

    def _find(self, path: str) -> tuple[str, Any, str]:
        """Element, its description, and the rest of the path. Raises BadInput."""
        model = self._engine.program.model
        parts = path.split(".")
        for length in range(len(parts) - 1, 0, -1):
            name = ".".join(parts[:length])
            for elements in (model.clients, model.stations, model.controllers):
                if name in elements:
                    return name, elements[name], ".".join(parts[length:])
        raise _unknown(path)

    def _argument(self, name: str, rest: str) -> tuple[Any, str] | None:
        """The policy and the argument that a path names, if it does."""
        first, _, argument = rest.partition(".")
        brain = self._engine.program.brains.get(f"{name}.{first}")
        if brain is None or not argument:
            return None
        return brain, argument.removeprefix("arguments.")

    def _setting(self, element: Any, rest: str, path: str) -> Setting:
        known = dict(_OF.get(type(element), {}))
        if isinstance(getattr(element, "retry", None), models.Retry):
            known |= _RETRY
        if rest not in known:
            raise _unknown(path)
        return known[rest]

    def read(self, path: str) -> Value:
        """The value now. Raises BadInput."""
        name, element, rest = self._find(path)
        arena, offset = self._engine.arena, self._engine.program.offsets[name]
        if found := self._argument(name, rest):
            brain, argument = found
            return float(arena.floats[(brain.place >> 3) + brain.kind.index(argument)])
        setting = self._setting(element, rest, path)
        if rest in _LIVE:
            place = (offset + setting.word) >> 3
            return float(arena.floats[place] if _LIVE[rest] else arena.words[place])
        if path in self.given:
            return self.given[path]
        if setting.then == FILL or rest in ("muted", "open", "frozen"):
            return 0.0
        value: Any = element
        for part in rest.split("."):
            value = getattr(value, part)
        if isinstance(value, models.Policy):
            return _DISCIPLINES[-1]
        return value if value is None or isinstance(value, str) else float(value)

    def write(self, path: str, value: Value) -> None:
        """Change it; what follows at once waits for `walk`. Raises BadInput."""
        name, element, rest = self._find(path)
        arena, offset = self._engine.arena, self._engine.program.offsets[name]
        if found := self._argument(name, rest):
            brain, argument = found
            place = (brain.place >> 3) + brain.kind.index(argument)
            arena.floats[place] = brain.kind.coded(argument, value)
            return
        setting = self._setting(element, rest, path)
        if setting.then == FILL:
            if float(value or 0.0) > 0:
                self._engine.do(do.FILL, offset)
            return
        self.given[path] = value
        if rest == "discipline":
            self._discipline(offset, path, value)
        elif rest == "retry.budget":
            self._budget(offset, value)
        elif setting.then == LIMIT:
            self._engine.do(do.LIMIT, offset, x=float(value or 0.0))
        elif setting.then == SHARING:
            self._engine.do(do.SHARING, offset, setting.word, x=float(value or 0.0))
        else:
            self._put(offset + setting.word, setting, path, value)
            if setting.then == SERVE:
                self._engine.do(do.SERVE, offset)

    def _put(self, place: int, setting: Setting, path: str, value: Value) -> None:
        arena = self._engine.arena
        if isinstance(value, str):
            raise BadInput(f"{path} is a number, not {value!r}")
        if setting.form == REAL:
            arena.floats[place >> 3] = float(value or 0.0)
        elif setting.form == WHOLE:
            arena.put(place, int(value or 0))
        elif setting.form == BOUND:
            arena.put(place, at.NEVER if value is None else int(value))
        elif setting.form == QUANTUM:
            arena.put(place, -1 if value is None else optional_time(value))
        else:
            arena.put(place, optional_time(value))

    def _discipline(self, offset: int, path: str, value: Value) -> None:
        able = _DISCIPLINES if path in self._engine.program.brains else _DISCIPLINES[:2]
        if isinstance(value, str) and value not in able:
            raise BadInput(f"{path} is {' or '.join(able)}, not {value!r}")
        chosen = _DISCIPLINES.index(value) if isinstance(value, str) else int(value or 0)
        self._engine.arena.put(offset + at.Q_DISCIPLINE, chosen)

    def _budget(self, offset: int, value: Value) -> None:
        """A first budget starts full; another one cuts what was saved."""
        floats = self._engine.arena.floats
        budget, tokens = (offset + at.C_BUDGET) >> 3, (offset + at.C_TOKENS) >> 3
        if value is None:
            floats[budget] = -1.0
            return
        had = floats[budget] >= 0
        floats[tokens] = min(floats[tokens], float(value)) if had else float(value)
        floats[budget] = float(value)
