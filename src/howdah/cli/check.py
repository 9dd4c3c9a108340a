"""`howdah check`: diagnose a database or a snapshot file, list the rules, explain one.

Owns options and exit codes of the diagnosis. The work is `howdah.check.api`; the words are
`howdah.report`.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from howdah.check import api
from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Rule, Severity
from howdah.check.rules import all_rules
from howdah.check.suppression import (
    read_baseline,
    read_suppressions,
    write_baseline,
)
from howdah.cli.taking import HOST_MEMORY, MEASURE_MEGABYTES, SAMPLE_SECONDS, VALUES, taken
from howdah.cli.target import TARGET, as_file, progress
from howdah.clock import SYSTEM_CLOCK
from howdah.config import suggestion
from howdah.errors import BadInput
from howdah.report import html, json, sarif, terminal
from howdah.report.contract import contract
from howdah.snapshot import recording as recordings
from howdah.snapshot.recording import with_waits

FINDINGS = 1
DEFAULT_SUPPRESSIONS = Path("howdah-suppressions.toml")


class _RunByDefault(TyperGroup):
    """`howdah check TARGET` means `howdah check run TARGET`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # ctx: typer's private Context
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    help="Diagnose a database or a snapshot file: findings with evidence, remedies tried first.\n\n"
    "`howdah check TARGET` is short for `howdah check run TARGET`; see `howdah check run --help`.",
    epilog="Example: howdah check postgresql://localhost/shop",
    rich_markup_mode=None,
)


@app.command(epilog="Example: howdah check run postgresql://localhost/shop --html report.html")
def run(  # one parameter per option; typer knows no other way
    target: TARGET = "",
    *,
    listing: Annotated[bool, typer.Option("--list", help="List the rules and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON contract.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write one self-contained page.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this rule or subject; repeat for more.")
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option(help="Exit 1 for findings at least this severe.")
    ] = Severity.WARNING,
    suppressions: Annotated[
        Path | None,
        typer.Option(help=f"Findings not to be told [default: {DEFAULT_SUPPRESSIONS} if there]."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Known findings; only others make it exit 1.")
    ] = None,
    save_baseline: Annotated[
        Path | None, typer.Option("--write-baseline", help="Write the findings as a baseline.")
    ] = None,
    sandbox: Annotated[
        bool,
        typer.Option(
            help="Ask a real planner and try remedies on a disposable server of this machine."
        ),
    ] = True,
    recording: Annotated[
        Path | None, typer.Option(help="Waits from `howdah watch --record` instead of a sample.")
    ] = None,
    sample_seconds: SAMPLE_SECONDS = None,
    measure_megabytes: MEASURE_MEGABYTES = None,
    values: VALUES = False,
    host_memory: HOST_MEMORY = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is ok too.")] = False,
) -> None:
    """Diagnose a database or a snapshot file; read-only, nothing is applied."""
    if listing:
        _print_rules()
        return
    if as_json and as_sarif:
        raise BadInput("--json and --sarif exclude each other", hint="run it once for each")
    rules = _chosen(only or [])
    with progress() as tell:
        snapshot = taken(
            target,
            tell,
            host_memory,
            sample_seconds=sample_seconds,
            measure_megabytes=measure_megabytes,
            values=values or None,
        )
        if recording is not None:
            snapshot = with_waits(snapshot, recordings.read(recording))
        schema = api.schema_source(None if as_file(target) else target, snapshot)
        diagnosis = api.diagnose(
            snapshot, rules=rules, schema=schema if sandbox else None, progress=tell
        )
    diagnosis = _silenced(diagnosis, suppressions, baseline)
    if save_baseline is not None:
        count = write_baseline(diagnosis.ranked, save_baseline)
        typer.echo(f"{save_baseline}: {count} findings", err=True)
    if page is not None:
        page.write_text(html.page(diagnosis, snapshot, rules=rules), encoding="utf-8")
        typer.echo(f"wrote {page}", err=True)
    _show(diagnosis, as_json=as_json, as_sarif=as_sarif, verbose=verbose)
    if _fails(diagnosis, fail_on):
        raise typer.Exit(FINDINGS)


def _chosen(only: list[str]) -> tuple[Rule, ...]:
    rules = all_rules()
    known = {rule.id for rule in rules} | {rule.subject for rule in rules}
    for name in only:
        if name not in known:
            raise BadInput(f"there is no rule or subject {name!r}", hint=suggestion(name, known))
    return tuple(r for r in rules if not only or r.id in only or r.subject in only)


def _silenced(diagnosis: Diagnosis, suppressions: Path | None, baseline: Path | None) -> Diagnosis:
    path = suppressions or (DEFAULT_SUPPRESSIONS if DEFAULT_SUPPRESSIONS.exists() else None)
    entries = read_suppressions(path) if path else ()
    today: date = SYSTEM_CLOCK.now().date()
    known = read_baseline(baseline) if baseline else None
    return api.silence(diagnosis, entries, known, today)


def _show(diagnosis: Diagnosis, *, as_json: bool, as_sarif: bool, verbose: bool) -> None:
    made = contract(diagnosis)
    if as_json:
        typer.echo(json.text(made))
    elif as_sarif:
        typer.echo(sarif.text(made, all_rules()))
    else:
        terminal.render(made, Console(file=sys.stdout), verbose=verbose)


def _fails(diagnosis: Diagnosis, fail_on: Severity) -> bool:
    order = list(Severity)
    return any(order.index(f.severity) <= order.index(fail_on) for f in diagnosis.open())


@app.command(epilog="Example: howdah check explain redundant-index")
def explain(
    rule: Annotated[str, typer.Argument(help="The rule's id, as `howdah check --list` prints it.")],
) -> None:
    """What a rule looks for, why it hurts, how it can be wrong, and where that comes from."""
    found = {each.id: each for each in all_rules()}
    if rule not in found:
        raise BadInput(f"there is no rule {rule!r}", hint=suggestion(rule, found))
    each = found[rule]
    console = Console(file=sys.stdout, highlight=False)
    console.print(f"[bold]{each.id}[/bold]: {each.title} (worst severity: {each.severity})")
    parts: tuple[tuple[str, Any], ...] = (
        ("What it looks for", each.what),
        ("Why it hurts", each.why),
        ("How it can be wrong", each.wrong_when),
        ("Facts it needs", ", ".join(each.needs) or "none"),
        ("Source", each.source),
    )
    for title, text in parts:
        console.print(f"\n[bold]{title}[/bold]\n{text}", markup=True)


def _print_rules() -> None:
    console = Console(file=sys.stdout, highlight=False)
    width = max(len(rule.id) for rule in all_rules())
    subject = ""
    for rule in all_rules():
        if rule.subject != subject:
            subject = rule.subject
            console.print(f"[bold]{subject}[/bold]")
        console.print(f"  {rule.id:<{width}}  {rule.title}")
