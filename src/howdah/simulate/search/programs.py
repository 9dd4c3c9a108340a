"""Search over trigger programs: which short list of disturbances tips a model.

Owns the moves a program is made of, a random search with shrinking, and the reduction to a list
from which nothing can be taken and whose strengths cannot be lowered. Must never report a program
that was not confirmed with fresh seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from howdah.errors import BadInput
from howdah.simulate.model import Action, Down, Flush, Inject, Model, Scale, Set, Trigger
from howdah.simulate.search.reduction import one_minimal
from howdah.simulate.search.trial import (
    JUDGE,
    Budget,
    Judge,
    Progress,
    Verdict,
    levels,
    trials,
    verdict,
)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of disturbance that a program may hold.

    `path` names the number (scale, set), the client (inject), the cache (flush) or the processor
    (down). Strength goes from `mild` to `strong` and length from `short` to `long` seconds.
    """

    kind: Literal["scale", "set", "inject", "flush", "down"]
    path: str
    mild: float = 0.0
    strong: float = 1.0
    short: float = 1.0
    long: float = 1.0


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A move in a program: when, how strong and how long, the last two from 0 to 1."""

    move: Move
    at: float
    strength: float
    length: float

    @property
    def cost(self) -> float:
        """What it takes: strength times length, and a little for being there at all."""
        strength = 1.0 if self.move.kind in ("flush", "down") else self.strength
        length = 1.0 if self.move.kind in ("flush", "inject") else self.length
        return 0.05 + strength * length

    def trigger(self) -> Trigger:
        """The trigger that it stands for."""
        return Trigger(at=self.at, actions=(self._action(),))

    def _action(self) -> Action:
        move = self.move
        value = move.mild + (move.strong - move.mild) * self.strength
        until = self.at + move.short + (move.long - move.short) * self.length
        match move.kind:
            case "scale":
                return Scale(path=move.path, factor=value, until=until)
            case "set":
                return Set(path=move.path, value=value, until=until)
            case "inject":
                return Inject(client=move.path, count=max(1, round(value)))
            case "flush":
                return Flush(cache=move.path)
            case "down":
                return Down(processor=move.path, until=until)


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """How a program did in the search."""

    cost: float
    stuck: float


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """The cheapest program that was found."""

    triggers: tuple[Trigger, ...]
    placed: tuple[Placed, ...]
    cost: float
    confirmed: Verdict  # with fresh seeds
    tried: tuple[Tried, ...]
    runs: int


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What the search may spend."""

    rounds: int = 120  # programs tried
    longest: int = 4  # moves in a program
    start: float = 0.0  # seconds, where programs may begin
    end: float = 0.0  # and where their last move may begin; a third of the horizon when 0
    seed: int = 1


EFFORT, FEW = Effort(), Budget(replicas=8)


def search_program(
    model: Model,
    moves: Sequence[Move],
    *,
    p: float = 0.5,
    effort: Effort = EFFORT,
    judge: Judge = JUDGE,
    budget: Budget = FEW,
    progress: Progress | None = None,
) -> Program | None:
    """The cheapest program of `moves` that leaves at least a share p of runs stuck, or None.

    The model's own triggers are left out. A random walk over programs that favours a larger
    share of stuck runs, then a lower cost; then delta debugging, then lower strengths.
    """
    if not moves:
        raise BadInput("a program needs at least one move to be made of")
    judge = msgspec.structs.replace(judge, undisturbed=levels(model, judge=judge, budget=budget))
    hunt = _Hunt(model, moves, p, effort, judge, budget)
    best = hunt.walk(progress)
    if best is None:
        return None
    kept = one_minimal(best, hunt.tips)
    kept = hunt.weaken(kept)
    confirmed = verdict(
        hunt.build(kept), judge=judge, budget=budget, seeds=list(budget.seeds(fresh=1))
    )
    return Program(
        triggers=tuple(each.trigger() for each in kept),
        placed=tuple(kept),
        cost=sum(each.cost for each in kept),
        confirmed=confirmed,
        tried=tuple(hunt.tried),
        runs=hunt.runs,
    )


class _Hunt:
    """The state of one search."""

    def __init__(
        self,
        model: Model,
        moves: Sequence[Move],
        p: float,
        effort: Effort,
        judge: Judge,
        budget: Budget,
    ) -> None:
        self.model, self.moves, self.p = model, moves, p
        self.effort, self.judge, self.budget = effort, judge, budget
        self.random = np.random.default_rng(effort.seed)
        self.tried: list[Tried] = []
        self.runs = 0
        self.known: dict[tuple[Placed, ...], float] = {}
        self.last = effort.end or model.horizon / 3

    def build(self, program: list[Placed]) -> Model:
        """The model with these triggers instead of its own.

        Judged from the latest end that any program may have, so that all are compared over the
        same time.
        """
        longest = max(move.long for move in self.moves)
        return msgspec.structs.replace(
            self.model,
            triggers=tuple(each.trigger() for each in program),
            settled_after=self.last + longest,
        )

    def stuck(self, program: list[Placed]) -> float:
        """The share of stuck runs; remembered."""
        key = tuple(program)
        if key not in self.known:
            found = trials(
                self.build(program), self.budget.seeds(), judge=self.judge, budget=self.budget
            )
            self.runs += len(found)
            self.known[key] = sum(t.recovery.stuck for t in found) / len(found)
            cost = sum(each.cost for each in program)
            self.tried.append(Tried(cost=cost, stuck=self.known[key]))
        return self.known[key]

    def tips(self, program: list[Placed]) -> bool:
        """Whether it leaves at least p stuck."""
        return self.stuck(program) >= self.p

    def walk(self, progress: Progress | None) -> list[Placed] | None:
        """The cheapest tipping program seen on a random walk."""
        here = [self.draw()]
        worth = self.worth(here)
        best: list[Placed] | None = here if self.tips(here) else None
        for step in range(self.effort.rounds):
            there = self.changed(here)
            value = self.worth(there)
            heat = 0.2 * (1 - step / self.effort.rounds)
            if value >= worth or self.random.random() < np.exp((value - worth) / max(heat, 1e-3)):
                here, worth = there, value
            if self.tips(there) and (best is None or _cost(there) < _cost(best)):
                best = there
            if progress is not None:
                progress("programs", (step + 1) / self.effort.rounds)
        return best

    def worth(self, program: list[Placed]) -> float:
        """First tip, then be cheap."""
        share = min(1.0, self.stuck(program) / self.p)
        return share + (1 / (1 + _cost(program)) if share >= 1 else 0.05 * _cost(program))

    def draw(self) -> Placed:
        """A random move at a random time."""
        return Placed(
            move=self.moves[int(self.random.integers(0, len(self.moves)))],
            at=float(self.random.uniform(self.effort.start, self.last)),
            strength=float(self.random.random()),
            length=float(self.random.random()),
        )

    def changed(self, program: list[Placed]) -> list[Placed]:
        """A neighbour: a move more, a move less, or one of them shifted."""
        choice = self.random.random()
        if len(program) < self.effort.longest and choice < 0.25:
            return [*program, self.draw()]
        place = int(self.random.integers(0, len(program)))
        if len(program) > 1 and choice < 0.45:
            return program[:place] + program[place + 1 :]
        return [*program[:place], self._shifted(program[place]), *program[place + 1 :]]

    def _shifted(self, placed: Placed) -> Placed:
        def near(value: float) -> float:
            return float(np.clip(value + self.random.normal(0, 0.25), 0, 1))

        width = self.last - self.effort.start
        at = self.effort.start + near((placed.at - self.effort.start) / width) * width
        return Placed(
            move=placed.move, at=at, strength=near(placed.strength), length=near(placed.length)
        )

    def weaken(self, program: list[Placed]) -> list[Placed]:
        """Each strength and length halved towards nothing as long as the program tips."""
        kept = list(program)
        for i in range(len(kept)):
            for field in ("strength", "length"):
                low, high = 0.0, getattr(kept[i], field)
                for _ in range(5):
                    middle = (low + high) / 2
                    weaker = msgspec.structs.replace(kept[i], **{field: middle})
                    if self.tips([*kept[:i], weaker, *kept[i + 1 :]]):
                        kept[i], high = weaker, middle
                    else:
                        low = middle
        return kept


def _cost(program: list[Placed]) -> float:
    return sum(each.cost for each in program)
