"""Rules on the future of partitions, on hand-made pictures. It is noon of 15 January 2026."""

from __future__ import annotations

import itertools

from howdah.check.model import Kind, Severity
from howdah.check.rules.partitions import default_partition_filling, no_future_partition
from howdah.snapshot.facts.catalog import Column, Inheritance, Partitioning, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict

PARENT = row(Relation, oid=1, schema="public", name="events", kind="p")
COLUMN = row(Column, relation=1, number=1, name="at", type="timestamptz", base_type="timestamptz")
HELD = 9  # oid of the default partition


def monthly(first: int, last: int, *, year: int = 2026) -> list[str]:
    months = [(year + (m - 1) // 12, (m - 1) % 12 + 1) for m in range(first, last + 2)]
    starts = [f"{y:04}-{m:02}-01 00:00:00+00" for y, m in months]
    return [f"FOR VALUES FROM ('{a}') TO ('{b}')" for a, b in itertools.pairwise(starts)]


def seen(
    bounds: list[str],
    *,
    default_rows: int | None = None,
    inserted: int = 10,
    strategy: str = "r",
    column: Column = COLUMN,
) -> Picture:
    leaves = dict(enumerate(bounds, 100))
    if default_rows is not None:
        leaves[HELD] = "DEFAULT"
    rows = {oid: float(default_rows or 0) if oid == HELD else 5.0 for oid in leaves}
    default = HELD if default_rows is not None else None
    return picture(
        relations=[
            PARENT,
            *(
                row(
                    Relation,
                    oid=oid,
                    schema="public",
                    name=f"part_{oid}",
                    kind="r",
                    is_partition=True,
                    tuples=rows[oid],
                )
                for oid in leaves
            ),
        ],
        columns=[column],
        inheritance=[
            row(Inheritance, parent=1, child=oid, is_partition=True, bound=bound)
            for oid, bound in leaves.items()
        ],
        partitioning=[
            row(
                Partitioning,
                relation=1,
                strategy=strategy,
                key="RANGE (at)",
                columns=(1,),
                default_partition=default,
            )
        ],
        table_statistics=[
            row(TableStatistics, relation=oid, inserted=inserted, live=int(rows[oid]))
            for oid in leaves
        ],
    )


def test_a_table_with_partitions_ahead_is_fine() -> None:
    assert verdict(no_future_partition, seen(monthly(1, 3))).kind is Kind.OK


def test_a_table_in_its_last_partition_is_found() -> None:
    result = verdict(no_future_partition, seen(monthly(-3, 1)))
    assert objects(result) == {"public.events"}
    assert result.findings[0].severity is Severity.NOTICE  # 16 days are left
    assert result.findings[0].evidence[0]["hours_left"] == 16.5 * 24


def test_the_end_without_a_default_partition_is_critical() -> None:
    (bare,) = verdict(no_future_partition, seen(monthly(-3, 0))).findings
    (caught,) = verdict(no_future_partition, seen(monthly(-3, 0), default_rows=0)).findings
    assert (bare.severity, caught.severity) == (Severity.CRITICAL, Severity.WARNING)
    assert "fail" in bare.claim
    assert "default" in caught.claim


def test_an_archive_is_left_alone() -> None:
    assert verdict(no_future_partition, seen(monthly(1, 12, year=2020), inserted=0)).kind is Kind.OK


def test_an_unbounded_partition_never_ends() -> None:
    bounds = [*monthly(-3, 0), "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO (MAXVALUE)"]
    assert verdict(no_future_partition, seen(bounds)).kind is Kind.OK


def test_yearly_partitions_are_fine_in_january() -> None:
    bounds = [
        f"FOR VALUES FROM ('{y}-01-01 00:00:00+00') TO ('{y + 1}-01-01 00:00:00+00')"
        for y in (2024, 2025, 2026)
    ]
    assert verdict(no_future_partition, seen(bounds)).kind is Kind.OK


def test_bounds_in_another_date_style_are_unknown() -> None:
    bounds = ["FOR VALUES FROM ('01/01/2026') TO ('02/01/2026')"]
    assert verdict(no_future_partition, seen(bounds)).kind is Kind.UNKNOWN


def test_ranges_of_numbers_are_not_by_time() -> None:
    number = row(Column, relation=1, number=1, name="id", type="bigint", base_type="int8")
    bounds = ["FOR VALUES FROM ('1') TO ('1000')"]
    assert verdict(no_future_partition, seen(bounds, column=number)).kind is Kind.NOT_APPLICABLE


def test_the_remedy_makes_partitions_of_whole_months_up_to_the_future() -> None:
    (finding,) = verdict(no_future_partition, seen(monthly(-4, -1))).findings
    (remedy,) = finding.remedies
    assert not remedy.manual
    assert next(s for s in remedy.sql if "ATTACH" in s) == (
        'ALTER TABLE "public"."events" ATTACH PARTITION "public"."events_20251201" '
        "FOR VALUES FROM ('2025-12-01 00:00:00+00:00') TO ('2026-01-01 00:00:00+00:00')"
    )
    assert len([s for s in remedy.sql if "ATTACH" in s]) == 3
    assert all("DROP" not in statement for statement in (*remedy.inverse, *remedy.retry_safe))


def test_rows_in_the_default_partition_make_it_a_persons_decision() -> None:
    (finding,) = verdict(no_future_partition, seen(monthly(-3, 0), default_rows=7)).findings
    assert finding.remedies[0].manual


def test_rows_in_the_default_partition_are_found() -> None:
    result = verdict(default_partition_filling, seen(monthly(1, 2), default_rows=7))
    assert objects(result) == {"public.events"}
    assert result.findings[0].evidence[0]["rows"] == 7
    assert result.findings[0].severity is Severity.WARNING


def test_a_list_may_keep_the_rest_in_its_default_partition() -> None:
    view = seen(["FOR VALUES IN ('a')"], default_rows=7, strategy="l")
    assert verdict(default_partition_filling, view).findings[0].severity is Severity.NOTICE


def test_an_empty_default_partition_is_fine() -> None:
    assert verdict(default_partition_filling, seen(monthly(1, 2), default_rows=0)).kind is Kind.OK


def test_without_default_partitions_there_is_nothing_to_examine() -> None:
    assert verdict(default_partition_filling, seen(monthly(1, 2))).kind is Kind.NOT_APPLICABLE


def test_a_year_full_of_months_is_complete_and_a_tenant_without_heir_is_not() -> None:
    """Partitioned twice: under a year the months end with it, under a tenant they must go on."""
    for bound, kind in (
        ("FOR VALUES FROM ('2025-01-01') TO ('2026-02-01')", Kind.OK),
        ("FOR VALUES IN ('tenant')", Kind.FINDING),
    ):
        view = seen(monthly(-3, 1))
        top = row(Relation, oid=2, schema="public", name="top", kind="p")
        view = picture(
            relations=[top, *view.snapshot.relations.rows],
            columns=[COLUMN],
            inheritance=[
                row(Inheritance, parent=2, child=1, is_partition=True, bound=bound),
                *view.snapshot.inheritance.rows,
            ],
            partitioning=[
                row(Partitioning, relation=2, strategy="l", columns=(2,)),
                *view.snapshot.partitioning.rows,
            ],
            table_statistics=list(view.snapshot.table_statistics.rows),
        )
        result = verdict(no_future_partition, view)
        assert result.kind is kind
        if result.findings:
            assert objects(result) == {"public.top"}
