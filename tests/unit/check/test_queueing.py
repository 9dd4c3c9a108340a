"""Recognising queues and outboxes by their statements and shape."""

from __future__ import annotations

import pytest

from howdah.check.knowledge.queueing import Role, queueings
from howdah.snapshot.facts.catalog import Inheritance, Relation
from howdah.snapshot.facts.counters import TableStatistics
from tests.making import row
from tests.making_queues import (
    DONE,
    EMIT,
    FOLLOW,
    LIST,
    NEWS,
    READ,
    SENT,
    TABLES,
    TAKE,
    WORK,
    columns,
    statement,
    used,
)


def roles(*texts: str) -> dict[str, Role]:
    return {each.table: each.role for each in queueings(used(*texts))}


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([TAKE], id="update of a sub-select"),
        pytest.param(
            [
                "with next as (select id from work where state = $1 order by id limit $2 "
                "for update skip locked) update work w set state = $3 from next "
                "where w.id = next.id returning w.*"
            ],
            id="update of a CTE",
        ),
        pytest.param(["select * from work limit $1 for update skip locked"], id="without order"),
        pytest.param(
            ["select * from work where state = $1 order by id limit $2 for update", DONE],
            id="plain lock, then marked",
        ),
        pytest.param(
            [
                "select * from work order by id limit $1 for update",
                "delete from work where id = $1",
            ],
            id="plain lock, then deleted",
        ),
        pytest.param(
            ["delete from work where id in (select id from work order by id limit $1) returning *"],
            id="deleted and returned",
        ),
        pytest.param(
            ["select w.id from work w where w.state = $1 limit $2 for no key update skip locked"],
            id="no key update",
        ),
    ],
)
def test_a_queue_is_recognised(texts: list[str]) -> None:
    assert roles(*texts) == {"public.work": Role.QUEUE}


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([READ, SENT], id="timestamp set"),
        pytest.param(
            [
                "select * from news where not is_sent order by id limit $1",
                "update news set is_sent = $1 where id = $2",
            ],
            id="boolean set",
        ),
        pytest.param(
            [
                "select * from news where is_sent = $1 order by id limit $2 for update skip locked",
                "update news set is_sent = $1, sent_at = now() where sent_at is null and id = $2",
                READ,
                SENT,
            ],
            id="several readers",
        ),
        pytest.param([FOLLOW, EMIT], id="position kept"),
    ],
)
def test_an_outbox_is_recognised(texts: list[str]) -> None:
    assert roles(*texts) == {"public.news": Role.OUTBOX}


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(
            [
                "select * from list where owner = $1 and read_at is null order by made_at limit $2",
                "update list set read_at = now() where id = $1",
            ],
            id="unread messages of somebody",
        ),
        pytest.param(
            [
                "select * from list where state = $1 order by made_at desc limit $2",
                "update list set state = $1 where id = $2",
            ],
            id="newest orders in a state",
        ),
        pytest.param(
            [
                "select * from list where id > $1 order by id limit $2",
                "insert into list default values",
            ],
            id="keyset paging without documents",
        ),
        pytest.param(
            [FOLLOW, EMIT, "update news set body = $1 where id = $2"], id="paging of edited rows"
        ),
        pytest.param(
            ["select * from work where id = $1 for update skip locked"], id="one row tried"
        ),
        pytest.param(
            [
                "delete from work where id in (select id from work where made_at < $1 order by id "
                "limit $2)"
            ],
            id="housekeeping",
        ),
        pytest.param(["select * from work order by id limit $1 for update"], id="never marked"),
        pytest.param(
            ["select * from nowhere order by id for update skip locked limit 1"], id="unknown table"
        ),
        pytest.param([READ], id="never sent"),
    ],
)
def test_an_ordinary_list_is_none(texts: list[str]) -> None:
    assert roles(*texts) == {}


def test_a_log_whose_rows_were_updated_by_somebody_is_no_outbox() -> None:
    edited = row(TableStatistics, relation=NEWS, inserted=1000, updated=500)
    assert queueings(used(FOLLOW, EMIT, table_statistics=[edited])) == ()


def test_a_reader_that_hardly_reads_is_none() -> None:
    assert queueings(used(statement(FOLLOW, calls=2), EMIT)) == ()


def test_the_description() -> None:
    (queue,) = queueings(used(TAKE, DONE))
    (claim,) = queue.claims
    assert claim.skips_locked
    assert claim.order_by == ("id",)
    assert (claim.batch, claim.rows_per_call, claim.others) == (None, 1.0, 0)
    assert [marker.column for marker in queue.markers] == ["state"]
    assert queue.payload_columns == ("state", "body")
    assert queue.acknowledging[-1].text == DONE


def test_a_literal_limit_is_the_batch() -> None:
    (queue,) = queueings(used("select * from work order by id limit 50 for update skip locked"))
    assert queue.claims[0].batch == 50


def test_a_partitioned_queue_is_one() -> None:
    parent = row(Relation, oid=9, schema="public", name="jobs", kind="p")
    up = [row(Inheritance, parent=9, child=WORK, is_partition=True)]
    given = used(TAKE, relations=[*TABLES, parent], inheritance=up)
    assert [each.table for each in queueings(given)] == ["public.jobs"]


def test_names_do_not_matter() -> None:
    renamed = [
        row(Relation, oid=oid, schema="public", name=name, kind="r")
        for oid, name in ((WORK, "work"), (NEWS, "queue_outbox_jobs"), (LIST, "job_queue"))
    ]
    of = used("select * from job_queue where id = $1", relations=renamed, columns=columns())
    assert queueings(of) == ()
