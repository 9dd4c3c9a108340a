"""Questions to a real planner, on a sandbox: no rows needed.

Owns asking: generic plans, disabled sequential scans, one index at a time. Must never guess: what
the planner cannot be asked is *unanswerable*, with its SQLSTATE, and never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from howdah import query
from howdah.sandbox import plan as plans
from howdah.sandbox.plan import PlanNode
from howdah.sandbox.probe import read_in_full
from howdah.sandbox.sandbox import Sandbox, sandboxed
from howdah.sandbox.script import split
from howdah.sandbox.serving import Index, Judgement, Serving, judge

_QUERIES = query.load("howdah.sandbox", "sql/planner.sql")

_PARAMETER = re.compile(r"\$\d")


class Verdict(StrEnum):
    """What the planner says about a predicate."""

    SERVED = "served"
    NOT_SERVED = "not_served"
    UNANSWERABLE = "unanswerable"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an index serves a predicate, and which."""

    verdict: Verdict
    serving: tuple[Serving, ...] = ()
    reason: str = ""
    """Why it is not served, or why nobody can say."""
    sqlstate: str = ""
    planner: str = ""
    """Whose planner it was, such as `PostgreSQL 18.6, the database runs 16`."""
    plan: PlanNode | None = None

    @property
    def served(self) -> bool:
        """Whether an index serves it."""
        return self.verdict is Verdict.SERVED


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The generic plan of a statement, or why there is none."""

    root: PlanNode | None = None
    reason: str = ""
    sqlstate: str = ""
    planner: str = ""

    @property
    def answered(self) -> bool:
        """Whether there is a plan."""
        return self.root is not None


class Planner:
    """One session that asks. Use as a context manager; answers are for the sandbox as it is now."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._connection = sandbox.connect()

    def __enter__(self) -> Planner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def serves(
        self,
        table: str,
        predicate: str,
        parameter_types: Sequence[str] = (),
        *,
        index: str | None = None,
    ) -> Answer:
        """Whether a valid index of `table`, or `index` alone, serves `predicate`.

        `table` and `index` are written as SQL needs them, with their schema. `predicate` uses $1,
        $2, ... for values of `parameter_types`; without types the planner infers them. Served means
        that every scan of the table, or of each of its partitions, enters an index by its leading
        key, for any value.
        """
        try:
            with sandboxed(self._connection) as connection:
                return _Question(connection, self._sandbox, table, predicate, parameter_types).ask(
                    index
                )
        except psycopg.Error as error:
            return self._unanswerable(table, error)

    def plan(self, statement: str, *, seqscan: bool = False) -> Plan:
        """The generic plan of a normalised statement with $n parameters.

        Sequential scans are disabled unless `seqscan`: on a sandbox without rows they would always
        win.
        """
        parts = split(statement)
        planner = self._sandbox.fidelity
        if len(parts) != 1:
            return Plan(reason=f"{len(parts)} statements instead of one", planner=planner)
        try:
            with sandboxed(self._connection) as connection:
                text = sql.SQL(parts[0].text)
                configure(connection, seqscan=seqscan, pruning=True)
                root = generic_plan(connection, text, ())
                if any(node.subplans_removed for node in root.walk()):
                    configure(connection, seqscan=seqscan, pruning=False)
                    root = generic_plan(connection, text, ())
                return Plan(root=root, planner=planner)
        except psycopg.Error as error:
            return Plan(reason=_said(error), sqlstate=error.sqlstate or "", planner=planner)

    def _unanswerable(self, table: str, error: psycopg.Error) -> Answer:
        rebuilt = self._sandbox.rebuilt
        missing = rebuilt.why_missing(table) if rebuilt else None
        return Answer(
            verdict=Verdict.UNANSWERABLE,
            reason=missing or _said(error),
            sqlstate=error.sqlstate or "",
            planner=self._sandbox.fidelity,
        )


class _Question:
    """One predicate on one table."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        sandbox: Sandbox,
        table: str,
        predicate: str,
        types: Sequence[str],
    ) -> None:
        self._connection = connection
        self._planner = sandbox.fidelity
        self._table = table
        self._types = types
        self._for_any_value = _PARAMETER.search(predicate) is not None
        self._statement = sql.SQL(_QUERIES.text("predicate")).format(
            table=sql.SQL(table), predicate=sql.SQL(predicate)
        )
        parameters = {"table": table}
        with connection.cursor(row_factory=scalar_row) as cursor:
            self._family = cursor.execute(_QUERIES.text("family"), parameters).fetchall()
        with connection.cursor(row_factory=class_row(Index)) as cursor:
            self._indexes = cursor.execute(_QUERIES.text("indexes"), parameters).fetchall()
        configure(connection, seqscan=False, pruning=False)

    def ask(self, index: str | None) -> Answer:
        roots = list(dict.fromkeys(each.root for each in self._indexes))
        if index is not None:
            return self._alone(index) if index in roots else self._no_such(index)
        first = self._plan()
        judgement = self._doubted(self._judge(first))
        # The cheapest plan need not be the one that serves: ask each index when others are hidden.
        if not judgement.served and judgement.scans and len(roots) > 1:
            for root in roots:
                answer = self._alone(root)
                if answer.served:
                    return answer
        return self._answer(judgement, first)

    def _alone(self, root: str) -> Answer:
        hidden = [each.oid for each in self._indexes if each.root != root]
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(_QUERIES.text("hide_indexes"), {"oids": hidden})
            found = self._plan()
            return self._answer(self._doubted(self._judge(found)), found)

    def _plan(self) -> PlanNode:
        return generic_plan(self._connection, self._statement, self._types)

    def _judge(self, root: PlanNode) -> Judgement:
        return judge(root, self._family, {each.name: each for each in self._indexes})

    def _doubted(self, judgement: Judgement) -> Judgement:
        """GIN takes any value as a condition, also one that no entry stands for: try it."""
        gin = {each.index for each in judgement.serving if each.method == "gin"}
        if not gin or self._for_any_value:
            return judgement
        with self._connection.transaction(force_rollback=True):
            hidden = [each.oid for each in self._indexes if each.root not in gin]
            self._connection.execute(_QUERIES.text("hide_indexes"), {"oids": hidden})
            whole = read_in_full(self._connection, self._table, self._statement)
        if not whole:
            return judgement
        against = f"{whole} would be read from end to end for this value"
        return Judgement(scans=judgement.scans, against=against)

    def _answer(self, judgement: Judgement, root: PlanNode) -> Answer:
        if not judgement.scans:
            return Answer(
                verdict=Verdict.UNANSWERABLE,
                reason="the plan reads no table: nothing can match, or there is no partition",
                planner=self._planner,
                plan=root,
            )
        return Answer(
            verdict=Verdict.SERVED if judgement.served else Verdict.NOT_SERVED,
            serving=judgement.serving if judgement.served else (),
            reason=judgement.against,
            planner=self._planner,
            plan=root,
        )

    def _no_such(self, index: str) -> Answer:
        return Answer(
            verdict=Verdict.NOT_SERVED,
            reason=f"{index} is not a valid index of the table",
            planner=self._planner,
        )


def configure(connection: psycopg.Connection[Any], *, seqscan: bool, pruning: bool) -> None:
    """Settings of this transaction. Pruning would use the NULLs that stand for the parameters."""
    switches = {"seqscan": _switch(seqscan), "pruning": _switch(pruning)}
    connection.execute(_QUERIES.text("settings"), switches)


def generic_plan(
    connection: psycopg.Connection[Any], statement: sql.Composable, types: Sequence[str]
) -> PlanNode:
    """Prepare, explain for any value, and forget. EXPLAIN (GENERIC_PLAN) is 16's; this is 14's."""
    listed = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.SQL, types)))
    prepare = sql.SQL(_QUERIES.text("prepare")).format(
        types=listed if types else sql.SQL(""), statement=statement
    )
    connection.execute(prepare)
    with connection.cursor(row_factory=scalar_row) as cursor:
        count = int(cursor.execute(_QUERIES.text("parameters")).fetchone() or 0)
        nulls = sql.SQL("({})").format(sql.SQL(", ").join([sql.NULL] * count))
        explain = sql.SQL(_QUERIES.text("explain")).format(values=nulls if count else sql.SQL(""))
        explained: Any = cursor.execute(explain).fetchone()
    connection.execute(_QUERIES.text("deallocate"))
    return plans.parse(explained[0])


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _said(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip()
