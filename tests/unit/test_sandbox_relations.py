"""What the difference between two pictures of the relations means."""

from __future__ import annotations

from typing import Any

from howdah.sandbox import relations
from howdah.sandbox.relations import Relation
from howdah.sandbox.run import Refusal, Run, StatementRun


def relation(oid: int, name: str, kind: str = "r", **given: Any) -> Relation:
    values: dict[str, Any] = {"file": oid, "table_oid": None, "valid": True, "scans": 0}
    return Relation(oid=oid, name=name, kind=kind, **(values | given))


def picture(*members: Relation) -> dict[int, Relation]:
    return {member.oid: member for member in members}


BEFORE = picture(relation(1, "t"), relation(2, "i", "i", table_oid=1), relation(3, "s", "S"))


def test_nothing_happened() -> None:
    assert relations.rewritten(BEFORE, BEFORE) == ()
    assert relations.built(BEFORE, BEFORE) == ()
    assert relations.scanned(BEFORE, BEFORE) == ()


def test_a_new_file_is_a_rewrite_of_a_table_and_a_build_of_an_index() -> None:
    after = picture(
        relation(1, "t", file=9, scans=2), relation(2, "i", "i", table_oid=1, file=8), BEFORE[3]
    )
    assert relations.rewritten(BEFORE, after) == ("t",)
    assert [index.name for index in relations.built(BEFORE, after)] == ["i"]
    assert [(scan.relation, scan.times) for scan in relations.scanned(BEFORE, after)] == [("t", 2)]


def test_a_partitioned_table_has_no_file() -> None:
    parted = picture(relation(4, "p", "p", file=None))
    assert relations.rewritten(parted, parted) == ()


def test_indexes_of_new_tables_are_not_builds_on_existing_ones() -> None:
    after = {**BEFORE, 5: relation(5, "n"), 6: relation(6, "n_i", "i", table_oid=5)}
    assert relations.built(BEFORE, after) == ()
    assert relations.names_only_in(after, BEFORE) == ("n", "n_i")


def test_an_invalid_index_is_not_built() -> None:
    after = {**BEFORE, 7: relation(7, "j", "i", table_oid=1, valid=False)}
    assert relations.built(BEFORE, after) == ()
    assert relations.left_invalid(BEFORE, after) == ("j",)
    assert relations.left_invalid(after, after) == ()


def test_an_index_replaced_under_its_name_is_built_and_not_created() -> None:
    after = picture(BEFORE[1], relation(20, "i", "i", table_oid=1), BEFORE[3])
    assert [index.name for index in relations.built(BEFORE, after)] == ["i"]
    assert relations.names_only_in(after, BEFORE) == ()
    assert relations.names_only_in(BEFORE, after) == ()


def test_locks_are_named_by_what_is_or_was_there() -> None:
    after = {**BEFORE, 5: relation(5, "n")}
    del after[2]
    seen = [(1, "ShareLock"), (2, "AccessExclusiveLock"), (5, "AccessExclusiveLock"), (99, "X")]
    found = {lock.relation: lock for lock in relations.held(BEFORE, after, seen)}
    assert set(found) == {"t", "i", "n", "oid 99"}
    assert found["n"].created
    assert not found["t"].created


def test_a_run_is_ok_only_to_its_end() -> None:
    good = StatementRun(statement="a", transactional=True, seconds=0)
    bad = StatementRun(
        statement="b", transactional=True, seconds=0, refusal=Refusal(sqlstate="x", message="y")
    )
    assert Run(server="18.6", statements=(good,), planned=1).ok
    assert not Run(server="18.6", statements=(good,), planned=2).ok
    assert not Run(server="18.6", statements=(good, bad), planned=2).ok
