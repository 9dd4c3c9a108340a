"""The diagnosis as one self-contained HTML page: no network, no font, no need for scripts.

Owns what the template is given. Must never put text of a database on the page unescaped: the
template escapes everything but the pictures, and those escape themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import jinja2
import msgspec

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Kind, Rule, Severity
from howdah.report import wording
from howdah.report.compare import Fate, changes
from howdah.report.contract import Contract, Entry, contract
from howdah.report.pictures import Drawing, draw_all
from howdah.report.templating import environment
from howdah.snapshot.model import Snapshot

_OPEN = 5  # findings that stand open at first, so that the list behind them stays in sight
_COLUMNS = 5  # evidence with more columns is shown row by row


class Pair(msgspec.Struct, frozen=True):
    """A picture now, and before where there is a before."""

    now: Drawing | None
    before: Drawing | None

    @property
    def either(self) -> Drawing:
        """The one that is there; its title is the same."""
        drawing = self.now or self.before
        assert drawing is not None, "a pair holds a drawing"
        return drawing


def page(
    diagnosis: Diagnosis,
    snapshot: Snapshot | None = None,
    before: Diagnosis | None = None,
    *,
    before_snapshot: Snapshot | None = None,
    rules: Iterable[Rule] = (),
) -> str:
    """The page of a diagnosis, as the text of one file.

    With a snapshot it has pictures. With `before`, an earlier diagnosis of the same database, it
    opens with what became of each finding. `rules` bring the rules' own explanations.
    """
    made = contract(diagnosis)
    earlier = contract(before) if before is not None else None
    fates = changes(earlier, made) if earlier is not None else ()
    return _template().render(
        made=made,
        earlier=earlier,
        changes=fates,
        cured=[change.entry for change in fates if change.fate is Fate.CURED],
        pictures=_pairs(snapshot, before_snapshot),
        unknown=_unknown(made),
        rules={rule.id: rule for rule in rules},
        open_at_first=_OPEN,
    )


@cache
def _template() -> jinja2.Template:
    made = environment()
    made.globals.update(say=wording, Kind=Kind, Severity=Severity, Fate=Fate, len=len)
    made.filters.update(table=_table, pairs=_fields, anchor=_anchor)
    return made.get_template("page.html.jinja")


def _pairs(now: Snapshot | None, before: Snapshot | None) -> tuple[Pair, ...]:
    drawn = draw_all(now) if now is not None else ()
    earlier = draw_all(before) if before is not None else ()
    if not drawn or not earlier:
        return tuple(Pair(each, None) for each in drawn) + tuple(
            Pair(None, each) for each in earlier
        )
    return tuple(Pair(a, b) for a, b in zip(drawn, earlier, strict=True))


def _unknown(made: Contract) -> list[tuple[str, str, list[Entry]]]:
    """Unknown rules by reason, with what to grant."""
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in made.of(Kind.UNKNOWN):
        groups[entry.reason, entry.grant or ""].append(entry)
    return [(reason, grant, entries) for (reason, grant), entries in groups.items()]


def _table(rows: tuple[Mapping[str, Any], ...]) -> dict[str, Any] | None:
    """Evidence of several rows as columns, or None where it reads better row by row."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(rows) < 2 or len(names) > _COLUMNS:
        return None
    cells = [[wording.value(n, row[n]) if n in row else "" for n in names] for row in rows]
    return {"head": [wording.label(name) for name in names], "rows": cells}


def _fields(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(wording.label(name), wording.value(name, value)) for name, value in row.items()]


def _anchor(text: str) -> str:
    """A fragment identifier of any text."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)
