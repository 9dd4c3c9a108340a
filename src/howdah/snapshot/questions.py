"""The questions of one picture: which block is asked, with which parameters, for which server.

Owns the special cases of the facts that need one, and the counting of what is left out. Must never
open or close a transaction.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from howdah.snapshot.facts import Status
from howdah.snapshot.model import Server
from howdah.snapshot.options import Options
from howdah.snapshot.plan import CATALOG, COUNTERS, Gap, Part
from howdah.snapshot.session import Answer, Reading

ALL = (0, 2**32 - 1)
"""The oids of all relations there can be: no slice."""

LOCK_ROWS = 5000
"""Locks kept at most; those that somebody waits for come first."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One fact's answer, and how many of its rows exist but could not be read."""

    answer: Answer
    more: tuple[Answer, ...] = ()  # the rest of a fact that was read in slices
    gap: Gap = Gap.NONE
    left_out: int = 0
    note: str = ""


class Questions:
    """The questions of one picture: each part's block, parameters and conditions."""

    def __init__(self, reading: Reading, server: Server, options: Options) -> None:
        self.reading = reading
        self.server = server
        self.options = options
        self.extension_schemas: dict[str, str] = {}
        self.asked: set[str] = set()
        self.tried: set[str] = set()  # facts that had all the time there is
        self.fresh = False
        self.slice = ALL
        self._fed: dict[str, list[int]] = {"fed_relations": [], "fed_columns": [], "fed_values": []}

    def about(self, part: Part) -> Asked:
        """Ask for one part, and for what is missing from it."""
        if self.fresh and not part.is_sliced:
            self.tried.add(part.fact)
        self.asked.add(part.fact)
        special = {
            "extensions": self._extensions,
            "sequences": self._sequences,
            "statements": self._statements,
            "column_statistics": self._column_statistics,
            "settings": self._settings,
            "sessions": self._sessions,
        }
        return special.get(part.fact, self._plain)(part)

    def _plain(self, part: Part, block: str = "") -> Asked:
        query = part.queries.choose(block or part.fact, self.server.major)
        if query is None:
            return Asked(answer=_no(f"PostgreSQL {self.server.major} has no such thing"))
        answer = self.reading.ask(query.text, self._parameters())
        left_out = self._left_out(part) if answer.cursor is not None else 0
        return Asked(answer=answer, gap=part.gap if left_out else Gap.NONE, left_out=left_out)

    def _parameters(self) -> dict[str, Any]:
        return {
            "locked": self.reading.locked,
            "search_path": list(self.server.search_path),
            "values": self.options.values,
            "limit": LOCK_ROWS,
            "low": self.slice[0],
            "high": self.slice[1],
            **self._fed,
        }

    def _left_out(self, part: Part) -> int:
        possible = {
            Gap.NONE: False,
            Gap.LOCK: bool(self.reading.locked),
            Gap.ACTIVITY: not self.server.is_monitor,
            Gap.DATA: not self.server.is_superuser,
        }
        query = (
            part.queries.choose(part.left_out, self.server.major) if possible[part.gap] else None
        )
        if query is None:
            return 0
        answer = self.reading.ask(query.text, self._parameters())
        return int(_value(answer) or 0) if answer.cursor is not None else 1

    def _extensions(self, part: Part) -> Asked:
        asked = self._plain(part)
        cursor = asked.answer.cursor
        if cursor is not None:
            self.extension_schemas = {name: schema for name, _, schema in _peeked(cursor)}
        return asked

    def _sequences(self, part: Part) -> Asked:
        """Keep, besides, which column is fed up to which value: its statistics lag behind."""
        asked = self._plain(part)
        cursor = asked.answer.cursor
        if cursor is not None:
            for row in _peeked(cursor):
                last_value, relations, columns = row[11:14]
                if last_value is not None:
                    self._fed["fed_relations"] += relations
                    self._fed["fed_columns"] += columns
                    self._fed["fed_values"] += [last_value] * len(columns)
        return asked

    def _statements(self, _part: Part) -> Asked:
        schema = self.extension_schemas.get("pg_stat_statements")
        if self.options.statements == 0:
            return Asked(answer=_no("not asked for", Status.SKIPPED))
        if schema is None:
            return Asked(answer=_no("the extension pg_stat_statements is not installed here"))
        text = COUNTERS.text("statements", self.server.major)
        answer = self.reading.ask(text, {"limit": self.options.statements}, schema=schema)
        return Asked(answer=answer, note=self._hidden("the texts of other roles' statements"))

    def _column_statistics(self, part: Part) -> Asked:
        if not self.server.reads_all_data:
            answer = self.reading.ask(CATALOG.text("column_statistics_helper"), {})
            if _value(answer):
                helped = self.reading.ask(CATALOG.text("column_statistics_helped"), {})
                return Asked(answer=helped, note="read through the view howdah.column_statistics")
        return self._plain(part)

    def _settings(self, part: Part) -> Asked:
        asked = self._plain(part)
        hidden = "" if self.server.is_monitor else "parameters for superusers only are not shown"
        return msgspec.structs.replace(asked, note=hidden)

    def _sessions(self, part: Part) -> Asked:
        asked = self._plain(part)
        return msgspec.structs.replace(asked, note=self._hidden("what other roles' sessions do"))

    def _hidden(self, what: str) -> str:
        return "" if self.server.is_monitor else f"{what} is hidden without pg_read_all_stats"


def _no(reason: str, status: Status = Status.UNSUPPORTED) -> Answer:
    return Answer(cursor=None, seconds=0.0, status=status, reason=reason)


def _peeked(cursor: psycopg.Cursor[Any]) -> list[Any]:
    """All rows of a cursor, which can be read again afterwards."""
    rows = cursor.fetchall()
    if rows:
        cursor.scroll(0, mode="absolute")
    return rows


def _value(answer: Answer) -> Any:
    """The first column of the only row; None where there is no answer."""
    row = answer.cursor.fetchone() if answer.cursor is not None else None
    return row[0] if row else None
