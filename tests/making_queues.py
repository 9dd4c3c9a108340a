"""Hand-made pictures of a queue (`work`) and an outbox (`news`), and statements on them."""

from __future__ import annotations

from typing import Any

from howdah.snapshot.facts.catalog import Column, Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture
from tests.making import picture, row

WORK, NEWS, LIST = 1, 2, 3
TABLES = [
    row(Relation, oid=WORK, schema="public", name="work", kind="r", tuples=100.0, pages=10),
    row(Relation, oid=NEWS, schema="public", name="news", kind="r", tuples=100.0, pages=10),
    row(Relation, oid=LIST, schema="public", name="list", kind="r", tuples=100.0, pages=10),
]
TYPES: dict[int, dict[str, str]] = {
    WORK: {
        "id": "int8",
        "state": "text",
        "run_at": "timestamptz",
        "made_at": "timestamptz",
        "body": "jsonb",
        "tries": "int4",
    },
    NEWS: {
        "id": "int8",
        "made_at": "timestamptz",
        "sent_at": "timestamptz",
        "is_sent": "bool",
        "body": "jsonb",
    },
    LIST: {
        "id": "int8",
        "owner": "int8",
        "state": "text",
        "made_at": "timestamptz",
        "read_at": "timestamptz",
        "body": "text",
    },
}

TAKE = (
    "update work set state = $1 where id in (select id from work where state = $2 "
    "order by id limit $3 for update skip locked) returning id, body"
)
DONE = "update work set state = $1 where id = $2"
ADD = "insert into work (body) values ($1)"
READ = "select id, body from news where sent_at is null order by id limit $1"
SENT = "update news set sent_at = now() where id = any ($1)"
EMIT = "insert into news (body) values ($1)"
FOLLOW = "select id, body from news where id > $1 order by id limit $2"


def columns(**other: str) -> list[Column]:
    """The columns of all tables; `work_id="int4"` gives work.id another type."""
    return [
        row(
            Column,
            relation=table.oid,
            number=number,
            name=name,
            type=other.get(f"{table.name}_{name}", kind),
            base_type=other.get(f"{table.name}_{name}", kind),
            identity="a" if name == "id" else "",
        )
        for table in TABLES
        for number, (name, kind) in enumerate(TYPES[table.oid].items(), start=1)
    ]


def statement(text: str, **given: Any) -> Statement:
    """One statement with a thousand calls."""
    values = {"query_id": abs(hash(text)) % 10**9, "calls": 1000, "rows": 1000} | given
    return row(Statement, text=text, **values)


def used(*texts: str | Statement, **facts: Any) -> Picture:
    """The picture of these statements on the tables."""
    given = [statement(each) if isinstance(each, str) else each for each in texts]
    base: dict[str, Any] = {"relations": TABLES, "columns": columns(), "statements": given}
    return picture(**(base | facts))
