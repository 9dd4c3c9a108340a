"""Triggers of a running kernel: actions at a time or under a condition, and what they put back.

Owns when actions happen. Must never change anything but through settings.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from howdah.simulate import model as models
from howdah.simulate import numbers
from howdah.simulate.kernel.columns import values
from howdah.simulate.kernel.compiled import command as do
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.settings import Value

if TYPE_CHECKING:
    from howdah.simulate.kernel.engine import KernelEngine

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Trigger(msgspec.Struct):
    """One disturbance, with what it remembers."""

    given: models.Trigger
    number: int
    true_since: int | None = None
    fired: bool = False
    before: dict[int, Value] = {}

    def copy(self) -> Trigger:
        """Another one with the same memory."""
        return msgspec.structs.replace(self, before=dict(self.before))

    def _schedule(self, engine: KernelEngine, time: int, kind: int, index: int) -> None:
        engine.do(do.SCHEDULE, time, kind << 48 | self.number << 32, index)

    def begin(self, engine: KernelEngine) -> None:
        """Schedule what is due at a time."""
        if self.given.at is not None:
            self._schedule(engine, numbers.nanoseconds(self.given.at), at.ACT, 0)
            self._schedule_ends(engine, 0)

    def _schedule_ends(self, engine: KernelEngine, start: int) -> None:
        for index, action in enumerate(self.given.actions):
            until = getattr(action, "until", None)
            if until is not None:
                self._schedule(engine, start + numbers.nanoseconds(until), at.UNDO, index)

    def look(self, engine: KernelEngine, row: NDArray[np.int64]) -> None:
        """A sample was taken: the condition may have held for long enough."""
        when = self.given.when
        if when is None or self.fired:
            return
        now = engine.now_ns
        columns = engine.program.columns
        index = next(i for i, column in enumerate(columns) if column.name == when.column)
        value = values(row[index : index + 1], columns[index].kind)[0]
        if not _COMPARISONS[when.comparison](value, when.value):
            self.true_since = None
            return
        if self.true_since is None:
            self.true_since = now
        if now - self.true_since >= numbers.nanoseconds(when.seconds):
            self.fired = True
            self._schedule(engine, now, at.ACT, 0)

    def act(self, engine: KernelEngine) -> None:
        """Do the actions; what follows waits on the stack."""
        if self.given.at is None:
            self._schedule_ends(engine, engine.now_ns)
        for index, action in enumerate(self.given.actions):
            self._do(engine, index, action)

    def _do(self, engine: KernelEngine, index: int, action: models.Action) -> None:
        match action:
            case models.Inject(client=client, count=count):
                engine.inject_later(client, count)
            case models.Flush(cache=cache):
                engine.flush(cache)
            case models.Set(path=path, value=value):
                self._change(engine, index, path, value)
            case models.Scale(path=path, factor=factor):
                old = engine.settings.read(path)
                self._change(engine, index, path, float(old or 0.0) * factor)
            case models.Down(processor=processor):
                self._change(engine, index, f"{processor}.speed", 0.0)

    def _change(self, engine: KernelEngine, index: int, path: str, value: float) -> None:
        self.before[index] = engine.settings.read(path)
        engine.settings.write(path, value)

    def undo(self, engine: KernelEngine, index: int) -> None:
        """The value from just before the action comes back."""
        action = self.given.actions[index]
        if isinstance(action, models.Down):
            path = f"{action.processor}.speed"
        else:
            assert isinstance(action, models.Set | models.Scale)
            path = action.path
        engine.settings.write(path, self.before[index])


def triggers_of(model: models.Model, first: int) -> list[Trigger]:
    """The triggers of a model; their numbers follow those of the elements."""
    return [Trigger(given, first + index, before={}) for index, given in enumerate(model.triggers)]
