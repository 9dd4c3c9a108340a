"""`howdah doctor`: what this role may see, and which rules each missing step makes unknown."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from howdah.check.rules import all_rules
from howdah.cli.target import TARGET, as_file, progress
from howdah.report import doctor as words
from howdah.snapshot import collect, file
from howdah.snapshot.doctor import ladder as climb
from howdah.snapshot.options import QUICK

EXAMPLE = "Example: howdah doctor postgresql://localhost/shop"


def doctor(
    target: TARGET = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """The ladder of permissions: what you have, what is missing, and what it would open."""
    path = as_file(target)
    with progress() as tell:
        snapshot = file.read(path) if path else collect.take(target, QUICK, progress=tell)
    ladder = climb(snapshot)
    if as_json:
        typer.echo(words.text(ladder, all_rules()))
    else:
        words.render(ladder, all_rules(), Console(file=sys.stdout, highlight=False))
