"""Rules on publications, on hand-made pictures."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.publications import publication_traps, published_without_identity
from howdah.snapshot.facts.catalog import Column, Index, Inheritance, Publication, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict


def table(oid: int, name: str, *, identity: str = "d", **given: object) -> Relation:
    values = {"kind": "r", "schema": "public", "replica_identity": identity, "pages": 10}
    return row(Relation, oid=oid, name=name, **(values | given))


def published(relation: int, *, updates: bool = True, **given: object) -> Publication:
    values: dict[str, object] = {
        "name": "feed",
        "publishes_updates": updates,
        "publishes_deletes": updates,
    }
    return row(Publication, relation=relation, **(values | given))


def index(oid: int, relation: int, **given: object) -> Index:
    values: dict[str, object] = {
        "schema": "public",
        "name": f"i{oid}",
        "columns": (1,),
        "key_count": 1,
        "is_unique": True,
        "is_valid": True,
        "is_immediate": True,
    }
    return row(Index, oid=oid, relation=relation, **(values | given))


def columns(*relations: int) -> list[Column]:
    return [
        row(Column, relation=oid, number=number, name=name, not_null=True)
        for oid in relations
        for number, name in ((1, "id"), (2, "state"))
    ]


def lone(
    relation: Relation, *indexes: Index, publications: list[Publication] | None = None
) -> Picture:
    return picture(
        relations=[relation],
        columns=columns(relation.oid),
        indexes=list(indexes),
        publications=publications or [published(relation.oid)],
    )


def test_a_published_table_without_a_key_is_critical() -> None:
    result = verdict(published_without_identity, lone(table(1, "t")))
    assert objects(result) == {"public.t"}
    assert result.findings[0].severity is Severity.CRITICAL
    assert result.findings[0].remedies[0].sql == ('ALTER TABLE "public"."t" REPLICA IDENTITY FULL',)


def test_what_counts_as_an_identity() -> None:
    primary = index(2, 1, is_primary=True)
    chosen = index(2, 1, is_replica_identity=True)
    for relation, indexes in (
        (table(1, "t"), [primary]),
        (table(1, "t", identity="f"), []),
        (table(1, "t", identity="i"), [chosen]),
    ):
        assert verdict(published_without_identity, lone(relation, *indexes)).kind is Kind.OK


def test_what_does_not() -> None:
    for relation, indexes in (
        (table(1, "t", identity="n"), [index(2, 1, is_primary=True)]),
        (table(1, "t", identity="i"), [index(2, 1, is_primary=True)]),  # its index was dropped
        (table(1, "t"), [index(2, 1, is_primary=True, is_immediate=False)]),
        (table(1, "t"), [index(2, 1)]),  # unique, but not chosen
    ):
        result = verdict(published_without_identity, lone(relation, *indexes))
        assert objects(result) == {"public.t"}, relation


def test_a_unique_index_is_offered_before_the_whole_row() -> None:
    (finding,) = verdict(published_without_identity, lone(table(1, "t"), index(2, 1))).findings
    assert finding.remedies[0].sql == (
        'ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "i2"',
    )
    assert finding.remedies[0].inverse == ('ALTER TABLE "public"."t" REPLICA IDENTITY DEFAULT',)


def test_publishing_inserts_only_needs_no_identity() -> None:
    view = lone(table(1, "t"), publications=[published(1, updates=False)])
    assert verdict(published_without_identity, view).kind is Kind.NOT_APPLICABLE


def test_one_partition_without_identity_is_reported_at_the_parent() -> None:
    for via_root, rows in (
        (True, [published(1, via_root=True)]),
        (False, [published(2), published(3)]),
    ):
        view = picture(
            relations=[
                table(1, "parent", kind="p"),
                table(2, "a", is_partition=True),
                table(3, "b", is_partition=True),
            ],
            columns=columns(1, 2, 3),
            indexes=[index(9, 2, is_primary=True)],
            inheritance=[row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)],
            publications=rows,
        )
        result = verdict(published_without_identity, view)
        assert objects(result) == {"public.parent"}, via_root
        assert [each["table"] for each in result.findings[0].evidence] == ["public.b"]


def test_a_column_list_must_cover_the_identity() -> None:
    primary = index(2, 1, is_primary=True)
    missing = lone(table(1, "t"), primary, publications=[published(1, columns=(2,))])
    assert verdict(publication_traps, missing).findings[0].severity is Severity.CRITICAL
    covered = lone(table(1, "t"), primary, publications=[published(1, columns=(1, 2))])
    assert verdict(publication_traps, covered).kind is Kind.OK


def test_a_row_filter_must_stay_within_the_identity() -> None:
    primary = index(2, 1, is_primary=True)
    outside = published(1, row_filter="(state = 'new'::text)")
    inside = published(1, row_filter="(id > 5)")
    bad = verdict(publication_traps, lone(table(1, "t"), primary, publications=[outside]))
    assert "row filter" in bad.findings[0].claim
    fine = lone(table(1, "t"), primary, publications=[inside])
    assert verdict(publication_traps, fine).kind is Kind.OK
    inserts = published(1, updates=False, row_filter="(state = 'new'::text)")
    only = lone(table(1, "t"), primary, publications=[inserts])
    assert verdict(publication_traps, only).kind is Kind.OK


def test_partitions_left_out_of_a_publication_are_found() -> None:
    given = {
        "relations": [
            table(1, "parent", kind="p"),
            table(2, "a", is_partition=True),
            table(3, "b", is_partition=True),
        ],
        "columns": columns(1, 2, 3),
        "inheritance": [row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)],
    }
    some = picture(**given, publications=[published(2)])
    assert objects(verdict(publication_traps, some)) == {"public.parent"}
    every = picture(**given, publications=[published(2), published(3)])
    assert verdict(publication_traps, every).kind is Kind.OK


def test_full_identity_hurts_a_large_table_that_changes() -> None:
    counters = row(TableStatistics, relation=1, updated=1000)
    for pages, kind in ((10, Kind.OK), (10_000, Kind.FINDING)):
        view = picture(
            relations=[table(1, "t", identity="f", pages=pages)],
            columns=columns(1),
            publications=[published(1)],
            table_statistics=[counters],
        )
        assert verdict(publication_traps, view).kind is kind


def test_without_publications_nothing_applies() -> None:
    view = picture(relations=[table(1, "t")])
    assert verdict(published_without_identity, view).kind is Kind.NOT_APPLICABLE
    assert verdict(publication_traps, view).kind is Kind.NOT_APPLICABLE
