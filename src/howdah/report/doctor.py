"""Words for the ladder of permissions.

Owns the terminal's and the JSON view of `howdah doctor`. Must never grant anything: it prints what
an administrator would run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.markup import escape

from howdah.check.model import Rule
from howdah.snapshot.doctor import Step


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the ladder with the rules that are *unknown*, or see less, without it."""

    step: Step
    rules: tuple[str, ...]


def rungs(ladder: Sequence[Step], rules: Iterable[Rule]) -> tuple[Rung, ...]:
    """Each step with the rules that need a fact which the step opens."""
    needs = {rule.id: frozenset(rule.needs) for rule in rules}
    return tuple(
        Rung(
            step=step,
            rules=tuple(sorted(rule for rule, facts in needs.items() if facts & set(step.facts))),
        )
        for step in ladder
    )


def text(ladder: Sequence[Step], rules: Iterable[Rule]) -> str:
    """The ladder as JSON: a list of steps with `have`, `sql`, `facts` and `rules`."""
    return msgspec.json.format(msgspec.json.encode(rungs(ladder, rules)), indent=2).decode()


def render(ladder: Sequence[Step], rules: Iterable[Rule], console: Console) -> None:
    """The ladder for a person, from a bare connection upwards."""
    for rung in rungs(ladder, rules):
        step = rung.step
        mark = "[green]have   [/green]" if step.have else "[yellow]missing[/yellow]"
        console.print(f"{mark} [bold]{step.name}[/bold]: {escape(step.purpose)}")
        if step.have:
            continue
        if rung.rules:
            console.print(f"        unknown or in part without it: {', '.join(rung.rules)}")
        for statement in step.sql:
            console.print(f"        {escape(statement)};", soft_wrap=True)
        if step.note:
            console.print(f"        note: {escape(step.note)}")
        for statement in step.alternative:
            console.print("        or, showing the shape of statistics and no rows:")
            for line in statement.strip().splitlines():
                console.print(f"          {escape(line)}", soft_wrap=True)
