"""The diagnosis on a terminal: what is on fire first, and what to type.

Owns layout and colour for 80 columns and more. Must never hide that something is unknown, never
print a command that was not proven as one that can be pasted, and never break a line of SQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from howdah.check.model import Kind, Severity
from howdah.report import wording
from howdah.report.contract import Contract, Entry, RemedyPart

_STYLE = {
    Severity.CRITICAL: "bold white on red",
    Severity.WARNING: "bold yellow",
    Severity.NOTICE: "bold cyan",
}
_IN_FULL = 3  # findings of one rule that are shown in full; the others by name
_ROWS = 3  # rows of evidence per finding
_NAMES = 8  # names in a list of objects
_LETTERS = 120  # of one value of evidence: a statement's beginning tells which it is


def render(contract: Contract, console: Console, *, verbose: bool = False) -> None:
    """Print the diagnosis; `verbose` adds the quiet findings, all evidence and the rules ok."""
    _head(contract, console)
    for note in contract.notes:
        _say(console, f"note: {note}", style="yellow")
    _findings(contract, console, verbose)
    _quiet(contract.quiet, console, verbose)
    _unknown(contract, console)
    if verbose:
        _list(console, "ok", contract.of(Kind.OK))
        _list(console, "not applicable", contract.of(Kind.NOT_APPLICABLE))


def _head(contract: Contract, console: Console) -> None:
    """Who was asked and the sum of it: one line where nothing is wrong."""
    summary = contract.summary
    who = wording.server(contract)
    if summary.open:
        line = Text(wording.totals(summary), style="bold")
        line.append(f" in {who}", style="not bold")
        console.print(line)
        _say(console, wording.rules(summary), style="dim")
        _say(console, wording.window(contract.window), style="dim")
    elif summary.ok:
        rest = f"; {wording.rules(summary)}" if summary.unknown or summary.not_applicable else ""
        style = "bold yellow" if summary.unknown else "bold green"
        _say(console, f"Nothing found in {who}: {_held(summary.ok)}{rest}", style=style)
    else:
        _say(console, f"Nothing could be examined in {who}: {wording.rules(summary)}", style="bold")


def _held(count: int) -> str:
    return f"{wording.plural(count, 'rule')} looked and found nothing"


# --- findings -------------------------------------------------------------------------------------


def _findings(contract: Contract, console: Console, verbose: bool) -> None:
    """Ranked findings; beyond the first of a rule, only critical ones are shown in full."""
    shown: dict[str, int] = defaultdict(int)
    rest: dict[str, list[Entry]] = defaultdict(list)
    for entry in contract.findings:
        shown[entry.rule] += 1
        if verbose or entry.severity is Severity.CRITICAL or shown[entry.rule] <= _IN_FULL:
            _finding(entry, console, verbose)
        else:
            rest[entry.rule].append(entry)
    if rest:
        console.print()
        for rule, entries in rest.items():
            _say(console, f"{len(entries)} more {rule}: {_names(entries)}", hang=2)
        _say(console, "Try: --verbose shows them in full", style="dim")


def _finding(entry: Entry, console: Console, verbose: bool) -> None:
    console.print()
    severity = entry.severity or Severity.NOTICE
    head = Text.assemble(
        (severity.upper(), _STYLE[severity]),
        (wording.clean(f" {entry.rule}: {entry.object}"), "bold"),
    )
    _lines(console, head, indent=0, hang=2)
    _say(console, entry.claim or "", indent=2)
    for line in _evidence(entry, verbose):
        _say(console, line, indent=4, hang=2, style="dim")
    if verbose:
        _doubts(entry, console)
    for remedy in entry.remedies:
        _remedy(remedy, console, verbose)


def _evidence(entry: Entry, verbose: bool) -> Iterator[str]:
    """Rows of evidence as `name value` pairs; what was said already is left out.

    Unless all is asked for, a long text is cut, and a text that an earlier row told in full is
    not told again.
    """
    alone = len(entry.evidence) == 1
    told: set[str] = set()
    lines: dict[str, None] = {}
    for row in entry.evidence:
        pairs = [
            f"{wording.label(name)} {_told(name, value, told, verbose)}"
            for name, value in row.items()
            if verbose or not (value in (None, "", []) or (alone and value == entry.object))
        ]
        if pairs:
            lines[", ".join(pairs)] = None
    shown = list(lines) if verbose else list(lines)[:_ROWS]
    yield from shown
    if len(lines) > len(shown):
        yield f"and {wording.plural(len(lines) - len(shown), 'row')} more"


def _told(name: str, value: Any, told: set[str], verbose: bool) -> str:
    """A value on one line; a long text only once."""
    text = " ".join(wording.value(name, value).split())
    if verbose or len(text) <= _LETTERS:
        return text
    cut = text[: _LETTERS - 4].rstrip() + " ..."
    if text in told:
        return "as above"
    told.add(text)
    return cut


def _doubts(entry: Entry, console: Console) -> None:
    _say(console, f"confidence: {entry.confidence}; {entry.reason}", indent=4, hang=2)
    _say(console, f"refuted by: {entry.refuted_by}", indent=4, hang=2)
    _say(console, f"cost if wrong: {entry.cost_if_wrong}", indent=4, hang=2)
    if entry.window:
        _say(console, wording.window(entry.window), indent=4, hang=2)


def _remedy(remedy: RemedyPart, console: Console, verbose: bool) -> None:
    """A proven remedy as commands to paste, any other as commented text with the reason."""
    runnable = wording.is_runnable(remedy)
    if runnable and remedy.proof:
        _say(console, f"{remedy.operation}, proven:", indent=2, style="bold green")
        _sql(console, remedy.sql, runnable)
        _say(console, wording.proof(remedy.proof), indent=4, hang=2, style="dim")
    else:
        why = f"{remedy.operation}, {wording.why_not(remedy)}"
        _say(console, why, indent=2, hang=2, style="bold")
        _sql(console, remedy.sql, runnable)
    if remedy.note:
        _say(console, f"note: {remedy.note}", indent=4, hang=2, style="dim")
    if verbose and remedy.inverse:
        _say(console, "to take it back:", indent=4, style="dim")
        _sql(console, remedy.inverse, runnable)
    if verbose and remedy.retry_safe:
        _say(console, "safe to run again after an interruption:", indent=4, style="dim")
        _sql(console, remedy.retry_safe, runnable)


def _sql(console: Console, statements: Iterable[str], runnable: bool) -> None:
    """Statements as they stand: one line stays one line, however narrow the terminal is."""
    lines = wording.script(statements, runnable=runnable).splitlines()
    if not lines:
        return  # advice without a statement
    text = Text("\n".join(f"    {line}" for line in lines), style="green" if runnable else "")
    console.print(text, soft_wrap=True)


def _quiet(entries: Sequence[Entry], console: Console, verbose: bool) -> None:
    """Suppressed and known findings: counted, and listed with their reason where asked."""
    if not entries:
        return
    console.print()
    suppressed = [entry for entry in entries if entry.suppressed]
    known = [entry for entry in entries if not entry.suppressed]
    counts = [f"{len(suppressed)} suppressed"] if suppressed else []
    counts += [f"{len(known)} known from the baseline"] if known else []
    _say(console, f"not shown: {', '.join(counts)}" + ("" if verbose else " (--verbose)"))
    for entry in entries if verbose else ():
        why = entry.suppressed
        reason = f"{why.reason}, until {why.expires}" if why else "in the baseline"
        _say(console, f"{entry.id}: {reason}", indent=2, hang=2, style="dim")


# --- what is not known ----------------------------------------------------------------------------


def _unknown(contract: Contract, console: Console) -> None:
    """Rules that could say nothing, or not all, by reason."""
    reasons: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in contract.of(Kind.UNKNOWN):
        reasons[entry.reason, entry.grant or ""].append(entry)
    if reasons:
        console.print()
        count = wording.plural(contract.summary.unknown, "rule")
        _say(console, f"unknown: {count} could not look", style="bold")
        for (reason, grant), entries in reasons.items():
            _say(console, f"{reason}", indent=2, hang=2)
            _say(console, f"rules: {_rules(entries)}", indent=4, hang=2, style="dim")
            if grant:
                _say(console, f"to know it: {grant}", indent=4, hang=2)
        _say(console, "Try: howdah doctor DSN", indent=2)
    partly = contract.partly_unknown
    if partly:
        console.print()
        _say(console, "not seen in full", style="bold")
        for entry in partly:
            _say(console, f"{entry.rule}: {entry.reason}", indent=2, hang=2)


def _list(console: Console, title: str, entries: Sequence[Entry]) -> None:
    if entries:
        console.print()
        _say(console, f"{title} ({len(entries)})", style="bold")
    for entry in entries:
        _say(console, f"{entry.rule}: {entry.reason}", indent=2, hang=2, style="dim")


def _names(entries: Sequence[Entry]) -> str:
    names = ", ".join(entry.object or "" for entry in entries[:_NAMES])
    return names + (f" and {len(entries) - _NAMES} more" if len(entries) > _NAMES else "")


def _rules(entries: Sequence[Entry]) -> str:
    return ", ".join(entry.rule for entry in entries)


def _say(console: Console, text: str, *, indent: int = 0, hang: int = 0, style: str = "") -> None:
    """A paragraph, wrapped at words, following lines indented by `hang` more."""
    _lines(console, Text(wording.clean(text), style=style), indent=indent, hang=hang)


def _lines(console: Console, text: Text, *, indent: int, hang: int) -> None:
    for number, line in enumerate(text.wrap(console, max(20, console.width - indent - hang))):
        line.rstrip()
        console.print(Padding(line, (0, 0, 0, indent + (hang if number else 0)), expand=False))
