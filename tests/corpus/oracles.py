"""What is true about a loaded schema, found without any code of Howdah.

Owns three oracles: redundancy by comparing index definitions as text and by force, redundancy by
replaying plans after a drop, and foreign keys by the plan of the server's own check.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]

# Every index of the schema with each column spelled out: what it is, how it compares, how it sorts.
_INDEXES: LiteralString = """
SELECT t.oid::regclass::text AS tab, x.oid::regclass::text AS idx, m.amname,
       (SELECT array_agg(concat_ws(' | ', pg_get_indexdef(i.indexrelid, n, false),
                                   i.indclass[n - 1]::text, i.indcollation[n - 1]::text,
                                   (i.indoption[n - 1])::text) ORDER BY n)
          FROM generate_series(1, i.indnkeyatts) n) AS keys,
       (SELECT coalesce(array_agg(pg_get_indexdef(i.indexrelid, n, false)), '{}')
          FROM generate_series(1, i.indnatts) n) AS held,
       (SELECT coalesce(array_agg(pg_get_indexdef(i.indexrelid, n, false)), '{}')
          FROM generate_series(i.indnkeyatts + 1, i.indnatts) n) AS inc,
       coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS pred,
       i.indisunique, i.indimmediate,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS nnd,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) OR i.indisprimary
         OR i.indisreplident OR i.indisclustered AS bound
  FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_am m ON m.oid = x.relam
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND i.indisvalid
"""


class Known:
    """All indexes of a database, for brute force."""

    def __init__(self, connection: Connection) -> None:
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            self.rows = {row["idx"]: row for row in cursor.execute(_INDEXES)}

    def takes_over(self, mine: str, other: str) -> bool:
        """Whether index `mine` makes `other` superfluous, by their texts."""
        a, b = self.rows[mine], self.rows[other]
        if mine == other or any(a[k] != b[k] for k in ("tab", "amname", "pred")):
            return False
        begins = a["keys"][: len(b["keys"])] == b["keys"]
        if not begins or (a["amname"] != "btree" and len(a["keys"]) != len(b["keys"])):
            return False
        if not set(b["inc"]) <= set(a["held"]):
            return False
        if b["indisunique"]:
            as_strict = a["nnd"] or not b["nnd"]
            exact = len(a["keys"]) == len(b["keys"]) and a["indisunique"] and a["indimmediate"]
            return bool(exact and as_strict)
        return True

    def droppable(self) -> int:
        """How many indexes can go one after the other, each covered by one that is still there.

        Which of two twins goes is a matter of taste, how many go is not.
        """
        there = set(self.rows)
        while True:
            gone = next((i for i in sorted(there) if self._can_go(i, there)), None)
            if gone is None:
                return len(self.rows) - len(there)
            there.remove(gone)

    def wrong(self, reported: set[str]) -> list[str]:
        """Of the reported, those that are bound or that nothing that stays covers."""
        stays = set(self.rows) - reported
        return sorted(index for index in reported if not self._can_go(index, stays | {index}))

    def missed(self, reported: set[str]) -> list[str]:
        """Of those that are not reported, what could still go."""
        stays = set(self.rows) - reported
        return sorted(index for index in stays if self._can_go(index, stays))

    def _can_go(self, index: str, there: set[str]) -> bool:
        return not self.rows[index]["bound"] and any(
            self.takes_over(other, index) for other in there
        )


# --- plans after a drop ---------------------------------------------------------------------------

_KEYS: LiteralString = """
SELECT pg_get_indexdef(i.indexrelid, n, false), format_type(a.atttypid, a.atttypmod),
       (i.indoption[n - 1]) & 1 = 1
  FROM pg_index i, generate_series(1, i.indnkeyatts) n, pg_attribute a
 WHERE i.indexrelid = %s::regclass AND a.attrelid = i.indexrelid AND a.attnum = n
 ORDER BY n
"""


def lost_by_dropping(connection: Connection, index: str, survivor: str) -> list[str]:
    """Prefixes of a B-tree's keys that `index` serves now and `survivor`, without it, does not.

    Equality on each prefix, and the order of all keys. Every other index of the table is hidden.
    """
    table, predicate, keys = _described(connection, index)
    lost = []
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL enable_seqscan = off")
        for length in range(1, len(keys) + 1):
            wanted = _equalities(keys[:length], predicate)
            statement = sql.SQL("SELECT 1 FROM {} WHERE {}").format(sql.SQL(table), wanted)
            before = _plan_with_only(connection, index, statement)
            after = _plan_with_only(connection, survivor, statement)
            if _conditions(before) != _conditions(after) or not _conditions(after):
                lost.append(f"{index}: equality on {length} keys")
        ordered = _ordered(table, predicate, keys)
        if "Sort" in json.dumps(_plan_with_only(connection, survivor, ordered)):
            lost.append(f"{index}: order")
    return lost


def _described(connection: Connection, index: str) -> tuple[Any, Any, list[tuple[Any, ...]]]:
    found = connection.execute(
        "SELECT indrelid::regclass::text, pg_get_expr(indpred, indrelid) FROM pg_index"
        " WHERE indexrelid = %s::regclass",
        [index],
    ).fetchone()
    assert found is not None
    return found[0], found[1], connection.execute(_KEYS, [index]).fetchall()


def _equalities(keys: list[tuple[Any, ...]], predicate: Any) -> sql.Composable:
    """Equality with values that the planner cannot see."""
    terms = [
        sql.SQL("{} = (SELECT NULL::{})").format(sql.SQL(key), sql.SQL(kind))
        for key, kind, _ in keys
    ]
    return sql.SQL(" AND ").join([*terms, *([sql.SQL(predicate)] if predicate else [])])


def _ordered(table: Any, predicate: Any, keys: list[tuple[Any, ...]]) -> sql.Composable:
    order = sql.SQL(", ").join(
        sql.SQL("{} DESC" if down else "{}").format(sql.SQL(key)) for key, _, down in keys
    )
    return sql.SQL("SELECT 1 FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(table), sql.SQL(predicate or "true"), order
    )


def _plan_with_only(connection: Connection, index: str, statement: sql.Composable) -> Any:
    with _only(connection, index):
        explained = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(statement))
        found = explained.fetchone()
    assert found is not None
    return found[0][0]["Plan"]


@contextlib.contextmanager
def _only(connection: Connection, index: str) -> Iterator[None]:
    """Every other index of the same table hidden from the planner."""
    with connection.transaction(force_rollback=True):
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid <> %s::regclass AND indrelid ="
            " (SELECT indrelid FROM pg_index WHERE indexrelid = %s::regclass)",
            [index, index],
        )
        yield


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _conditions(plan: Any) -> list[str]:
    """The index conditions of a plan, without the names of its parameters."""
    texts = [node["Index Cond"] for node in _nodes(plan) if "Index Cond" in node]
    return sorted(re.sub(r"\$\d+|\(InitPlan \d+\)\.col\d+", "?", text) for text in texts)


# --- foreign keys ---------------------------------------------------------------------------------

_FOREIGN_KEYS: LiteralString = """
SELECT k.conrelid::regclass::text || '.' || k.conname, k.conrelid::regclass::text,
       array_agg(quote_ident(c.attname) ORDER BY at),
       array_agg(format_type(p.atttypid, p.atttypmod) ORDER BY at),
       array_agg(format('OPERATOR(%I.%s)', n.nspname, o.oprname) ORDER BY at)
  FROM pg_constraint k
  CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY
    AS u (child, parent, op, at)
  JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = u.child
  JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = u.parent
  JOIN pg_operator o ON o.oid = u.op
  JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0
 GROUP BY k.oid, k.conrelid, k.conname
"""


def foreign_keys(connection: Connection) -> dict[str, bool]:
    """Every foreign key, and whether some index, alone with its table, serves its check.

    Alone, because of several indexes of a small table the planner takes any: all cost the same.
    """
    served = {}
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        for name, table, *check in connection.execute(_FOREIGN_KEYS).fetchall():
            indexes = connection.execute(
                "SELECT indexrelid::regclass::text FROM pg_index"
                " WHERE indrelid = %s::regclass AND indisvalid",
                [table],
            ).fetchall()
            served[name] = any(
                _check_is_served(connection, index, table, *check) for (index,) in indexes
            )
    return served


def _check_is_served(
    connection: Connection,
    index: str,
    table: str,
    columns: list[str],
    types: list[str],
    operators: list[str],
) -> bool:
    """Plan the check as the server words it: parameter, operator, column."""
    terms = [
        f"${n} {operator} {column}"
        for n, (operator, column) in enumerate(zip(operators, columns, strict=True), start=1)
    ]
    prepare = sql.SQL("PREPARE ri ({}) AS SELECT 1 FROM ONLY {} x WHERE {} FOR KEY SHARE OF x")
    nulls = sql.SQL(", ").join([sql.NULL] * len(types))
    with _only(connection, index):
        connection.execute(
            prepare.format(sql.SQL(", ".join(types)), sql.SQL(table), sql.SQL(" AND ".join(terms)))
        )
        explain = sql.SQL("EXPLAIN (FORMAT JSON) EXECUTE ri ({})").format(nulls)
        found = connection.execute(explain).fetchone()
        connection.execute("DEALLOCATE ri")
    assert found is not None
    return any(_enters(connection, node) for node in _nodes(found[0][0]["Plan"]))


def _enters(connection: Connection, node: Any) -> bool:
    condition = node.get("Index Cond")
    if condition is None:
        return False
    found = connection.execute(
        "SELECT pg_get_indexdef(%s::regclass, 1, false)", [f'"{node["Index Name"]}"']
    ).fetchone()
    assert found is not None
    key = re.escape(found[0])
    return re.search(rf"(?<![\w\"]){key}(?![\w\"])", condition) is not None
