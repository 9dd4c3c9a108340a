"""How values and names are worded: the same in the terminal and on the page.

Owns the text of single values; amounts are `howdah.check.knowledge.amounts`'. Units come from the
names of evidence (`size_bytes`, `size_pages`, `age_seconds`, `dead_fraction`). Everything that came
from a database may hold control characters; `clean` makes them visible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from howdah.check.knowledge.amounts import duration, number, percent, size
from howdah.report.contract import Contract, ProofPart, RemedyPart, Summary, WindowPart
from howdah.snapshot.picture import PAGE_BYTES

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Make control and direction characters visible, so that no name can repaint the screen.

    >>> clean("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def value(name: str, given: Any) -> str:
    """One value of evidence under its name, with the unit that the name tells."""
    if given is None:
        return "not known"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, int | float):
        return _number_of(name, given)
    if isinstance(given, Mapping):
        return ", ".join(f"{label(k)} {value(str(k), v)}" for k, v in given.items()) or "none"
    if isinstance(given, Sequence) and not isinstance(given, str):
        return ", ".join(value(name, each) for each in given) or "none"
    return clean(str(given)) or "none"


def _number_of(name: str, given: float) -> str:
    words = name.split("_")
    if "per" not in words:
        if words[-1] == "bytes":
            return size(given)
        if words[-1] == "pages":
            noun = "" if len(words) == 1 else " page" if given == 1 else " pages"
            return f"{number(given)}{noun} ({size(given * PAGE_BYTES)})"
        if words[-1] in ("fraction", "share") or words[0] == "share":
            return percent(given)
        if "seconds" in words:
            return duration(given)
        if words[-1] in ("hours", "days"):
            return duration(given * (3600 if words[-1] == "hours" else 86400))
        if words[-1] == "milliseconds":
            return duration(given / 1000)
    if words[-1] in ("oid", "pid"):
        return str(given)
    return number(given)


def label(name: str) -> str:
    """A field's name in words; the unit that `value` writes is left out.

    >>> label("size_pages"), label("rows_per_hour")
    ('size', 'rows per hour')
    """
    words = str(name).split("_")
    units = ("bytes", "pages", "fraction", "seconds", "milliseconds", "hours", "days")
    if len(words) > 1 and "per" not in words:
        words = words[:-1] if words[-1] in units else words[words[0] == "seconds" :]
    return clean(" ".join(words))


def moment(when: datetime) -> str:
    """A time to the second, with its zone."""
    zone = when.strftime("%Z") or "without a time zone"
    return f"{when:%Y-%m-%d %H:%M:%S} {zone}"


def window(part: WindowPart) -> str:
    """Over which time the counters counted."""
    if part.since is None or part.seconds is None:
        return f"counters: since when is not known ({clean(part.reason)})"
    return f"counters over {duration(part.seconds)}, since {moment(part.since)}"


def server(made: Contract) -> str:
    """Who was asked."""
    part = made.server
    kind = "standby" if part.in_recovery else "PostgreSQL"
    name = f"PostgreSQL {part.version}" + (" (standby)" if kind == "standby" else "")
    return f"{clean(part.database)} on {name} as {clean(part.role)}"


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> plural(1, "warning"), plural(2, "index", "indexes")
    ('1 warning', '2 indexes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def totals(summary: Summary) -> str:
    """The summary as one line."""
    found = [
        plural(summary.critical, "critical", "critical") if summary.critical else "",
        plural(summary.warning, "warning") if summary.warning else "",
        plural(summary.notice, "notice") if summary.notice else "",
    ]
    return ", ".join(part for part in found if part) or "no findings"


def rules(summary: Summary) -> str:
    """How many rules said what, besides findings."""
    parts = [f"{summary.ok} ok", f"{summary.unknown} unknown"]
    parts.append(f"{summary.not_applicable} not applicable")
    return "rules: " + ", ".join(parts)


def script(statements: Iterable[str], *, runnable: bool) -> str:
    """Statements as they stand, each ended; where they must not be pasted, as comments.

    >>> script(["DROP INDEX a"], runnable=False)
    '-- DROP INDEX a;'
    """
    stripped = (statement.strip().removesuffix(";") for statement in statements)
    ended = [f"{clean(statement)};" for statement in stripped if statement]
    prefix = "" if runnable else "-- "
    return "\n".join(f"{prefix}{line}" for each in ended for line in each.splitlines())


def is_runnable(remedy: RemedyPart) -> bool:
    """Whether the remedy may be shown as commands to paste."""
    return remedy.proven and not remedy.manual


def why_not(remedy: RemedyPart) -> str:
    """Why a remedy is text and not a command."""
    if remedy.manual:
        return "for a person to decide, never tried"
    return f"not proven: {clean(remedy.proof.reason) if remedy.proof else 'it was not tried'}"


def proof(part: ProofPart) -> str:
    """What a proof showed, in one line: where, how long, what it locked, what it wrote."""
    facts = [clean(part.server)] if part.server else []
    facts.append(f"took {duration(part.seconds)}")
    if part.rows:
        facts.append(f"{part.rows:,} synthetic rows")
    if part.locks:
        facts.append("locks: " + clean(", ".join(part.locks)))
    facts.append("rewrites " + clean(", ".join(part.rewrites)) if part.rewrites else "no rewrite")
    if part.scans:
        facts.append("reads in full " + clean(", ".join(part.scans)))
    facts.append(f"{size(part.wal_bytes)} of WAL")
    return "; ".join(facts)
