"""The map of the runtime's traps is true: all are there, and every test that it names exists."""

from __future__ import annotations

import pytest

from tests.runtime_traps import TRAPS
from tests.test_traps import TESTS, functions_of
from tests.traps import Trap


def test_every_trap_of_the_runtime_is_on_the_map() -> None:
    assert tuple(TRAPS) == tuple(f"Q{number}" for number in range(1, 31))


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_every_trap_of_the_runtime_has_tests_that_exist(trap: Trap) -> None:
    assert trap.what
    assert trap.tests
    for name in trap.tests:
        file, _, function = name.partition("::")
        assert (TESTS / file).is_file(), f"{name}: no such file"
        assert function in functions_of(TESTS / file), f"{name}: no such test"
