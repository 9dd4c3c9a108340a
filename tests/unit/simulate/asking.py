"""Ask one policy, as an engine would: a view by names, a state that is kept between calls."""

from __future__ import annotations

from howdah.simulate.policies import views
from howdah.simulate.policies.policy import Numbers, find


class Asked:
    """A policy with its state."""

    def __init__(self, name: str, **arguments: float | str) -> None:
        self.kind = find(name)
        self.p: Numbers = self.kind.parameters(arguments)
        self.state: Numbers = self.kind.initial(self.p)

    def __call__(self, hook: str, u: float = 0.5, **told: float) -> float:
        """`admit(now=1.0)` sets the column ADMIT_NOW of the view; the others are 0."""
        view = [0.0] * 14
        for name, value in told.items():
            own = f"{hook.upper()}_{name.upper()}"
            index: int = getattr(views, own if hasattr(views, own) else f"WATCHED_{name.upper()}")
            view[index] = value
        return float(self.kind.hooks[hook](self.state, self.p, view, u))

    def tick(self, now: float, *pools: dict[str, float]) -> list[float]:
        """The limits that one tick sets; -1 unchanged."""
        view = [now, float(len(pools))]
        for pool in pools:
            row = [0.0] * views.TICK_STRIDE
            for name, value in pool.items():
                row[getattr(views, f"TICK_{name.upper()}")] = value
            view += row
        self.state[: views.MOST_WATCHED] = [-1.0] * views.MOST_WATCHED
        self.kind.hooks["tick"](self.state, self.p, view, 0.5)
        return list(self.state[: len(pools)])
