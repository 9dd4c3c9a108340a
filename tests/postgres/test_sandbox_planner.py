"""A real planner's answers, and the traps in reading them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from howdah.postgres import Server
from howdah.sandbox import Planner, Sandbox, Verdict

SCHEMA = """
    CREATE TABLE t (a int, b int, c varchar(20), status text, j jsonb, ts timestamptz, free text,
                    "Odd" int);
    CREATE INDEX t_a ON t (a);
    CREATE INDEX t_bc ON t (b, c);
    CREATE INDEX t_lower ON t (lower(c));
    CREATE INDEX t_new ON t (ts) WHERE status = 'new';
    CREATE INDEX t_free ON t (free) WHERE free IS NOT NULL;
    CREATE INDEX t_k ON t ((j ->> 'k'));
    CREATE INDEX t_j ON t USING gin (j jsonb_path_ops);
    CREATE INDEX t_odd ON t ("Odd");
    CREATE EXTENSION pg_trgm;
    CREATE TABLE docs (id int PRIMARY KEY, j jsonb, title text, tags text[]);
    CREATE INDEX docs_j ON docs USING gin (j);
    CREATE INDEX docs_title ON docs USING gin (title gin_trgm_ops);
    CREATE INDEX docs_tags ON docs USING gin (tags);

    CREATE TABLE composite (x int, y int);
    CREATE INDEX composite_yx ON composite (y, x);

    CREATE TABLE log (at timestamptz, n int);
    CREATE INDEX log_at ON log USING brin (at);

    CREATE TABLE parted (k int, v int, w int) PARTITION BY RANGE (k);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
    CREATE INDEX parted_v ON parted (v);
    CREATE INDEX parted_1_w ON parted_1 (w);

    CREATE TABLE childless (k int, v int) PARTITION BY RANGE (k);
    CREATE INDEX childless_v ON childless (v);

    CREATE TABLE broken (a int);
    CREATE INDEX broken_a ON broken (a);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken_a'::regclass;
"""


@pytest.fixture(scope="module")
def sandbox(server: Server) -> Iterator[Sandbox]:
    with Sandbox.from_schema(SCHEMA, server=server) as built:
        assert built.rebuilt is not None
        assert built.rebuilt.failed == ()
        yield built


@pytest.fixture(scope="module")
def planner(sandbox: Sandbox) -> Iterator[Planner]:
    with Planner(sandbox) as asking:
        yield asking


@pytest.mark.parametrize(
    ("table", "predicate", "types", "index", "method"),
    [
        ("public.t", "a = $1", ["int"], "public.t_a", "btree"),
        ("public.t", "a = $1", ["bigint"], "public.t_a", "btree"),
        ("public.t", "a = $1 AND status = $2", ["int", "text"], "public.t_a", "btree"),
        ("public.t", "b = $1", ["int"], "public.t_bc", "btree"),
        ("public.t", "lower(c) = $1", ["text"], "public.t_lower", "btree"),
        ("public.t", "status = 'new' AND ts < $1", ["timestamptz"], "public.t_new", "btree"),
        ("public.t", "free = $1", ["text"], "public.t_free", "btree"),
        ("public.t", "j ->> 'k' = $1", ["text"], "public.t_k", "btree"),
        ("public.t", "j @> $1", ["jsonb"], "public.t_j", "gin"),
        ("public.t", '"Odd" = $1', ["int"], "public.t_odd", "btree"),
        ("public.t", "a = ANY ($1)", ["int[]"], "public.t_a", "btree"),
        ("public.composite", "x = $1 AND y = $2", ["int", "int"], "public.composite_yx", "btree"),
        ("public.log", "at = $1", ["timestamptz"], "public.log_at", "brin"),
        ("public.parted", "v = $1", ["int"], "public.parted_v", "btree"),
        ("public.parted", "v = $1 AND k = $2", ["int", "int"], "public.parted_v", "btree"),
    ],
)
def test_served(
    table: str, predicate: str, types: list[str], index: str, method: str, planner: Planner
) -> None:
    answer = planner.serves(table, predicate, types)
    assert answer.verdict is Verdict.SERVED, answer
    assert [(each.index, each.method) for each in answer.serving] == [(index, method)]
    assert answer.serving[0].lossy is (method == "brin")


@pytest.mark.parametrize(
    ("table", "predicate", "types", "because"),
    [
        # The later column of an index: on 18 the planner enters it by skip scan.
        ("public.t", "c = $1", ["text"], ""),
        ("public.composite", "x = $1", ["int"], ""),
        # A generic plan cannot know that the parameter is the constant of a partial index.
        ("public.t", "status = $1 AND ts < $2", ["text", "timestamptz"], ""),
        ("public.t", "ts < $1", ["timestamptz"], ""),
        # The form of the predicate is not that of the index.
        ("public.t", "c ILIKE $1", ["text"], ""),
        ("public.t", "upper(c) = $1", ["text"], ""),
        ("public.t", "a::text = $1", ["text"], ""),
        ("public.t", "j -> 'k' = $1", ["jsonb"], ""),
        ("public.t", "a = $1 OR status = $2", ["int", "text"], ""),
        ("public.broken", "a = $1", ["int"], "Seq Scan"),
        ("public.parted", "w = $1", ["int"], "Seq Scan"),
    ],
)
def test_not_served(
    table: str, predicate: str, types: list[str], because: str, planner: Planner
) -> None:
    answer = planner.serves(table, predicate, types)
    assert answer.verdict is Verdict.NOT_SERVED, answer
    assert answer.serving == ()
    assert because in answer.reason
    assert answer.reason


def test_each_arm_of_an_or_needs_its_index(planner: Planner) -> None:
    answer = planner.serves("public.t", "a = $1 OR b = $2", ["int", "int"])
    assert answer.served
    assert {each.index for each in answer.serving} == {"public.t_a", "public.t_bc"}


@pytest.mark.parametrize(
    ("predicate", "served"),
    [
        ("title ILIKE '%elephant%'", True),
        ("title ILIKE '%a%'", False),
        ("j @> '{\"id\": 5}'", True),
        ("j @> '{}'", False),
        ("tags @> '{v7}'", True),
        ("tags @> '{}'", False),
        ("title ILIKE $1", True),
    ],
)
def test_gin_is_not_served_by_reading_all_of_it(
    predicate: str, served: bool, planner: Planner, sandbox: Sandbox
) -> None:
    answer = planner.serves("public.docs", predicate)
    assert answer.served is served, answer
    assert served or "end to end" in answer.reason
    with sandbox.connect() as connection:
        assert connection.execute("SELECT count(*) FROM docs").fetchone() == (0,)


def test_one_index_alone(planner: Planner) -> None:
    """The others are hidden, and visible again afterwards."""
    both = "a = $1 AND b = $2"
    for index in ("public.t_a", "public.t_bc"):
        answer = planner.serves("public.t", both, ["int", "int"], index=index)
        assert [each.index for each in answer.serving] == [index]
        assert answer.serving[0].filter
    assert not planner.serves("public.t", both, ["int", "int"], index="public.t_k").served
    missing = planner.serves("public.t", both, ["int", "int"], index="public.gone")
    assert missing.verdict is Verdict.NOT_SERVED
    assert "public.gone" in missing.reason
    assert planner.serves("public.t", "a = $1", ["int"]).served


@pytest.mark.parametrize(
    ("table", "predicate", "types", "sqlstate"),
    [
        ("public.missing", "a = $1", ["int"], "42P01"),
        ("public.t", "nothing = $1", ["int"], "42703"),
        ("public.t", "a = = 1", [], "42601"),
        ("public.t", "a = $1", ["gone"], "42704"),
        ("public.childless", "v = $1", ["int"], ""),
        ("public.t", "false", [], ""),
    ],
)
def test_unanswerable(
    table: str, predicate: str, types: list[str], sqlstate: str, planner: Planner
) -> None:
    answer = planner.serves(table, predicate, types)
    assert answer.verdict is Verdict.UNANSWERABLE, answer
    assert answer.sqlstate == sqlstate
    assert answer.reason
    assert planner.serves("public.t", "a = $1", ["int"]).served, "the session still works"


def test_a_normalised_statement_is_planned(planner: Planner) -> None:
    plan = planner.plan("SELECT * FROM t WHERE a = $1 ORDER BY b LIMIT $2;")
    assert plan.root is not None
    nodes = {node.node: node for node in plan.root.walk()}
    assert {"Limit", "Sort"} <= set(nodes)
    scan = next(node for node in plan.root.walk() if node.relation == "public.t" and node.index)
    assert scan.index == "public.t_a"
    assert scan.index_condition == "(t.a = $1)"


def test_a_disabled_scan_is_still_seen(planner: Planner) -> None:
    """Up to 17 a cost, from 18 on a flag; on every version only the node itself."""
    plan = planner.plan("SELECT count(*) FROM t WHERE status = $1")
    assert plan.root is not None
    assert [node.node for node in plan.root.walk() if node.disabled] == ["Seq Scan"]
    free = planner.plan("SELECT count(*) FROM t WHERE status = $1", seqscan=True)
    assert free.root is not None
    assert not [node for node in free.root.walk() if node.disabled]


def test_partitions_are_not_pruned_by_placeholders(planner: Planner) -> None:
    plan = planner.plan("SELECT * FROM parted WHERE k = $1")
    assert plan.root is not None
    read = {node.relation for node in plan.root.walk() if node.relation}
    assert read == {"public.parted_1", "public.parted_2"}
    pruned = planner.plan("SELECT * FROM parted WHERE k = 3")
    assert pruned.root is not None
    assert {node.relation for node in pruned.root.walk() if node.relation} == {"public.parted_1"}


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("SELECT now() - interval $1", "42601"),
        ("SELECT CASE WHEN a = $1 THEN $2 ELSE $3 END + $4 FROM t", "42"),
        ("SELECT $1", ""),  # an unknown literal is text since 10
        ("SELECT * FROM gone WHERE a = $1", "42P01"),
        ("SELECT * FROM t WHERE a IN (SELECT", "42601"),
        ("VACUUM t", "42601"),
        ("SELECT 1; DROP TABLE t", ""),
        ("", ""),
        ("SELECT '%s %(x)s %' WHERE $1 LIKE '%'", ""),
    ],
)
def test_texts_that_cannot_be_planned(statement: str, sqlstate: str, planner: Planner) -> None:
    plan = planner.plan(statement)
    if not plan.answered:
        assert plan.sqlstate.startswith(sqlstate), plan
        assert plan.reason
    assert plan.answered is (statement.startswith(("SELECT $1", "SELECT '%")))
    assert planner.plan("SELECT * FROM t WHERE a = $1").answered


def test_a_missing_table_says_what_was_missing(server: Server) -> None:
    script = "CREATE EXTENSION nonesuch; CREATE TABLE public.places (id int, at nonesuch_point)"
    with Sandbox.from_schema(script, server=server) as built, Planner(built) as planner:
        answer = planner.serves("public.places", "id = $1", ["int"])
        assert answer.verdict is Verdict.UNANSWERABLE
        assert "extension nonesuch is not available" in answer.reason
