"""Triggers: actions at a time or under a condition, and what they put back.

Owns when actions happen. Must never change anything but through settings.
"""

from __future__ import annotations

from operator import ge, gt, le, lt
from typing import TYPE_CHECKING

from howdah.simulate import model
from howdah.simulate.reference.machine import ACTION, UNDO, Event, duration
from howdah.simulate.reference.settings import Value, read, write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from howdah.simulate.reference.graph import Graph

COMPARISONS = {"<": lt, "<=": le, ">": gt, ">=": ge}


class Trigger:
    """One disturbance."""

    def __init__(self, graph: Graph, number: int, given: model.Trigger) -> None:
        self.graph = graph
        self.machine = graph.machine
        self.name = given.name
        self.number = number
        self._given = given
        self._true_since: int | None = None
        self._fired = False
        self._before: dict[int, Value] = {}

    def begin(self) -> None:
        """Schedule what is due at a time."""
        if self._given.at is not None:
            self.machine.schedule(duration(self._given.at), ACTION, self)
            self._schedule_ends(0)

    def _schedule_ends(self, start: int) -> None:
        for index, action in enumerate(self._given.actions):
            until = getattr(action, "until", None)
            if until is not None:
                self.machine.schedule(start + duration(until), UNDO, self, index, index)

    def look(self, columns: Mapping[str, float]) -> None:
        """A sample was taken: the condition may have held for long enough."""
        when = self._given.when
        if when is None or self._fired:
            return
        now = self.machine.now
        if not COMPARISONS[when.comparison](columns[when.column], when.value):
            self._true_since = None
            return
        if self._true_since is None:
            self._true_since = now
        if now - self._true_since >= duration(when.seconds):
            self._fired = True
            self.machine.schedule(now, ACTION, self)

    def happen(self, event: Event) -> bool:
        """Do the actions, or undo one."""
        if event.kind == UNDO:
            path = _path(self._given.actions[event.subject])
            write(self.graph, path, self._before[event.subject])
            return True
        if self._given.at is None:
            self._schedule_ends(self.machine.now)
        for index, action in enumerate(self._given.actions):
            self._do(index, action)
        return True

    def _do(self, index: int, action: model.Action) -> None:
        match action:
            case model.Inject(client=client, count=count):
                self.graph.elements[client].inject(count)
            case model.Flush(cache=cache):
                self.graph.elements[cache].flush()
            case model.Set(path=path, value=value):
                self._change(index, path, value)
            case model.Scale(path=path, factor=factor):
                self._change(index, path, float(read(self.graph, path) or 0.0) * factor)
            case model.Down(processor=processor):
                self._change(index, f"{processor}.speed", 0.0)

    def _change(self, index: int, path: str, value: float) -> None:
        self._before[index] = read(self.graph, path)
        write(self.graph, path, value)


def _path(action: model.Action) -> str:
    if isinstance(action, model.Down):
        return f"{action.processor}.speed"
    assert isinstance(action, model.Set | model.Scale)
    return action.path
