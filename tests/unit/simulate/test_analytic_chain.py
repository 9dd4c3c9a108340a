"""Chains against exact fractions, sparse solvers, closed forms, and Metafor's program (A16)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse, stats
from scipy.sparse import linalg

from howdah.errors import BadInput
from howdah.simulate.analytic.chain import (
    Chain,
    chain,
    committor,
    equilibrium,
    hitting_times,
    relaxation,
)
from howdah.simulate.analytic.queues import mmck
from howdah.simulate.analytic.retrial import mm11_retrial
from howdah.simulate.analytic.storm import _too_late, escapes, retrial, retry_storm

close = pytest.approx


def line(births: float, deaths: float, states: int) -> Chain:
    up = [(i, i + 1, births) for i in range(states - 1)]
    return chain(states, up + [(i + 1, i, deaths) for i in range(states - 1)])


def at(states: int, *where: int) -> np.ndarray:
    flags = np.zeros(states, dtype=bool)
    flags[list(where)] = True
    return flags


def test_gamblers_ruin() -> None:
    walk = line(1.0, 2.0, 11)
    chances = committor(walk, at(11, 0), at(11, 10))
    assert list(chances) == close([(2.0**i - 1) / (2.0**10 - 1) for i in range(11)])


def test_hitting_times_keep_every_digit() -> None:
    """E[0 -> n] of a walk that drifts back: 1e30 seconds, in exact fractions."""
    births, deaths, top = Fraction(1), Fraction(10), 30
    step, total = Fraction(0), Fraction(0)
    for i in range(top):
        step = 1 / births + (deaths / births * step if i else 0)
        total += step
    found = hitting_times(line(1.0, 10.0, top + 1), at(top + 1, top))[0]
    assert float(total) > 1e28
    assert found == close(float(total), rel=1e-12)


def test_equilibrium_of_a_bounded_queue() -> None:
    share = equilibrium(line(0.8, 1.0, 21))
    assert float(share[-1]) == close(mmck(0.8, 1.0, 1, 20).p_refused)
    assert float(share.sum()) == close(1.0)


def test_relaxation_of_a_bounded_queue() -> None:
    """The spectral gap of M/M/1/K: l + m - 2 sqrt(l m) cos(pi / (K + 1)), Takacs 1962."""
    states = 21
    gap = 1.8 - 2 * np.sqrt(0.8) * np.cos(np.pi / states)
    assert relaxation(line(0.8, 1.0, states)) == close(1 / gap, rel=1e-8)


def test_relaxation_with_circulation() -> None:
    """Complex eigenvalues: what counts is the decay, not the turning."""
    ring = chain(7, [(i, (i + 1) % 7, 3.0) for i in range(7)])
    values = np.sort(np.linalg.eigvals(ring.dense()).real)[::-1]
    assert relaxation(ring) == close(-1 / values[1], rel=1e-8)


def test_a_state_without_a_way_out_is_refused() -> None:
    dead_end = chain(3, [(0, 1, 1.0), (1, 0, 1.0), (1, 2, 1.0)])
    with pytest.raises(BadInput, match="cannot leave"):
        hitting_times(dead_end, at(3, 0))
    with pytest.raises(BadInput, match="both good and bad"):
        committor(dead_end, at(3, 0), at(3, 0))


@pytest.mark.parametrize(
    ("arrival", "up", "down", "relaxes"),
    [
        (9.5, 61, 7.7e13, 41),
        (6.0, 1.5e6, 4.1e4, None),
        (7.0, 1.6e4, 1.2e7, None),
        (8.0, 709, 4.8e9, None),
    ],
)
def test_metafor_program(arrival: float, up: float, down: float, relaxes: float | None) -> None:
    """A16: 10 a second served, queue 100, orbit 20, timeout 3 s, 4 retries."""
    storm = retry_storm(arrival=arrival, service=0.1, queues=100, orbits=20, timeout=3.0, retries=4)
    found = escapes(storm)
    assert found.tips_after == close(up, rel=0.03)
    assert found.recovers_after == close(down, rel=0.05)
    if relaxes is not None:
        assert found.relaxation == close(relaxes, rel=0.02)


def test_the_storm_against_a_sparse_solver() -> None:
    storm = retry_storm(arrival=6.0, service=0.1, queues=100, orbits=20, timeout=3.0, retries=4)
    keep = ~storm.where(queue_to=0)
    generator = sparse.csc_matrix(storm.chain.dense())[keep][:, keep]
    expected = linalg.spsolve(generator, -np.ones(int(keep.sum())))
    found = hitting_times(storm.chain, storm.where(queue_to=0))[keep]
    assert np.allclose(found, expected, rtol=1e-7)
    basin = committor(storm.chain, storm.where(queue_to=0), storm.where(queue_from=90))
    assert 0 <= basin.min() <= basin.max() <= 1
    assert basin[storm.at(80, 19)] > basin[storm.at(80)] > basin[storm.at(10)]


@pytest.mark.parametrize(("servers", "ahead"), [(1, 0), (1, 9), (3, 1), (3, 2), (3, 25), (8, 90)])
def test_late_is_a_wait_and_a_service(servers: int, ahead: int) -> None:
    k = ahead - servers + 1
    t = 7.0
    if k <= 0:
        expected = np.exp(-t)
    else:
        w = np.linspace(0, t, 20001)
        density = stats.gamma.pdf(w, k, scale=1 / servers) * np.exp(-(t - w))
        expected = stats.gamma.sf(t, k, scale=1 / servers) + np.trapezoid(density, w)
    assert _too_late(ahead, 1.0, servers, t) == close(float(expected), rel=1e-4)


def test_retrial_chain_has_the_closed_form() -> None:
    storm = retrial(arrival=0.7, service=1.0, servers=1, capacity=1, backoff=20.0, orbits=300)
    share = equilibrium(storm.chain).reshape(2, 300)
    orbit = float((share.sum(axis=0) * np.arange(300)).sum())
    assert orbit == close(mm11_retrial(0.7, 1.0, 0.05).orbit, rel=1e-6)
