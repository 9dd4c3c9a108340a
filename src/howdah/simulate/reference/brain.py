"""A policy at work: its functions with the state and the parameters of one element.

Owns the calls. Must never let an answer that is no number through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import numbers
from howdah.simulate.policies.policy import find

if TYPE_CHECKING:
    from howdah.simulate import model
    from howdah.simulate.reference.graph import Graph

MOST = 1e18


class Brain:
    """One policy object of an element."""

    def __init__(self, graph: Graph, element: str, given: model.Policy) -> None:
        self._machine = graph.machine
        self._element = element
        kind = find(given.name)
        self.kind = kind
        self.p = kind.parameters(given.arguments)
        self.state = kind.initial(self.p)
        self._calls: dict[str, int] = {}

    def has(self, hook: str) -> bool:
        """Whether the policy wants to be asked."""
        return hook in self.kind.hooks

    def read(self, argument: str) -> float:
        """A parameter by name; raises BadInput."""
        return self.p[self.kind.index(argument)]

    def write(self, argument: str, value: float | str | None) -> None:
        """Change a parameter by name; raises BadInput."""
        self.p[self.kind.index(argument)] = self.kind.coded(argument, value)

    def raw(self, hook: str, view: list[float], u: float) -> float:
        """The answer as it is, a NaN made negative: no number is a refusal."""
        told = [float(x) for x in view]
        answer = float(self.kind.hooks[hook](self.state, self.p, told, u))
        return -1.0 if answer != answer else answer

    def ask(self, hook: str, view: list[float], u: float) -> float:
        """The answer of a hook to this view; NaN is 0."""
        told = [float(x) for x in view]
        answer = float(self.kind.hooks[hook](self.state, self.p, told, u))
        return 0.0 if answer != answer else min(max(answer, -MOST), MOST)

    def ask_apart(self, hook: str, view: list[float]) -> float:
        """The same with the hook's own next draw."""
        n = self._calls.get(hook, 0)
        self._calls[hook] = n + 1
        name = numbers.number(f"{self._element}/{hook}")
        return self.ask(hook, view, self._machine.draw_apart(name, n))
