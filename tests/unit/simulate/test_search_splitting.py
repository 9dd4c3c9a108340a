"""Splitting against a chain that is looked at as the search looks: exactly, every step."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.linalg import expm

from howdah.errors import BadInput
from howdah.simulate.model import Exponential, Model, Open, Queue
from howdah.simulate.search.splitting import Effort, Question, escape

close = pytest.approx
SINGLE = Model(
    clients={"web": Open(rate=0.5, to="db")},
    stations={"db": Queue(service=Exponential(mean=1.0))},
)


def looked_at(arrival: float, step: float, bad: int) -> float:
    """Mean seconds from 0 until M/M/1 is seen with `bad` inside, looking every `step`."""
    states = bad + 60
    q = np.zeros((states, states))
    for i in range(states - 1):
        q[i, i + 1], q[i + 1, i] = arrival, 1.0
    np.fill_diagonal(q, -q.sum(axis=1))
    p = expm(q * step)[:bad, :bad]
    return float(np.linalg.solve(np.eye(bad) - p, np.full(bad, step))[0])


@pytest.mark.parametrize(("bad", "seconds"), [(12, 1.8e4), (20, 4.7e6)])
def test_escape_of_a_single_queue(bad: int, seconds: float) -> None:
    """Twenty inside at half load: once in fifty days, from a fraction of the events."""
    true = looked_at(0.5, 0.5, bad)
    assert true == close(seconds, rel=0.15)
    question = Question(columns=("db.inside",), good=1, bad=bad, step=0.5)
    effort = Effort(runs=200, replications=12, excursions=100, seed=3)
    found = escape(SINGLE, question, effort=effort)
    assert found.time.low <= true <= found.time.high
    assert found.time.high / found.time.low < 5
    assert found.levels[-1] == bad
    assert found.scatter < 1
    assert found.events < 1e6
    assert all(0 < each < 1 for each in found.shares)


def test_estimates_repeat_whatever_the_threads() -> None:
    question = Question(columns=("db.inside",), good=1, bad=8, step=0.5)
    small = Effort(runs=20, replications=4, excursions=30, threads=1)
    once = escape(SINGLE, question, effort=small)
    assert once == escape(SINGLE, question, effort=msgspec.structs.replace(small, threads=2))


def test_the_intervals_are_honest() -> None:
    """Of twenty small estimates, most hold the truth, and their mean is near it: unbiased."""
    true = looked_at(0.5, 0.5, 8)
    question = Question(columns=("db.inside",), good=1, bad=8, step=0.5)
    found = [
        escape(
            SINGLE,
            question,
            effort=Effort(runs=20, replications=6, excursions=30, seed=1000 * k),
        )
        for k in range(20)
    ]
    assert sum(each.time.holds(true) for each in found) >= 15
    flows = np.array([1 / each.time.value for each in found])
    error = flows.std(ddof=1) / np.sqrt(len(flows))
    assert abs(flows.mean() - 1 / true) < 3.5 * error


def test_levels_must_rise() -> None:
    with pytest.raises(BadInput, match="below the bad"):
        escape(SINGLE, Question(columns=("db.inside",), good=5, bad=5))
