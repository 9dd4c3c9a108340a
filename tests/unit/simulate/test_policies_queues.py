"""Disciplines, one question at a time."""

from __future__ import annotations

import math

import pytest

from tests.unit.simulate.asking import Asked


def test_codel_waits_an_interval_and_then_drops_ever_faster() -> None:
    codel = Asked("codel")

    def ask(now: float, oldest: float, waiting: float = 9) -> float:
        return codel("dequeue", now=now, oldest=oldest, waiting=waiting)

    assert ask(1.00, 0.004) == 0
    assert ask(1.01, 0.006) == 0  # above the target since now
    assert ask(1.10, 0.050) == 0
    assert ask(1.11, 0.050) == 2  # for an interval: the first drop
    assert ask(1.11, 0.050) == 0
    assert ask(1.20, 0.050) == 0
    assert ask(1.22, 0.050) == 2  # 0.1 later
    following = 1.21 + 0.1 / math.sqrt(2)
    assert codel.state[2] == pytest.approx(following)
    assert ask(following + 0.001, 0.050) == 2
    assert ask(1.3, 0.001) == 0  # below: over
    assert ask(1.4, 0.050) == 0


def test_codel_never_drops_the_last_one() -> None:
    codel = Asked("codel")
    assert all(codel("dequeue", now=k / 10, oldest=9.0, waiting=1) == 0 for k in range(10, 30))


def test_codel_resumes_near_its_last_pace() -> None:
    codel = Asked("codel")
    codel.state[:] = [0.5, 0.0, 0.9, 7.0, 2.0]
    assert codel("dequeue", now=1.0, oldest=0.1, waiting=9) == 2
    assert codel.state[3] == 5.0


def test_adaptive_lifo_serves_the_youngest_under_backlog_and_drops_the_stale() -> None:
    queue = Asked("adaptive_lifo")
    assert queue("dequeue", busy=0.05, oldest=0.05) == 0
    assert queue("dequeue", busy=0.05, oldest=0.11) == 2
    assert queue("dequeue", busy=0.11, oldest=0.004) == 1
    assert queue("dequeue", busy=0.11, oldest=0.006) == 2
    assert Asked("adaptive_lifo", drop=0)("dequeue", busy=0.11, oldest=9.0) == 1
    assert Asked("adaptive_lifo", lifo=0)("dequeue", busy=0.11, oldest=0.001) == 0
