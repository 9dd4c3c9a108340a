"""The map of traps is true: all are there, and every test that it names exists."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from tests.traps import TRAPS, Trap

TESTS = Path(__file__).parent
KNOWN = tuple(f"T{number}" for number in range(1, 36))


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    """The names of the test functions of a file."""
    tree = ast.parse(path.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


def test_every_trap_is_on_the_map() -> None:
    assert tuple(TRAPS) == KNOWN


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_every_trap_has_tests_that_exist(trap: Trap) -> None:
    assert trap.what
    assert trap.tests
    assert len(set(trap.tests)) == len(trap.tests)
    for name in trap.tests:
        file, _, function = name.partition("::")
        assert (TESTS / file).is_file(), f"{name}: no such file"
        assert function in functions_of(TESTS / file), f"{name}: no such test"


def test_no_test_of_a_trap_is_left_off_the_map() -> None:
    """A test named `test_t12_...` is one of T12's."""
    for path in TESTS.rglob("test_*.py"):
        for function in functions_of(path):
            numbers = [w for w in function.split("_")[1:] if w[:1] == "t" and w[1:].isdecimal()]
            for number in numbers:
                tests = TRAPS[number.upper()].tests
                assert f"{path.relative_to(TESTS).as_posix()}::{function}" in tests
