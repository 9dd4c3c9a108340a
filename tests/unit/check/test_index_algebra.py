"""The algebra of redundancy: every attribute counts, covering is transitive, one twin stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.knowledge.index_algebra import are_twins, covers, duty, redundant
from howdah.snapshot.facts.catalog import Index
from tests.unit.check.indexing import index


def pair(mine: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]) -> bool:
    """Whether the first, as survivor, covers the second."""
    return covers(index(2, mine[0], **mine[1]), index(3, other[0], **other[1]))


UNIQUE: dict[str, Any] = {"is_unique": True}
COVERED = {
    "a twin": (("a", {}), ("a", {})),
    "a prefix": (("ab", {}), ("a", {})),
    "a prefix of a unique one": (("ab", UNIQUE), ("a", {})),
    "a plain twin of a unique one": (("a", UNIQUE), ("a", {})),
    "a unique twin": (("a", UNIQUE), ("a", UNIQUE)),
    "a unique twin that allows many nulls": (
        ("a", UNIQUE | {"nulls_not_distinct": True}),
        ("a", UNIQUE),
    ),
    "(a) by (a) include (b)": (("a", {"include": "b"}), ("a", {})),
    "unique (a) by unique (a) include (b)": (("a", UNIQUE | {"include": "b"}), ("a", UNIQUE)),
    "(a) include (b) by (a, b)": (("ab", {}), ("a", {"include": "b"})),
    "(a) include (b, c) by (a, c) include (b)": (
        ("ac", {"include": "b"}),
        ("a", {"include": "bc"}),
    ),
    "a partial twin": (("a", {"predicate": "(b > 0)"}), ("a", {"predicate": "(b > 0)"})),
    "another fillfactor": (("a", {"options": ("fillfactor=70",)}), ("a", {})),
    "a hash twin": (("a", {"method": "hash"}), ("a", {"method": "hash"})),
}
NOT_COVERED = {
    "another column": (("b", {}), ("a", {})),
    "another order": (("ba", {}), ("a", {})),
    "a suffix": (("ba", {}), ("ab", {})),
    "a longer one": (("a", {}), ("ab", {})),
    "a unique prefix": (("ab", UNIQUE), ("a", UNIQUE)),
    "a unique one by a plain twin": (("a", {}), ("a", UNIQUE)),
    "a unique one by a deferred one": (("a", UNIQUE | {"is_immediate": False}), ("a", UNIQUE)),
    "nulls not distinct": (("a", UNIQUE), ("a", UNIQUE | {"nulls_not_distinct": True})),
    "unique (a) include (b) by unique (a, b)": (("ab", UNIQUE), ("a", UNIQUE | {"include": "b"})),
    "(a) include (b) by (a)": (("a", {}), ("a", {"include": "b"})),
    "(a, b) by (a) include (b)": (("a", {"include": "b"}), ("ab", {})),
    "descending": (("a", {"column_options": (1,)}), ("a", {})),
    "nulls first": (("a", {"column_options": (2,)}), ("a", {})),
    "another collation": (("a", {"collations": (950,)}), ("a", {"collations": (100,)})),
    "another operator class": (
        ("a", {"operator_classes": ("pg_catalog.text_pattern_ops",)}),
        ("a", {"operator_classes": ("pg_catalog.text_ops",)}),
    ),
    "another method": (("a", {"method": "hash"}), ("a", {})),
    "a wider predicate": (("a", {}), ("a", {"predicate": "(b > 0)"})),
    "a narrower predicate": (("a", {"predicate": "(b > 0)"}), ("a", {})),
    "a prefix of a gist": (("ab", {"method": "gist"}), ("a", {"method": "gist"})),
    "another range size of brin": (
        ("a", {"method": "brin", "options": ("pages_per_range=16",)}),
        ("a", {"method": "brin"}),
    ),
    "an invalid one": (("a", {"is_valid": False}), ("a", {})),
    "one that is not ready": (("a", {}), ("a", {"is_ready": False})),
    "one that is being dropped": (("a", {"is_live": False}), ("a", {})),
    "another table": (("a", {"relation": 9}), ("a", {})),
    "an expression of the same text length": (
        ("a", {"columns": (0,), "column_definitions": ("lower(a)",)}),
        ("a", {"columns": (0,), "column_definitions": ("upper(a)",)}),
    ),
    "column 1 and column 12": (
        ("a", {"columns": (12, 3), "column_definitions": ("l", "c"), "key_count": 2}
         | dict.fromkeys(("collations", "column_options"), (0, 0))
         | {"operator_classes": ("pg_catalog.int4_ops",) * 2}),
        ("a", {}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COVERED)
def test_covered(case: str) -> None:
    assert pair(*COVERED[case])


@pytest.mark.parametrize("case", NOT_COVERED)
def test_not_covered(case: str) -> None:
    assert not pair(*NOT_COVERED[case])


@pytest.mark.parametrize(
    "own",
    [
        {"is_primary": True},
        {"is_exclusion": True},
        {"constraint": "orders_a_key"},
        {"foreign_keys_served": 1},
        {"is_replica_identity": True},
        {"is_clustered": True},
        {"is_extension_member": True},
    ],
)
def test_an_index_with_a_duty_is_the_twin_that_stays(own: dict[str, Any]) -> None:
    bound, free = index(9, "a", name="zzz", **own), index(2, "a", name="a")
    assert duty(bound)
    found = list(redundant([free, bound], lambda i: not duty(i)))
    assert [(gone.oid, stays.oid) for gone, stays in found] == [(2, 9)]


def test_the_shorter_then_earlier_name_stays() -> None:
    twins = [index(2, "a", name="i1"), index(3, "a", name="i"), index(4, "a", name="i2")]
    found = {gone.oid: stays.oid for gone, stays in redundant(twins, lambda _: True)}
    assert found == {2: 3, 4: 3}


def test_of_several_survivors_the_smallest_is_named() -> None:
    chain = [index(2, "a"), index(3, "ab", constraint="k"), index(4, "abc")]
    found = {gone.oid: stays.oid for gone, stays in redundant(chain, lambda i: not duty(i))}
    assert found == {2: 3}


@st.composite
def tables(draw: st.DrawFn) -> list[Index]:
    """Up to seven indexes of one small table, so that coincidences are frequent."""
    made = []
    for oid in range(2, draw(st.integers(3, 8))):
        keys = "".join(draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)))
        rest = [letter for letter in "abc" if letter not in keys]
        include = "".join(draw(st.lists(st.sampled_from(rest), unique=True))) if rest else ""
        made.append(
            index(
                oid,
                keys,
                include=include,
                name=f"i{oid}",
                is_unique=draw(st.booleans()),
                is_immediate=draw(st.booleans()),
                nulls_not_distinct=draw(st.booleans()),
                is_valid=draw(st.sampled_from([True, True, True, False])),
                predicate=draw(st.sampled_from([None, None, "(a > 0)"])),
                constraint=draw(st.sampled_from([None, None, None, "k"])),
                column_options=(draw(st.sampled_from([0, 0, 0, 3])),) * len(keys),
            )
        )
    return made


@given(tables())
def test_covering_is_transitive(indexes: list[Index]) -> None:
    for one in indexes:
        for two in indexes:
            for three in indexes:
                if covers(one, two) and covers(two, three) and one.oid != three.oid:
                    assert covers(one, three)


@given(tables())
def test_what_stays_covers_all_that_goes_and_nothing_more_could_go(indexes: list[Index]) -> None:
    def droppable(one: Index) -> bool:
        return not duty(one)

    found = list(redundant(indexes, droppable))
    gone = {one.oid for one, _ in found}
    stays = [one for one in indexes if one.oid not in gone]
    for one, survivor in found:
        assert droppable(one)
        assert survivor.oid not in gone
        assert covers(survivor, one)
    for one in stays:
        assert not (droppable(one) and any(covers(other, one) for other in stays))


@given(tables())
def test_the_order_of_the_indexes_does_not_matter(indexes: list[Index]) -> None:
    def result(given_: list[Index]) -> set[tuple[int, int]]:
        return {(one.oid, other.oid) for one, other in redundant(given_, lambda i: not duty(i))}

    assert result(indexes) == result(indexes[::-1])


@given(tables())
def test_of_twins_at_most_one_stays_unless_bound(indexes: list[Index]) -> None:
    gone = {one.oid for one, _ in redundant(indexes, lambda i: not duty(i))}
    for one in indexes:
        for other in indexes:
            if are_twins(one, other) and not duty(one) and not duty(other):
                assert one.oid in gone or other.oid in gone
