"""The picture itself: every fact of the plan, asked inside one transaction, as values afterwards.

Owns the choice of block and parameters per fact, the counting of what is left out, and the status
each fact ends with. Must never turn a failed question into an empty answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from howdah.clock import Clock
from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.counters import CounterSample
from howdah.snapshot.model import Server, fact_types
from howdah.snapshot.options import Options
from howdah.snapshot.plan import CATALOG, COUNTERS, GAP_REASONS, PARTS, Gap, Part
from howdah.snapshot.rows import made
from howdah.snapshot.session import (
    SERVER,
    Answer,
    Reading,
    marked,
    own_path,
    picture_transaction,
    pin,
)

LOCK_ROWS = 5000
"""Locks kept at most; those that somebody waits for come first."""

Progress = Callable[[str], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One fact's answer, and how many of its rows exist but could not be read."""

    answer: Answer
    gap: Gap = Gap.NONE
    left_out: int = 0
    note: str = ""


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What the picture's transaction brought."""

    server: Server
    taken_at: datetime
    seconds: float
    resets: Mapping[str, datetime | None] | None
    first_sample: Fact[CounterSample]
    facts: dict[str, Fact[Any]]
    extension_schemas: Mapping[str, str]


def gather(
    connection: psycopg.Connection, *, options: Options, clock: Clock, progress: Progress
) -> Gathered:
    """Read every fact of the plan at one moment; no transaction is open when this returns.

    Where the deadline comes before the last fact, the rest is read in transactions of their own,
    each under the same deadline: such a fact says how much younger than the picture it is.
    """
    major = connection.info.server_version // 10000
    began = clock.monotonic()
    with picture_transaction(connection, major=major, options=options, clock=clock) as reading:
        path = own_path(connection)
        pin(connection, major)
        server, taken_at = _server(connection, path)
        questions = _Questions(reading, server, options)
        sample = reading.ask(COUNTERS.text("counter_sample", major), {})
        resets = reading.ask(SERVER.text("resets"), {})
        asked = _ask(questions, PARTS, progress)
    seconds = reading.seconds
    while late := _late(asked, questions):
        after = clock.monotonic() - began
        with picture_transaction(connection, major=major, options=options, clock=clock) as again:
            pin(connection, major)
            questions.reading = again
            answers = _ask(questions, late, progress)
        seconds = max(seconds, again.seconds)
        asked |= {fact: _younger(answer, after) for fact, answer in answers.items()}
    progress("making rows")
    return Gathered(
        server=server,
        taken_at=taken_at,
        seconds=seconds,
        resets=_named_row(resets),
        first_sample=_fact(Asked(answer=sample), CounterSample),
        facts=_facts(asked),
        extension_schemas=questions.extension_schemas,
    )


def _ask(questions: _Questions, parts: tuple[Part, ...], progress: Progress) -> dict[str, Asked]:
    """Ask for parts in order until the deadline; always for the first one."""
    asked: dict[str, Asked] = {}
    questions.reading.refresh_locked()
    for part in parts:
        if asked and questions.reading.is_late:
            break
        progress(part.fact)
        questions.fresh = not asked
        asked[part.fact] = questions.about(part)
    return asked


def _late(asked: dict[str, Asked], questions: _Questions) -> tuple[Part, ...]:
    """The parts to ask in another transaction: not reached, or cut off by the deadline.

    What timed out although the whole time was its own is not asked a second time.
    """
    return tuple(
        part
        for part in PARTS
        if part.fact not in asked
        or (asked[part.fact].answer.status is Status.TIMEOUT and part.fact not in questions.tried)
    )


def _younger(asked: Asked, seconds: float) -> Asked:
    note = f"read {seconds:.1f} s after the picture began, in a transaction of its own"
    return msgspec.structs.replace(asked, note=f"{asked.note}; {note}" if asked.note else note)


class _Questions:
    """The questions of one picture: each part's block, parameters and conditions."""

    def __init__(self, reading: Reading, server: Server, options: Options) -> None:
        self.reading = reading
        self.server = server
        self.options = options
        self.extension_schemas: dict[str, str] = {}
        self.tried: set[str] = set()  # facts that had a transaction's whole time
        self.fresh = False
        self._fed: dict[str, list[int]] = {"fed_relations": [], "fed_columns": [], "fed_values": []}

    def about(self, part: Part) -> Asked:
        """Ask for one part, and for what is missing from it."""
        if self.fresh:
            self.tried.add(part.fact)
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


def _server(connection: psycopg.Connection, path: tuple[str, ...]) -> tuple[Server, datetime]:
    cursor = connection.execute(marked(SERVER.text("server")))
    names = [column.name for column in cursor.description or ()]
    values = dict(zip(names, cursor.fetchone() or (), strict=True))
    taken_at: datetime = values.pop("taken_at")
    return msgspec.convert({**values, "search_path": path}, Server), taken_at


def _named_row(answer: Answer) -> dict[str, Any] | None:
    if answer.cursor is None:
        return None
    names = [column.name for column in answer.cursor.description or ()]
    return dict(zip(names, answer.cursor.fetchone() or (), strict=True))


def _facts(asked: dict[str, Asked]) -> dict[str, Fact[Any]]:
    """Values of every fact; each answer is let go of as soon as it is read."""
    kinds = fact_types()
    facts = {}
    for name in list(asked):
        facts[name] = _fact(asked.pop(name), kinds[name])
    return facts


def _fact(asked: Asked, kind: type[Any]) -> Fact[Any]:
    answer = asked.answer
    if answer.cursor is None:
        return Fact(status=answer.status, reason=answer.reason, seconds=answer.seconds)
    rows = made(answer.cursor, kind)
    reason = asked.note
    if asked.left_out:
        reason = f"{asked.left_out} left out: {GAP_REASONS[asked.gap]}"
    return Fact(
        status=_status(bool(rows), asked),
        rows=rows,
        reason=reason,
        left_out=asked.left_out,
        seconds=answer.seconds,
    )


def _status(there_are_rows: bool, asked: Asked) -> Status:
    if there_are_rows:
        return Status.PRESENT
    if asked.left_out:  # rows exist, and we saw none of them
        return Status.LOCKED if asked.gap is Gap.LOCK else Status.DENIED
    return Status.EMPTY
