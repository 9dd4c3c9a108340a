"""MultiXact members, and the foreign keys that make them.

Owns the rules on the member space, which can run out long before the MultiXact ids do, and on the
parent tables whose rows many transactions lock at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge import pace
from howdah.check.knowledge.amounts import counted, duration
from howdah.check.knowledge.autovacuum import MEMBER_SAFE
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Constraint, Relation
from howdah.snapshot.facts.measured import MultixactSample
from howdah.snapshot.picture import Picture

WARNING_SHARE = 0.25  # of the member space of 2^32
CRITICAL_SHARE = 0.50  # where autovacuum begins to hurry
RACE_HOURS = 72.0  # a smaller share is reported only if a weekend fills the space ...
RACE_SHARE = 0.01  # ... and so many are there already: a burst of seconds is not a race
YEAR_HOURS = 24 * 365.0  # makers of MultiXacts are a warning if the space lasts no longer
OLDEST_TABLES = 5  # tables named as remedy

WORTH_MENTION = 10_000  # living MultiXacts below which nobody needs to look for their makers
PARENT_SHARE = 0.10  # of all expected row locks; a smaller share is not what makes the MultiXacts
ROWS_FEW = 10_000  # parents with more rows seldom have one locked twice at once


@rule(
    id="multixact-members",
    title="MultiXact members run out",
    severity=Severity.CRITICAL,
    objects="member spaces",
    needs=("multixacts",),
    what="The share of the 2^32 MultiXact members that is in use: 25 % is a warning, 50 % is "
    "critical, and so is a growth that fills the rest within three days.",
    why="When the members run out, every row lock that needs a MultiXact fails: inserts into "
    "tables with foreign keys first. Ages do not show it, because one MultiXact may have dozens "
    "of members, and the failsafe does not look at members.",
    wrong_when="The number is an estimate from a sample; its standard error is in the evidence. "
    "The range that is sampled is as old as the last checkpoint.",
    source="PostgreSQL documentation, Routine Vacuuming, 'Multixacts and Wraparound'; sampling "
    "measured on 14 and 18 against known truth, error below 1 %",
)
def multixact_members(picture: Picture, _: Answers) -> Examination:
    """Members in use against 2^32, with their growth."""
    sample = next(iter(picture.snapshot.multixacts.rows), None)
    if sample is None:
        return Examination(not_applicable="the server has no MultiXacts")
    if picture.major > 18:
        return Examination(not_applicable="since 19 the member space does not wrap around")
    rate = pace.members_per_hour(picture)
    hours = pace.hours_until(pace.MEMBER_SPACE - sample.members, rate)
    severity = severity_of(sample.members, hours)
    found = () if severity is None else (_members(picture, sample, severity, rate, hours),)
    return Examination(examined=1, of=1, findings=found)


def severity_of(members: float, hours_left: float | None) -> Severity | None:
    """How urgent so many living members are, None where they are no matter."""
    share = members / pace.MEMBER_SPACE
    if share >= CRITICAL_SHARE:
        return Severity.CRITICAL
    racing = hours_left is not None and hours_left < RACE_HOURS and share >= RACE_SHARE
    if share >= WARNING_SHARE:
        return Severity.CRITICAL if racing else Severity.WARNING
    return Severity.WARNING if racing else None


def _members(
    picture: Picture,
    sample: MultixactSample,
    severity: Severity,
    rate: float | None,
    hours: float | None,
) -> Finding:
    share = sample.members / pace.MEMBER_SPACE
    when = "" if hours is None else f"; at this rate the rest lasts {duration(hours * 3600)}"
    return Finding(
        rule="multixact-members",
        object="multixact members",
        severity=severity,
        claim=f"About {sample.members:,} of 4,294,967,296 MultiXact members are in use "
        f"({share:.0%}){when}.",
        evidence=(_evidence(picture, sample, rate, hours), *_oldest(picture)),
        confidence=Confidence.ESTIMATED,
        refuted_by="a second sample with a smaller estimate, or the size of pg_multixact/members "
        "(20 bytes for every 4 members)",
        cost_if_wrong="some tables frozen earlier than needed",
        harm=harm.outage(hours),
        remedies=tuple(
            remedies.vacuum(
                row.schema,
                row.name,
                freeze=True,
                note="members are freed when the oldest MultiXact of every database has moved on",
            )
            for row in _oldest_tables(picture)
        ),
        window=picture.window,
    )


def _evidence(
    picture: Picture, sample: MultixactSample, rate: float | None, hours: float | None
) -> dict[str, Any]:
    limit = picture.setting_number("autovacuum_multixact_freeze_max_age")
    forced = None if limit is None else round(limit * sample.members_per_multixact)
    return {
        "members": sample.members,
        "members_limit": pace.MEMBER_SPACE,
        "relative_standard_error": round(sample.standard_error, 4),
        "sampled_multixacts": sample.sampled,
        "multixacts": sample.count,
        "members_per_multixact": round(sample.members_per_multixact, 2),
        "members_per_hour": None if rate is None else round(rate),
        "hours_left": None if hours is None else round(hours, 1),
        "seconds_since_checkpoint": sample.seconds_since_checkpoint,
        "members_when_autovacuum_begins": None if forced is None else min(forced, MEMBER_SAFE),
    }


def _oldest_tables(picture: Picture) -> Sequence[Relation]:
    """The tables of this database that hold the oldest MultiXacts."""
    aged = [row for row in picture.snapshot.relations.rows if _mxid_age(row)]
    return sorted(aged, key=lambda row: (-_mxid_age(row), row.schema, row.name))[:OLDEST_TABLES]


def _mxid_age(row: Relation) -> int:
    return max(row.mxid_age or 0, row.toast_mxid_age or 0)


def _oldest(picture: Picture) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"table": f"{row.schema}.{row.name}", "mxid_age": _mxid_age(row)}
        for row in _oldest_tables(picture)
    )


# --- foreign keys ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A referenced table, and the row locks that its children's inserts take on it."""

    relation: Relation
    rows: float
    locks: int  # inserts into its children in the window: one FOR KEY SHARE each
    children: tuple[tuple[str, str, int], ...]  # foreign key, child, inserts

    @property
    def pressure(self) -> float:
        """Locks per row: what two transactions meet by."""
        return self.locks / max(1.0, self.rows)


@rule(
    id="multixact-foreign-keys",
    title="Foreign keys that make MultiXacts",
    severity=Severity.WARNING,
    objects="referenced tables",
    needs=("multixacts", "constraints", "relations", "table_statistics"),
    what="Small tables referenced by busy ones, where the server does make MultiXacts: each "
    "insert of a child locks its parent row, and locks that overlap become one MultiXact.",
    why="Ten sessions inserting children of one parent make a MultiXact per insert, each with up "
    "to ten members. Ids and members run out, and every reader of the row looks them up.",
    wrong_when="Inserts count, not their overlap in time: a single session inserting makes no "
    "MultiXact. SELECT FOR SHARE and savepoints make them too, without any foreign key.",
    source="Measured on 14 to 18: 8 sessions inserting children of one parent made one MultiXact "
    "per transaction, with 7 members each",
)
def multixact_foreign_keys(picture: Picture, _: Answers) -> Examination:
    """Referenced tables ranked by inserts of children per row, while MultiXacts are being made."""
    sample = next(iter(picture.snapshot.multixacts.rows), None)
    referenced = sorted({row.foreign_relation or 0 for row in _keys(picture)})
    parents = [found for oid in referenced if (found := _parent(picture, oid))]
    total = sum(parent.pressure for parent in parents)
    unused = sample is None or sample.count < WORTH_MENTION
    makers = [] if unused else [row for row in parents if _is_maker(row, total)]
    return Examination(
        examined=len(parents),
        of=len(referenced),
        unknown="the row counts or the counters of the others are not known",
        findings=tuple(_maker(picture, sample, row, total) for row in makers if sample),
    )


def _keys(picture: Picture) -> list[Constraint]:
    """Foreign keys as they were declared, those repeated for partitions left out."""
    return [
        row
        for row in picture.snapshot.constraints.rows
        if row.kind == "f" and row.foreign_relation and row.parent is None and row.is_enforced
    ]


def _parent(picture: Picture, oid: int) -> Parent | None:
    relation, rows = picture.relations.get(oid), picture.rows(oid)
    if relation is None or rows is None:
        return None
    keys = [row for row in _keys(picture) if row.foreign_relation == oid]
    children = [
        (row.name, picture.relation_name(row.relation), _inserts(picture, row.relation))
        for row in keys
    ]
    known = [(name, child, count) for name, child, count in children if count is not None]
    if len(known) < len(children):
        return None
    return Parent(
        relation=relation,
        rows=rows,
        locks=sum(count for _, _, count in known),
        children=tuple(sorted(known, key=lambda child: -child[2])),
    )


def _inserts(picture: Picture, child: int) -> int | None:
    """Rows inserted in the window; of a partitioned child, into all its leaves."""
    relation = picture.relations.get(child)
    members = picture.leaves(child) if relation and relation.kind == "p" else (child,)
    rows = [picture.table_statistics.get(member) for member in members]
    return None if None in rows else sum(row.inserted for row in rows if row)


def _is_maker(parent: Parent, total: float) -> bool:
    is_aged = _mxid_age(parent.relation) > 0 or parent.relation.kind == "p"
    few = parent.rows <= ROWS_FEW and parent.locks >= WORTH_MENTION
    return is_aged and few and parent.pressure >= PARENT_SHARE * total


def _maker(picture: Picture, sample: MultixactSample, parent: Parent, total: float) -> Finding:
    row, rate = parent.relation, pace.members_per_hour(picture)
    name = f"{row.schema}.{row.name}"
    hours = pace.hours_until(pace.MEMBER_SPACE - sample.members, rate)
    many = sample.members >= RACE_SHARE * pace.MEMBER_SPACE
    soon = many and hours is not None and hours < YEAR_HOURS
    share = parent.pressure / total if total else 0.0
    return Finding(
        rule="multixact-foreign-keys",
        object=name,
        severity=Severity.WARNING if soon else Severity.NOTICE,
        claim=f"{counted(parent.locks, 'insert')} of children locked the "
        f"{counted(parent.rows, 'row')} of {name}, {share:.0%} of the pressure in a database "
        f"that holds {sample.count:,} MultiXacts with "
        f"{sample.members_per_multixact:.1f} members each.",
        evidence=(
            {
                "table": name,
                "rows": parent.rows,
                "child_inserts": parent.locks,
                "inserts_per_row": round(parent.pressure, 1),
                "mxid_age": _mxid_age(row),
                "multixacts": sample.count,
                "mxids_per_hour": pace.mxids_per_hour(picture),
                "members_per_hour": rate,
            },
            *(
                {"foreign_key": key, "child": child, "inserts": inserts}
                for key, child, inserts in parent.children[:5]
            ),
        ),
        confidence=Confidence.ESTIMATED,
        refuted_by=f"pgrowlocks('{name}') in busy hours without any row where multi is true",
        cost_if_wrong="a foreign key dropped, or a concurrency lowered, for nothing",
        harm=harm.waste(1, (pace.mxids_per_hour(picture) or 0.0) * share),
        remedies=_lessen(parent),
        window=picture.window,
    )


def _lessen(parent: Parent) -> tuple[Remedy, ...]:
    row = parent.relation
    freeze = remedies.vacuum(
        row.schema,
        row.name,
        freeze=True,
        shape=Shape(rows={f"{row.schema}.{row.name}": min(20_000, round(parent.rows))}),
        note="frees what the parent holds; the foreign key goes on making new ones",
    )
    fewer = remedies.manual(
        "lower-concurrency",
        {"table": f"{row.schema}.{row.name}"},
        (),
        "let fewer sessions insert children of the same parent row at once (batches, backfills "
        "above all), or drop the foreign key of the busiest child and check it by a query",
    )
    return (fewer, freeze)
