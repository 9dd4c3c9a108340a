"""Statements that fetch their rows from another server.

Owns the rule on foreign tables in statements that take much of the time.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import duration, percent
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.parsing import Resolver
from howdah.check.knowledge.texts import relations_named, statement_name
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, rule
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture

_SHARE = 0.05  # of all statements' time: the twentieth that is worth a look
_MEAN_MILLISECONDS = 10.0  # a statement that is only called often is not slow because of this
_PAGES_PER_SECOND = 131_072  # 1 GB/s, the price of an outage in howdah.check.harm


@rule(
    id="foreign-table-in-hot-query",
    title="Foreign table in a hot statement",
    severity=Severity.WARNING,
    objects="statements with 5 % of the time or more",
    needs=("relations", "foreign_tables"),
    what="A statement that takes at least 5 % of all statements' time and 10 ms a call, and names "
    "a foreign table, or a partitioned table with a foreign partition.",
    why="Every call waits for the network and the other server, joins fetch what could have been "
    "filtered there, and an outage there becomes an outage here.",
    wrong_when="A foreign table behind a view is not seen. Fresh remote data may be exactly what "
    "the statement needs. A time share does not say how much of it was remote.",
    source="PostgreSQL documentation, postgres_fdw, 'Remote Query Optimization'",
)
def foreign_table_in_hot_query(picture: Picture, _: Answers) -> Examination:
    """Statements by their share of the time, and the foreign tables that they name."""
    foreign = {row.relation: row for row in picture.snapshot.foreign_tables.rows}
    if not foreign:
        return Examination(not_applicable="there are no foreign tables")
    if not picture.snapshot.statements.known:
        return Examination(of=1, unknown=f"statements: {picture.snapshot.statements.reason}")
    statements = picture.snapshot.statements.rows
    total = sum(each.total_milliseconds for each in statements)
    hot = [each for each in statements if total and each.total_milliseconds >= _SHARE * total]
    resolver = Resolver(picture)
    findings: list[Finding] = []
    unread = 0
    for statement in hot:
        named = relations_named(statement.text, resolver)
        if named is None:
            unread += 1
            continue
        remote = _remote(picture, named, set(foreign))
        if remote and statement.total_milliseconds / max(1, statement.calls) >= _MEAN_MILLISECONDS:
            findings.append(_hot(picture, statement, remote, statement.total_milliseconds / total))
    return Examination(
        examined=len(hot) - unread,
        of=len(hot),
        unknown=f"{unread} normalised texts do not parse" if unread else "",
        findings=tuple(findings),
    )


def _remote(picture: Picture, named: tuple[Relation, ...], foreign: set[int]) -> list[Relation]:
    reached = (oid for row in named for oid in (row.oid, *picture.leaves(row.oid)))
    return [picture.relations[oid] for oid in dict.fromkeys(reached) if oid in foreign]


def _hot(picture: Picture, statement: Statement, remote: list[Relation], share: float) -> Finding:
    tables = [picture.relation_name(row.oid) for row in remote]
    servers = {row.relation: row for row in picture.snapshot.foreign_tables.rows}
    mean = statement.total_milliseconds / max(1, statement.calls)
    seconds = picture.per_hour(statement.total_milliseconds / 1000)
    view = composed("{v}", v=f"{remote[0].name[:55]}_local")
    select = "CREATE MATERIALIZED VIEW {v} AS SELECT * FROM {t}"
    table = (remote[0].schema, remote[0].name)
    return Finding(
        rule="foreign-table-in-hot-query",
        object=statement_name(statement.text),
        severity=Severity.WARNING,
        claim=f"A statement with {percent(share)} of all statements' time reads "
        f"{', '.join(tables)} from another server, {duration(mean / 1000)} a call.",
        evidence=(
            {
                "statement": statement.text,
                "calls": statement.calls,
                "share_of_time": round(share, 3),
                "mean_milliseconds": round(mean, 1),
                "foreign_tables": tables,
                "servers": sorted({servers[row.oid].server for row in remote}),
                "wrappers": sorted({servers[row.oid].wrapper for row in remote}),
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="EXPLAIN (ANALYZE, VERBOSE): little time in its Foreign Scan nodes",
        cost_if_wrong="a local copy that is refreshed for nobody",
        harm=harm.waste(_PAGES_PER_SECOND, seconds or 0.0),
        remedies=(
            remedies.manual(
                "mirror-foreign-table",
                {"tables": ", ".join(tables)},
                (composed(select, v=raw(view), t=table),),
                "a materialised view with a UNIQUE index, refreshed CONCURRENTLY, serves data that "
                "may be minutes old; how old is for its readers to say. ANALYZE the foreign table "
                "and set use_remote_estimate where it must stay",
            ),
        ),
        window=picture.window,
    )
