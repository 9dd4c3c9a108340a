from __future__ import annotations

import pglast
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.sandbox.script import split


def texts(script: str) -> list[str]:
    return [statement.text for statement in split(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ;; ; -- only a comment", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 'a;b', E'it\\'s; ', \"x;\"\"y\"; SELECT 2;", 2),
        ("SELECT $$a;b$$; SELECT $x$ $y$;$y$ $$ $x$; SELECT 3", 3),
        ("/* a; /* b; */ c; */ SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); SELECT 3", 2),
        ("SELECT a$b$c; SELECT 2", 2),
        ("SELECT 1 /* trailing; */ ; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 'backslash\\'; SELECT 2", 2),
        (
            "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC "
            "SELECT CASE a WHEN 1 THEN 2 END; SELECT 3; END; SELECT 4",
            2,
        ),
        (
            "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END; BEGIN; END",
            3,
        ),
    ],
)
def test_statements_end_where_psql_ends_them(script: str, expected: list[str] | int) -> None:
    found = texts(script)
    assert found == expected if isinstance(expected, list) else len(found) == expected, found


def test_psql_commands_are_left_out_only_between_statements() -> None:
    body = "CREATE FUNCTION f() RETURNS text AS $$\n\\restrict stays\n$$ LANGUAGE sql"
    script = f"\\restrict abc\n{body};\n\\connect other\nSELECT 1;\n\\unrestrict abc\n"
    assert texts(script) == [body, "SELECT 1"]


def test_copy_keeps_its_data_and_the_next_statement() -> None:
    script = "COPY public.t (a, b) FROM stdin;\n1\tx;y\n2\t'\n\\.\n\nSELECT 1;"
    copy, after = split(script)
    assert copy.data == "1\tx;y\n2\t'\n"
    assert after.text == "SELECT 1"
    assert after.data is None


def test_a_dump_says_what_each_statement_is_about() -> None:
    script = (
        "--\n-- Name: orders; Type: TABLE; Schema: public; Owner: -\n--\n\n"
        "CREATE TABLE public.orders ();\nALTER TABLE public.orders ADD a int;\n"
        "--\n-- Name: postgis; Type: EXTENSION; Schema: -; Owner: -\n--\nCREATE EXTENSION postgis;"
    )
    assert [statement.subject for statement in split(script)] == [
        "TABLE public.orders",
        "TABLE public.orders",
        "EXTENSION postgis",
    ]


_PIECES = st.sampled_from(
    ["SELECT 1", "SELECT ';'", "SELECT $a$;$a$", 'SELECT 1 AS "a;b"', "SELECT E'\\';'",
     "SELECT (1 /* ; */)", "SELECT 'it''s;' -- ;\n", "SELECT $$;'$$", "SELECT 1 AS begin_x",
     "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=8))
def test_agrees_with_the_server_parser(pieces: list[str]) -> None:
    script = ";\n".join(pieces)
    assert len(split(script)) == len(pglast.parse_sql(script))
    for ours, theirs in zip(split(script), pglast.split(script), strict=True):
        assert pglast.fingerprint(ours.text) == pglast.fingerprint(theirs)


@example("$$ ")
@given(st.text(alphabet="a;'\"$\\/*-()\n Eeb"))
def test_any_text_ends(script: str) -> None:
    for statement in split(script):
        assert statement.text.strip() == statement.text != ""
