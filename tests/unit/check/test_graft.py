"""A sandbox seen as its database: state from the one, use from the other, joined by name."""

from __future__ import annotations

from howdah.check.graft import graft
from howdah.snapshot.facts.catalog import Index, Relation, Setting
from howdah.snapshot.facts.counters import IndexStatistics, Statement, TableStatistics
from tests.making import row, snapshot

DATABASE = snapshot(
    relations=[row(Relation, oid=1, schema="public", name="orders", kind="r")],
    indexes=[row(Index, oid=2, relation=1, schema="public", name="orders_total", xid_age=900)],
    table_statistics=[row(TableStatistics, relation=1, inserted=500, dead=9)],
    index_statistics=[row(IndexStatistics, index=2, scans=7)],
    statements=[row(Statement, query_id=1, text="SELECT 1")],
    settings=[row(Setting, name="work_mem", value="4096"), row(Setting, name="fsync", value="on")],
)
SANDBOX = snapshot(
    relations=[row(Relation, oid=10, schema="public", name="orders", kind="r")],
    indexes=[
        row(Index, oid=20, relation=10, schema="public", name="orders_total", xid_age=3),
        row(Index, oid=21, relation=10, schema="public", name="orders_new"),
    ],
    table_statistics=[row(TableStatistics, relation=10, inserted=3, dead=2)],
    index_statistics=[
        row(IndexStatistics, index=20, scans=0),
        row(IndexStatistics, index=21, scans=0),
    ],
    settings=[row(Setting, name="work_mem", value="64"), row(Setting, name="fsync", value="off")],
)


def test_objects_and_their_state_are_the_sandboxs() -> None:
    seen = graft(DATABASE, SANDBOX)
    assert [relation.oid for relation in seen.relations.rows] == [10]
    assert [table.dead for table in seen.table_statistics.rows] == [2]


def test_use_is_the_databases_joined_by_name() -> None:
    seen = graft(DATABASE, SANDBOX)
    assert [table.inserted for table in seen.table_statistics.rows] == [500]
    assert {each.index: each.scans for each in seen.index_statistics.rows} == {20: 7, 21: 0}


def test_an_index_is_as_old_as_the_databases() -> None:
    seen = graft(DATABASE, SANDBOX)
    assert {each.oid: each.xid_age for each in seen.indexes.rows} == {20: 900, 21: None}


def test_statements_and_settings_are_the_databases_but_for_those_on_trial() -> None:
    seen = graft(DATABASE, SANDBOX, settings=["work_mem"])
    assert seen.statements == DATABASE.statements
    assert {each.name: each.value for each in seen.settings.rows} == {
        "work_mem": "64",
        "fsync": "on",
    }
