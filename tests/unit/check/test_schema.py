"""Rules on keys and unchecked constraints, on hand-made pictures."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.schema import no_primary_key, not_valid_constraint
from howdah.snapshot.facts.catalog import (
    Column,
    ColumnStatistics,
    Constraint,
    Index,
    Inheritance,
    Relation,
    Sequence,
)
from howdah.snapshot.facts.counters import TableStatistics
from tests.making import fact, objects, picture, row, verdict


def table(oid: int, name: str, *, kind: str = "r", partition: bool = False) -> Relation:
    return row(
        Relation,
        oid=oid,
        schema="public",
        name=name,
        kind=kind,
        is_partition=partition,
        tuples=100.0,
        replica_identity="d",
    )


def column(relation: int, number: int, name: str, base: str, *, not_null: bool = True) -> Column:
    return row(
        Column,
        relation=relation,
        number=number,
        name=name,
        type=base,
        base_type=base,
        not_null=not_null,
    )


def unique(oid: int, relation: int, *columns: int, primary: bool = False, **given: object) -> Index:
    values: dict[str, object] = {
        "name": f"i{oid}",
        "schema": "public",
        "columns": columns,
        "key_count": len(columns),
        "is_unique": True,
        "is_primary": primary,
        "is_valid": True,
        "is_immediate": True,
    }
    return row(Index, oid=oid, relation=relation, **(values | given))


def foreign(child: int, parent: int, **given: object) -> Constraint:
    values: dict[str, object] = {
        "kind": "f",
        "name": "fk",
        "columns": (1,),
        "foreign_columns": (1,),
        "foreign_relation": parent,
        "is_validated": True,
        "is_enforced": True,
    }
    return row(Constraint, oid=child * 100, relation=child, **(values | given))


# --- no primary key -------------------------------------------------------------------------------


def test_a_table_without_any_key_is_found() -> None:
    seen = picture(relations=[table(1, "log")], columns=[column(1, 1, "at", "timestamptz")])
    assert objects(verdict(no_primary_key, seen)) == {"public.log"}


def test_a_key_is_a_primary_key_or_a_full_unique_index_on_not_null_columns() -> None:
    for index in (unique(2, 1, 1, primary=True), unique(2, 1, 1)):
        seen = picture(
            relations=[table(1, "t")], columns=[column(1, 1, "id", "int8")], indexes=[index]
        )
        assert verdict(no_primary_key, seen).kind is Kind.OK


def test_partial_nullable_deferrable_or_invalid_unique_indexes_are_no_key() -> None:
    cases = (
        (unique(2, 1, 1, predicate="(id > 0)"), True),
        (unique(2, 1, 1), False),
        (unique(2, 1, 1, is_immediate=False), True),
        (unique(2, 1, 1, is_valid=False), True),
        (unique(2, 1, 0), True),
    )
    for index, not_null in cases:
        columns = [column(1, 1, "id", "int8", not_null=not_null)]
        seen = picture(relations=[table(1, "t")], columns=columns, indexes=[index])
        assert objects(verdict(no_primary_key, seen)) == {"public.t"}


def test_partitions_are_reported_once_at_their_parent() -> None:
    seen = picture(
        relations=[
            table(1, "parent", kind="p"),
            table(2, "leaf_a", partition=True),
            table(3, "leaf_b", partition=True),
        ],
        columns=[column(n, 1, "id", "int8") for n in (1, 2, 3)],
        inheritance=[row(Inheritance, parent=1, child=n, is_partition=True) for n in (2, 3)],
        indexes=[unique(9, 2, 1, primary=True)],
    )
    assert objects(verdict(no_primary_key, seen)) == {"public.parent"}


def test_keys_of_every_partition_identify_the_rows_of_the_parent() -> None:
    seen = picture(
        relations=[table(1, "parent", kind="p"), table(2, "leaf", partition=True)],
        columns=[column(n, 1, "id", "int8") for n in (1, 2)],
        inheritance=[row(Inheritance, parent=1, child=2, is_partition=True)],
        indexes=[unique(9, 2, 1, primary=True)],
    )
    assert verdict(no_primary_key, seen).kind is Kind.OK


def test_an_updated_table_is_a_warning_and_a_log_a_notice() -> None:
    counters = row(TableStatistics, relation=1, updated=5)
    seen = picture(
        relations=[table(1, "busy"), table(2, "log")],
        columns=[column(n, 1, "c", "text") for n in (1, 2)],
        table_statistics=[counters],
    )
    severities = {f.object: f.severity for f in verdict(no_primary_key, seen).findings}
    assert severities == {"public.busy": Severity.WARNING, "public.log": Severity.NOTICE}


def test_a_column_fed_by_a_sequence_is_offered_as_primary_key() -> None:
    feeding = row(Sequence, oid=5, fed_relations=(1,), fed_columns=(1,), increment=1)
    seen = picture(
        relations=[table(1, "t")], columns=[column(1, 1, "id", "int8")], sequences=[feeding]
    )
    (remedy,) = verdict(no_primary_key, seen).findings[0].remedies
    assert not remedy.manual
    assert remedy.sql == (
        'CREATE UNIQUE INDEX CONCURRENTLY "t_pkey" ON "public"."t" ("id")',
        'ALTER TABLE "public"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY USING INDEX "t_pkey"',
    )


def test_a_unique_column_without_nulls_is_offered_not_null() -> None:
    statistics = row(ColumnStatistics, relation=1, column=1, null_fraction=0.0)
    seen = picture(
        relations=[table(1, "t")],
        columns=[column(1, 1, "code", "text", not_null=False)],
        indexes=[unique(2, 1, 1)],
        column_statistics=[statistics],
    )
    (remedy,) = verdict(no_primary_key, seen).findings[0].remedies
    assert 'ALTER TABLE "public"."t" ALTER COLUMN "code" SET NOT NULL' in remedy.sql
    assert remedy.inverse == ('ALTER TABLE "public"."t" ALTER COLUMN "code" DROP NOT NULL',)


def test_without_any_candidate_a_person_decides() -> None:
    seen = picture(relations=[table(1, "t")], columns=[column(1, 1, "c", "text")])
    assert verdict(no_primary_key, seen).findings[0].remedies[0].manual


def test_indexes_that_were_not_read_make_no_finding() -> None:
    seen = picture(
        relations=[table(1, "t")],
        columns=[column(1, 1, "c", "text")],
        indexes=fact(left_out=1, reason="locked"),
    )
    assert verdict(no_primary_key, seen).kind is Kind.UNKNOWN


# --- unchecked constraints ------------------------------------------------------------------------


def check(**given: object) -> Constraint:
    values: dict[str, object] = {
        "kind": "c",
        "name": "positive",
        "is_validated": True,
        "is_enforced": True,
    }
    return row(Constraint, oid=7, relation=1, **(values | given))


def test_a_not_valid_constraint_is_validated() -> None:
    seen = picture(relations=[table(1, "t")], constraints=[check(is_validated=False)])
    result = verdict(not_valid_constraint, seen)
    assert objects(result) == {"public.t.positive"}
    (remedy,) = result.findings[0].remedies
    assert remedy.sql == ('ALTER TABLE "public"."t" VALIDATE CONSTRAINT "positive"',)


def test_a_constraint_that_is_not_enforced_is_never_to_be_validated() -> None:
    loose = check(is_validated=False, is_enforced=False)
    result = verdict(not_valid_constraint, picture(relations=[table(1, "t")], constraints=[loose]))
    assert result.findings[0].remedies == ()
    assert "NOT ENFORCED" in result.findings[0].claim


def test_copies_on_partitions_are_counted_once() -> None:
    seen = picture(
        relations=[table(1, "parent", kind="p"), table(2, "leaf", partition=True)],
        inheritance=[row(Inheritance, parent=1, child=2, is_partition=True)],
        constraints=[
            check(is_validated=False),
            row(Constraint, oid=8, relation=2, kind="c", name="positive", is_enforced=True),
        ],
    )
    result = verdict(not_valid_constraint, seen)
    assert objects(result) == {"public.parent.positive"}
    assert result.of == 1


def test_checked_constraints_are_fine() -> None:
    seen = picture(relations=[table(1, "t")], constraints=[check(), foreign(1, 1)])
    assert verdict(not_valid_constraint, seen).kind is Kind.OK
