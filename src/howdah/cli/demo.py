"""`howdah demo`: the story of a shop, or the same diagnosis of one's own database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from howdah.check import api
from howdah.check.rules import all_rules
from howdah.cli.target import DSN, progress
from howdah.demo import play
from howdah.report import html, terminal
from howdah.report.contract import contract
from howdah.snapshot import collect
from howdah.snapshot.options import Options

EXAMPLE = "Example: howdah demo"
REPORT = Path("howdah-report.html")


def demo(
    dsn: DSN = "",
    *,
    page: Annotated[
        Path, typer.Option("--html", help="Where the page with before and after goes.")
    ] = REPORT,
) -> None:
    """Plant a dozen diseases in a shop, diagnose, try the remedies, apply them, diagnose again.

    It runs on a PostgreSQL of its own, which is gone afterwards. With a DSN: the same diagnosis of
    that database, read-only, nothing applied.
    """
    console = Console(file=sys.stdout, highlight=False)
    if not dsn:
        play.play(console, page)
        return
    with progress() as tell:
        snapshot = collect.take(dsn, Options(), progress=tell)
        diagnosis = api.diagnose(snapshot, schema=api.schema_source(dsn, snapshot), progress=tell)
    terminal.render(contract(diagnosis), console)
    page.write_text(html.page(diagnosis, snapshot, rules=all_rules()), encoding="utf-8")
    console.print(f"\nNothing was applied. The same as a page: {page}")
