"""What can be read from check constraints and partition bounds, as the server prints them."""

from __future__ import annotations

import pytest

from howdah.sandbox.allowed import Allowed, Bound, by_bound, by_checks


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            "CHECK ((status = ANY (ARRAY['new'::text, 'paid'::text])))",
            {"status": Allowed(values=("new", "paid"))},
        ),
        (
            "CHECK (((c)::text = ANY ((ARRAY['a'::character varying])::text[]))) NOT VALID",
            {"c": Allowed(values=("a",))},
        ),
        ("CHECK (((r >= 1) AND (r <= 5)))", {"r": Allowed(low=1, high=5)}),
        ("CHECK ((price > (0)::numeric))", {"price": Allowed(low=1)}),
        ("CHECK ((n < '-3'::integer))", {"n": Allowed(high=-4)}),
        ("CHECK ((kind = 'x'::text))", {"kind": Allowed(values=("x",))}),
        ("CHECK ((a < b))", {}),
        ("CHECK ((length(a) > 3))", {}),
        ("CHECK (((a = 1) OR (a = 2)))", {}),
        ("CHECK ((at > '2020-01-01'::date))", {}),
        ("this does not parse", {}),
    ],
)
def test_checks(definition: str, expected: dict[str, Allowed]) -> None:
    assert by_checks([(None, definition)]) == expected


def test_a_domain_s_check_is_its_column_s() -> None:
    checks = [("grade", "CHECK ((VALUE = ANY (ARRAY['a'::text])))")]
    assert by_checks(checks) == {"grade": Allowed(values=("a",))}


def test_two_checks_hold_together() -> None:
    checks = [(None, "CHECK ((n > 3))"), (None, "CHECK ((n <= 9))"), (None, "CHECK ((n > 1))")]
    assert by_checks(checks) == {"n": Allowed(low=4, high=9)}


@pytest.mark.parametrize(
    ("strategy", "keys", "bound", "expected"),
    [
        ("r", ["a"], "FOR VALUES FROM (1) TO (5)", [Bound(column="a", low="1", high="5")]),
        ("r", ["a"], "FOR VALUES FROM (MINVALUE) TO ('-5')", [Bound(column="a", high="-5")]),
        ("r", ["a"], "FOR VALUES FROM ('x') TO (MAXVALUE)", [Bound(column="a", low="x")]),
        (
            "r",
            ["a", "b"],
            "FOR VALUES FROM (1, 'a') TO (1, 'b')",
            [Bound(column="a", low="1"), Bound(column="b", low="a")],
        ),
        ("l", ["k"], "FOR VALUES IN ('x', NULL)", [Bound(column="k", values=("x", None))]),
        ("h", ["k"], "FOR VALUES WITH (modulus 2, remainder 0)", None),
        ("l", ["k"], "DEFAULT", None),
        ("r", [None], "FOR VALUES FROM (1) TO (2)", None),
    ],
)
def test_bounds(
    strategy: str, keys: list[str | None], bound: str, expected: list[Bound] | None
) -> None:
    assert by_bound(strategy, keys, bound) == expected
