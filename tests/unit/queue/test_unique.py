from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.errors import BadInput
from howdah.queue.unique import Unique, counts_until, digest

ARGUMENTS = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=4)


@given(ARGUMENTS)
def test_the_order_of_arguments_does_not_matter(arguments: dict[str, object]) -> None:
    turned = dict(reversed(arguments.items()))
    one, two = (
        digest(Unique(), kind="mail", arguments=each, key=None, tenant=None)
        for each in (arguments, turned)
    )
    assert one == two
    assert len(one) == 32


def test_only_the_named_parts_count() -> None:
    unique = Unique(parts=frozenset({"kind", "key"}))
    same = [
        digest(unique, kind="mail", arguments={"n": n}, key="a", tenant=t)
        for n, t in ((1, "x"), (2, "y"))
    ]
    assert same[0] == same[1]
    assert digest(unique, kind="mail", arguments={}, key="b", tenant=None) not in same


def test_only_the_named_arguments_count() -> None:
    unique = Unique(arguments=frozenset({"user"}))

    def of(**arguments: object) -> str:
        return digest(unique, kind="mail", arguments=arguments, key=None, tenant=None)

    assert of(user=1, trace="a") == of(user=1, trace="b")
    assert of(user=1) != of(user=2)


def test_how_long_a_digest_counts() -> None:
    assert counts_until(Unique(), 10.0) is None
    assert counts_until(Unique(until="window", window_seconds=60), 10.0) == 70.0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(BadInput):
        Unique(until="window")
    with pytest.raises(BadInput):
        Unique(parts=frozenset())
