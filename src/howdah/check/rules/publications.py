"""Publications that stop their own tables, or lose rows on the way.

Owns the rules on what is published and what names the old row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.identity import changed, replica_identity, unique_keys
from howdah.check.knowledge.parsing import expression, string_of, walk
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
from howdah.snapshot.facts.catalog import Publication, Relation
from howdah.snapshot.picture import Picture

_FULL_PAGES = 128  # 1 MB: below it a subscriber reads the whole table without noticing
_LETTERS = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL", "i": "DEFAULT"}  # an 'i' without index


def _published(picture: Picture) -> dict[int, list[Publication]]:
    """Publications by the tables that hold the rows: a root published as such, by its leaves."""
    found: dict[int, list[Publication]] = defaultdict(list)
    for row in picture.snapshot.publications.rows:
        relation = picture.relations.get(row.relation)
        if relation is not None:
            holders = picture.leaves(row.relation) if relation.kind == "p" else (row.relation,)
            for holder in holders:
                found[holder].append(row)
    return found


def _names(rows: Iterable[Publication]) -> list[str]:
    return sorted({row.name for row in rows})


# --- no replica identity --------------------------------------------------------------------------


@rule(
    id="published-without-identity",
    title="Published table without a replica identity",
    severity=Severity.CRITICAL,
    objects="published tables",
    needs=("publications", "relations", "indexes", "columns", "inheritance"),
    what="A table, or one partition of a table, that is published for updates or deletes and has "
    "no usable replica identity.",
    why="The server refuses every UPDATE and DELETE of it. One such partition also stops an update "
    "through the parent, even for a row that lives in another partition.",
    wrong_when="A table that never sees an update or a delete is not hurt yet; the first fails.",
    source="PostgreSQL documentation, 'Publication', and a measurement with one partition lacking",
)
def published_without_identity(picture: Picture, _: Answers) -> Examination:
    """Published tables whose old rows nothing names, grouped under the topmost parent."""
    tables = {
        oid: rows
        for oid, rows in _published(picture).items()
        if any(row.publishes_updates or row.publishes_deletes for row in rows)
        and picture.relations[oid].kind == "r"
    }
    lacking: dict[int, list[Relation]] = defaultdict(list)
    seen = [oid for oid in tables if not picture.relations[oid].is_locked]
    for oid in seen:
        if replica_identity(picture, picture.relations[oid]) is None:
            lacking[picture.root(oid)].append(picture.relations[oid])
    of = len(tables)
    insert_only = picture.snapshot.publications.rows and not of
    return Examination(
        examined=len(seen),
        of=of,
        unknown="the indexes of the others are behind somebody's ACCESS EXCLUSIVE lock",
        not_applicable="no table is published for updates or deletes" if insert_only else "",
        findings=tuple(_lacking(picture, root, rows, tables) for root, rows in lacking.items()),
    )


def _lacking(
    picture: Picture, root: int, rows: list[Relation], tables: dict[int, list[Publication]]
) -> Finding:
    title = picture.relation_name(root)
    first = picture.relation_name(rows[0].oid)
    parts = f"{len(rows)} of its partitions" if len(rows) > 1 else first
    who = (
        f"{title} is published, but {parts}" if rows[0].oid != root else f"{title} is published and"
    )
    return Finding(
        rule="published-without-identity",
        object=title,
        severity=Severity.CRITICAL,
        claim=f"{who} has no usable replica identity: its updates and deletes fail.",
        evidence=tuple(
            {
                "table": picture.relation_name(row.oid),
                "replica_identity": row.replica_identity,
                "publications": _names(tables[row.oid]),
                "updates_and_deletes_in_window": changed(picture, row.oid),
                "keys_that_could_serve": [k.name for k in unique_keys(picture, row.oid)],
            }
            for row in rows
        ),
        confidence=Confidence.PROVEN,
        refuted_by="an UPDATE of the table that the server accepts",
        cost_if_wrong="a larger WAL for updates and deletes, with REPLICA IDENTITY FULL",
        harm=harm.outage(1.0, share=min(1.0, 0.1 + changed(picture, root) / 1e6)),
        remedies=(_identify(picture, title, rows),),
        window=picture.window,
    )


def _identify(picture: Picture, title: str, rows: list[Relation]) -> Remedy:
    """The best key of each table as its identity, or the whole row where there is none."""
    forward: list[str] = []
    back: list[str] = []
    for row in rows:
        keys = sorted(unique_keys(picture, row.oid), key=lambda index: index.key_count)
        chosen = composed("USING INDEX {i}", i=keys[0].name) if keys else "FULL"
        change = "ALTER TABLE {t} REPLICA IDENTITY {c}"
        table = (row.schema, row.name)
        forward.append(composed(change, t=table, c=raw(chosen)))
        back.append(composed(change, t=table, c=raw(_LETTERS[row.replica_identity])))
    return remedies.statements(
        "set-replica-identity",
        {"table": title},
        forward,
        inverse=back,
        retry_safe=("SET lock_timeout = '2s'", *forward),
        shape=Shape(rows={picture.relation_name(row.oid): 100 for row in rows}),
        note="FULL works at once and writes every old row into the WAL; a primary key is better",
    )


# --- traps ----------------------------------------------------------------------------------------


@rule(
    id="publication-traps",
    title="Publication that loses rows or refuses them",
    severity=Severity.CRITICAL,
    objects="published tables",
    needs=("publications", "relations", "indexes", "columns", "inheritance"),
    what="A column list or a row filter that does not cover the replica identity; a partitioned "
    "table of which only some partitions are published; REPLICA IDENTITY FULL on a large table "
    "that is updated.",
    why="The first makes the server refuse updates and deletes. The second silently keeps rows "
    "from subscribers, beginning with the next partition. The third lets a subscriber read the "
    "whole table for each changed row.",
    wrong_when="Partitions may be published apart on purpose. A subscriber of 16 and later can use "
    "an index of its own for REPLICA IDENTITY FULL.",
    source="PostgreSQL documentation, 'Row Filters', 'Column Lists', 'Publication'",
)
def publication_traps(picture: Picture, _: Answers) -> Examination:
    """Traps by table; the worst one of each is reported."""
    rows = [row for row in picture.snapshot.publications.rows if row.relation in picture.relations]
    findings = (
        *(found for row in rows if (found := _uncovered(picture, row))),
        *_partial(picture, rows),
        *(found for oid in _published(picture) if (found := _full(picture, oid))),
    )
    worst: dict[str, Finding] = {}
    for found in findings:  # in the order of harm: refused, lost, slow
        worst.setdefault(found.object, found)
    of = len({row.relation for row in rows})
    return Examination(examined=of, of=of, findings=tuple(worst.values()))


def _uncovered(picture: Picture, row: Publication) -> Finding | None:
    relation = picture.relations[row.relation]
    if not (row.publishes_updates or row.publishes_deletes) or relation.kind != "r":
        return None
    identity = replica_identity(picture, relation)
    if not identity and relation.replica_identity != "f":
        return None  # without any identity: the other rule's
    filtered = _filtered_columns(picture, row)
    full = relation.replica_identity == "f"
    missing = set() if not row.columns else set(identity or ()) - set(row.columns)
    outside = set() if full else filtered - set(identity or ())
    if not (missing or outside or (full and row.columns)):
        return None
    what, where = ("row filter", outside) if outside and not missing else ("column list", missing)
    columns = ", ".join(picture.column_names(row.relation, sorted(where))) or "every column"
    reads = "reads columns outside" if what == "row filter" else "leaves out columns of"
    return _trap(
        picture,
        row.relation,
        Severity.CRITICAL,
        f"the {what} of publication {row.name} {reads} the replica identity ({columns}): "
        "updates and deletes fail.",
        {"publication": row.name, "columns": columns, "row_filter": row.row_filter},
        harm.outage(1.0, share=0.1),
    )


def _filtered_columns(picture: Picture, row: Publication) -> set[int]:
    """Columns that a row filter reads; empty without one."""
    tree = expression(row.row_filter) if row.row_filter else None
    names = {string_of(n.fields[-1]) for n in walk(tree) if type(n).__name__ == "ColumnRef"}
    columns = picture.columns.get(row.relation, {}).values()
    return {column.number for column in columns if column.name in names}


def _partial(picture: Picture, rows: list[Publication]) -> list[Finding]:
    """Partitioned tables of which a publication has some partitions only."""
    covered: dict[tuple[str, int], set[int]] = defaultdict(set)
    for row in rows:
        root = picture.root(row.relation)
        if root != row.relation:
            covered[row.name, root] |= {row.relation, *picture.leaves(row.relation)}
    found = []
    for (publication, root), leaves in covered.items():
        direct = any(row.name == publication and row.relation == root for row in rows)
        apart = [leaf for leaf in picture.leaves(root) if leaf not in leaves]
        if apart and not direct:
            names = [picture.relation_name(leaf) for leaf in apart]
            found.append(
                _trap(
                    picture,
                    root,
                    Severity.WARNING,
                    f"publication {publication} has only some of its partitions: "
                    f"{counted(len(apart), 'is', 'are')} not published, {names[0]} among them.",
                    {"publication": publication, "not_published": names},
                    harm.held(sum(picture.pages(leaf) for leaf in apart)),
                )
            )
    return found


def _full(picture: Picture, oid: int) -> Finding | None:
    relation, changes = picture.relations[oid], changed(picture, oid)
    pages = picture.pages(oid)
    if relation.replica_identity != "f" or not changes or pages < _FULL_PAGES:
        return None
    return _trap(
        picture,
        oid,
        Severity.NOTICE,
        f"REPLICA IDENTITY FULL: a subscriber without a fitting index reads {pages} pages for "
        f"each of its {changes} updates and deletes.",
        {"pages": pages, "updates_and_deletes_in_window": changes},
        harm.waste(pages, picture.per_hour(changes) or 0),
    )


def _trap(
    picture: Picture,
    oid: int,
    severity: Severity,
    claim: str,
    evidence: dict[str, object],
    harm_pages: float,
) -> Finding:
    title = picture.relation_name(oid)
    return Finding(
        rule="publication-traps",
        object=title,
        severity=severity,
        claim=f"{title}: {claim}",
        evidence=({"table": title, **evidence},),
        confidence=Confidence.PROVEN,
        refuted_by="an UPDATE that the server accepts and the subscriber receives",
        cost_if_wrong="a publication that sends more than it must",
        harm=harm_pages,
        remedies=(
            remedies.manual(
                "change-publication",
                {"table": title},
                (),
                "publish the whole partitioned table, cover the replica identity by the list and "
                "the filter, or give the table a key; what a subscriber should get is for its "
                "owner to say",
            ),
        ),
        window=picture.window,
    )
