"""The kernel's numbers are those of `numbers.py`, bit by bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="the kernel is compiled by numba")

from numba import njit, types

from howdah.simulate import numbers
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import OPTIONS, getu
from howdah.simulate.kernel.compiled.random import (
    counted_uniform,
    draw,
    item_uniform,
    key_draw,
    ln,
    mix,
    nanoseconds,
    uniform,
)
from howdah.simulate.kernel.linking import linked_once
from howdah.simulate.model import (
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    LogNormal,
    Pareto,
    Uniform,
    Zipf,
)

WORD, FLOAT = types.int64, types.float64
RANDOM = random.Random(5)
WORDS = [0, 1, numbers.MASK, 1 << 63] + [RANDOM.getrandbits(64) for _ in range(3000)]
US = [numbers.uniform(x) for x in WORDS]
LAWS = [
    Constant(value=2.5),
    Exponential(mean=0.7),
    Uniform(low=1.0, high=4.0),
    LogNormal(median=2.0, sigma=1.2),
    Erlang(stages=4, mean=3.0),
    Pareto(minimum=1.0, shape=1.5),
    Empirical(quantiles=(1.0, 2.0, 6.0)),
]


def twin(what: int, a: int, b: int, x: float) -> Any:
    """One of the functions, by number; 64 bits are read at the addresses `a` and `b`."""
    if what == 0:
        return np.float64(mix(getu(a)) >> np.uint64(11))
    if what == 1:
        return uniform(getu(a))
    if what == 2:
        return ln(x)
    if what == 3:
        return np.float64(nanoseconds(x))
    if what == 4:
        return draw(a, x)
    if what == 5:
        return np.float64(key_draw(a, x))
    if what == 6:
        return item_uniform(getu(a), getu(a + 8), b)
    return counted_uniform(getu(a), getu(a + 8), b)


@pytest.fixture(scope="module")
def ask() -> Callable[..., float]:
    make: Any = njit(**OPTIONS)
    made = make(twin)
    with linked_once(twin):
        made.compile(FLOAT(WORD, WORD, WORD, FLOAT))
    found: Callable[..., float] = made
    return found


def at_address(values: list[int]) -> tuple[np.ndarray[Any, Any], int]:
    held = np.array(values, np.uint64)
    return held, int(held.ctypes.data)


def test_bits_and_uniform_numbers(ask: Callable[..., float]) -> None:
    held, address = at_address(WORDS)
    for index, x in enumerate(WORDS):
        assert ask(0, address + 8 * index, 0, 0.0) == float(numbers.mix(x) >> 11)
        assert ask(1, address + 8 * index, 0, 0.0) == numbers.uniform(x)
    assert len(held) == len(WORDS)


def test_draws_of_items_and_of_counters(ask: Callable[..., float]) -> None:
    held, address = at_address(WORDS)
    for index in range(len(WORDS) - 1):
        world, name, b = WORDS[index], WORDS[index + 1], index * 4096 + index % 7
        item = numbers.uniform(numbers.item_bits(world, name, b))
        counted = numbers.uniform(numbers.bits(world, name, b))
        assert ask(6, address + 8 * index, b, 0.0) == item
        assert ask(7, address + 8 * index, b, 0.0) == counted
    assert len(held) == len(WORDS)


def test_logarithms_and_durations(ask: Callable[..., float]) -> None:
    for u in US:
        for x in (u, 1.0 - u, u * 1e9, u * 1e-9):
            assert ask(2, 0, 0, x) == numbers.ln(x)
            assert ask(3, 0, 0, x) == float(numbers.nanoseconds(x))
    for x in (-1.0, 0.0, 4e9, float("nan"), float("inf")):
        assert ask(3, 0, 0, x) == float(numbers.nanoseconds(x))


@pytest.mark.parametrize("distribution", LAWS, ids=lambda each: type(each).__name__)
def test_laws(ask: Callable[..., float], distribution: Distribution) -> None:
    law = numbers.law(distribution)
    table = np.array(law.table or [0.0])
    held = np.zeros(at.LAW_SIZE // 8, np.int64)
    held[0] = law.kind
    held.view(np.float64)[at.LAW_A // 8 : at.LAW_B // 8 + 1] = law.a, law.b
    held[at.LAW_TABLE // 8], held[at.LAW_LAST // 8] = table.ctypes.data, len(table) - 1
    for u in US:
        assert ask(4, int(held.ctypes.data), 0, u) == law.draw(u)


def test_keys(ask: Callable[..., float]) -> None:
    table = numbers.key_table(Zipf(keys=37, exponent=1.1))
    values = np.array(table)
    held = np.array([values.ctypes.data, len(values)], np.int64)
    for u in US:
        assert ask(5, int(held.ctypes.data), 0, u) == numbers.key_of(table, u)
