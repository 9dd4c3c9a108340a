"""The story: build, let live, diagnose, cure, diagnose again, write the page.

Owns the order and the words. Must never touch a server that it did not start.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.status import Status

from howdah.check import api
from howdah.check.diagnosis import Diagnosis
from howdah.check.rules import all_rules
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.demo import cure, shop
from howdah.demo.traffic import running
from howdah.postgres import Server
from howdah.report import html, terminal
from howdah.report.compare import changes
from howdah.report.contract import contract
from howdah.snapshot import collect
from howdah.snapshot.model import Snapshot
from howdah.snapshot.options import Options

_LIVE_SECONDS = 20.0  # enough for ten thousand MultiXacts
_TRIAL_SECONDS = 300.0  # the story has no hurry: every remedy gets its trial
_AFTER_SECONDS = 6.0  # one round of autovacuum, which was set to five seconds


class _Teller:
    """Progress: a moving line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def step(self, text: str) -> None:
        """A new chapter: it stays on the screen."""
        self.done()
        self._console.print(f"[bold]{text}[/bold]")
        if sys.stderr.isatty():
            self._status = Console(stderr=True).status("")
            self._status.start()

    def detail(self, text: str) -> None:
        """What is going on inside the chapter."""
        if self._status is not None:
            self._status.update(text)

    def done(self) -> None:
        """Take the moving line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def play(console: Console, page: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Tell the whole story on a server of its own, and write the page with before and after."""
    teller = _Teller(console)
    started = clock.monotonic()
    try:
        teller.step("1. A shop on a PostgreSQL of its own")
        with Server.start(settings=shop.SETTINGS) as server:
            dsn = shop.build(server, teller.detail)
            teller.step(f"2. Customers, publishers and a forgotten report: {_LIVE_SECONDS:g} s")
            with running(server, shop.DATABASE) as traffic:
                clock.sleep(_LIVE_SECONDS)
                traffic.back_up()
                teller.step("3. Diagnosis, read-only; remedies are tried on a sandbox")
                ill = collect.take(dsn, Options(), progress=teller.detail)
                traffic.calm()
                before = _diagnose(dsn, ill, teller)
                teller.done()
                terminal.render(contract(before), console)
                teller.step("4. Applying what was proven; ending the forgotten report")
                traffic.end_report()
                _tell(console, cure.apply(server, shop.DATABASE, before))
                clock.sleep(_AFTER_SECONDS)
                teller.step("5. Diagnosis again")
                well = collect.take(dsn, Options(), progress=teller.detail)
                after = _diagnose(dsn, well, teller)
    finally:
        teller.done()
    text = html.page(after, well, before, before_snapshot=ill, rules=all_rules())
    page.write_text(text, encoding="utf-8")
    _compare(console, before, after)
    console.print(f"\nAll of it in {clock.monotonic() - started:.0f} s. The page: {page}")


def _diagnose(dsn: str, snapshot: Snapshot, teller: _Teller) -> Diagnosis:
    schema = api.schema_source(dsn, snapshot)
    return api.diagnose(
        snapshot, schema=schema, trial_seconds=_TRIAL_SECONDS, progress=teller.detail
    )


def _tell(console: Console, applied: tuple[cure.Applied, ...]) -> None:
    for each in applied:
        outcome = f"refused: {each.refused}" if each.refused else "done"
        console.print(f"   {each.remedy.operation} for {each.finding.object}: {outcome}")


def _compare(console: Console, before: Diagnosis, after: Diagnosis) -> None:
    """What became of each finding, in the words of the page."""
    now = contract(after)
    console.print(
        f"\n[bold]Before: {len(before.ranked)} findings. Now: {len(after.ranked)}.[/bold]"
    )
    for change in changes(contract(before), now):
        line = f"   {change.fate:<11} {change.entry.rule}: {change.entry.object}"
        console.print(line, soft_wrap=True)
