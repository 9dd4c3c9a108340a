"""Rules on keys that run out, on hand-made pictures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from howdah.check.model import Kind, Severity
from howdah.check.rules.sequences import int4_key_growth, reach, sequence_exhaustion
from howdah.snapshot.facts.catalog import Column, ColumnStatistics, Index, Relation, Sequence
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict

INT4, INT8 = 2**31 - 1, 2**63 - 1
TABLE = row(Relation, oid=1, schema="public", name="t", kind="r", tuples=100.0)


def sequence(**given: object) -> Sequence:
    values: dict[str, object] = {
        "oid": 5,
        "schema": "public",
        "name": "t_id_seq",
        "data_type": "int8",
        "start": 1,
        "minimum": 1,
        "maximum": INT8,
        "increment": 1,
        "is_readable": True,
        "fed_relations": (1,),
        "fed_columns": (1,),
    }
    return row(Sequence, **(values | given))


def column(base: str) -> Column:
    return row(Column, relation=1, number=1, name="id", type=base, base_type=base, not_null=True)


def seen(
    of: Sequence, *, base: str = "int8", inserted: int = 0, hours: float | None = 168
) -> Picture:
    return picture(
        window_hours=hours,
        relations=[TABLE],
        columns=[column(base)],
        sequences=[of],
        table_statistics=[row(TableStatistics, relation=1, inserted=inserted)],
    )


def test_a_bigint_sequence_that_feeds_an_int4_column_ends_with_the_column() -> None:
    near = sequence(last_value=int(INT4 * 0.996))
    result = verdict(sequence_exhaustion, seen(near, base="int4"))
    assert objects(result) == {"public.t_id_seq"}
    (finding,) = result.findings
    assert finding.severity is Severity.CRITICAL
    assert "public.t.id" in finding.claim
    assert finding.remedies[0].manual


def test_an_integer_sequence_of_a_bigint_column_is_widened() -> None:
    near = sequence(data_type="int4", maximum=INT4, last_value=int(INT4 * 0.75))
    (finding,) = verdict(sequence_exhaustion, seen(near)).findings
    assert finding.severity is Severity.WARNING
    (remedy,) = finding.remedies
    assert remedy.sql == ('ALTER SEQUENCE "public"."t_id_seq" AS bigint NO MAXVALUE',)
    assert remedy.inverse == (f'ALTER SEQUENCE "public"."t_id_seq" AS integer MAXVALUE {INT4}',)
    assert remedy.shape.sequences == {"public.t_id_seq": int(INT4 * 0.75)}


def test_a_maximum_below_the_type_is_lifted() -> None:
    near = sequence(maximum=1000, last_value=900)
    (finding,) = verdict(sequence_exhaustion, seen(near)).findings
    assert finding.remedies[0].sql == ('ALTER SEQUENCE "public"."t_id_seq" NO MAXVALUE',)


def test_a_descending_sequence_ends_below() -> None:
    down = {"increment": -1, "minimum": -1000, "maximum": -1, "start": -1}
    assert verdict(sequence_exhaustion, seen(sequence(**down, last_value=-900))).findings
    assert verdict(sequence_exhaustion, seen(sequence(**down, last_value=-100))).kind is Kind.OK


def test_the_increment_counts() -> None:
    reached = reach(seen(sequence()), sequence(maximum=1000, increment=10, last_value=500))
    assert reached is not None
    assert reached.left == 50


def test_a_cycle_harms_only_a_unique_column() -> None:
    round_and_round = sequence(maximum=1000, last_value=990, cycles=True)
    view = seen(round_and_round)
    assert verdict(sequence_exhaustion, view).kind is Kind.OK
    key = row(
        Index,
        oid=9,
        relation=1,
        columns=(1,),
        key_count=1,
        is_unique=True,
        is_valid=True,
        is_immediate=True,
    )
    keyed = picture(
        relations=[TABLE], columns=[column("int8")], sequences=[round_and_round], indexes=[key]
    )
    assert objects(verdict(sequence_exhaustion, keyed)) == {"public.t_id_seq"}


def test_a_cycle_does_not_save_a_narrower_column() -> None:
    near = sequence(last_value=int(INT4 * 0.9), cycles=True)
    assert verdict(sequence_exhaustion, seen(near, base="int4")).kind is Kind.FINDING


def test_unused_is_examined_and_unreadable_is_not() -> None:
    assert verdict(sequence_exhaustion, seen(sequence(last_value=None))).kind is Kind.OK
    hidden = verdict(sequence_exhaustion, seen(sequence(last_value=None, is_readable=False)))
    assert hidden.kind is Kind.UNKNOWN
    assert "may not be read" in hidden.reason


def test_a_fast_sequence_is_found_by_the_time_it_has_left() -> None:
    fast = sequence(data_type="int4", maximum=INT4, last_value=INT4 // 2)
    per_week = INT4 // 8  # half of the range lasts four weeks
    view = seen(fast, inserted=per_week)
    assert verdict(sequence_exhaustion, view).findings[0].severity is Severity.WARNING
    assert verdict(sequence_exhaustion, seen(fast, inserted=per_week, hours=None)).kind is Kind.OK


@given(
    last=st.integers(1, INT4),
    increment=st.integers(1, 1000),
    base=st.sampled_from(["int4", "int8"]),
)
def test_shares_are_fractions_and_grow_with_the_position(
    last: int, increment: int, base: str
) -> None:
    of = sequence(data_type="int4", maximum=INT4, last_value=last, increment=increment)
    found = reach(seen(of, base=base), of)
    assert found is not None
    assert 0 <= found.share <= 1
    assert found.left == (INT4 - last) // increment


# --- keys without a sequence ----------------------------------------------------------------------

KEY = row(
    Index,
    oid=9,
    relation=1,
    columns=(1,),
    key_count=1,
    is_unique=True,
    is_valid=True,
    is_immediate=True,
)


def keyed(*, bound: str | None, inserted: int = 0, hours: float = 168) -> Picture:
    return picture(
        window_hours=hours,
        relations=[TABLE],
        columns=[column("int4")],
        indexes=[KEY],
        column_statistics=[row(ColumnStatistics, relation=1, column=1, last_bound=bound)],
        table_statistics=[row(TableStatistics, relation=1, inserted=inserted)],
    )


def test_a_key_of_the_application_near_its_limit_is_found() -> None:
    assert objects(verdict(int4_key_growth, keyed(bound="2000000000"))) == {"public.t.id"}


def test_a_key_far_from_its_limit_is_fine() -> None:
    assert verdict(int4_key_growth, keyed(bound="1000", inserted=10)).kind is Kind.OK


def test_a_growing_key_whose_values_were_not_collected_is_unknown() -> None:
    assert verdict(int4_key_growth, keyed(bound=None, inserted=10)).kind is Kind.UNKNOWN


def test_a_lookup_table_that_does_not_grow_is_fine() -> None:
    assert verdict(int4_key_growth, keyed(bound=None)).kind is Kind.OK
    brief = verdict(int4_key_growth, keyed(bound=None, hours=1))  # an hour shows nothing
    assert brief.kind is Kind.UNKNOWN
