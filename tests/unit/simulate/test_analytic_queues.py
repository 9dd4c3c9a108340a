"""Queueing formulas against known values and against other ways to the same figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from howdah.errors import BadInput
from howdah.simulate.analytic import networks, queues
from howdah.simulate.analytic.caches import hit_share
from howdah.simulate.analytic.chain import chain, equilibrium
from howdah.simulate.analytic.moments import (
    erlang_survival,
    mean,
    quantile,
    second_moment,
    variability,
)
from howdah.simulate.analytic.retrial import mm11_retrial
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

close = pytest.approx


@pytest.mark.parametrize(
    "law",
    [
        Constant(value=2.0),
        Exponential(mean=3.0),
        Uniform(low=1.0, high=4.0),
        LogNormal(median=2.0, sigma=0.5),
        Erlang(stages=4, mean=2.0),
        Pareto(minimum=1.0, shape=6.0),
        Empirical(quantiles=(0.0, 1.0, 1.5, 6.0)),
    ],
)
def test_moments_are_those_of_the_quantiles(law: Distribution) -> None:
    u = (np.arange(400_000) + 0.5) / 400_000
    x = quantile(law, u)
    assert float(x.mean()) == close(mean(law), rel=2e-4)
    assert float((x**2).mean()) == close(second_moment(law), rel=2e-3)


def test_heavy_tails_have_no_moments() -> None:
    assert math.isinf(mean(Pareto(minimum=1.0, shape=1.0)))
    assert math.isinf(second_moment(Pareto(minimum=1.0, shape=2.0)))
    assert variability(Exponential(mean=5.0)) == close(1.0)
    assert variability(Constant(value=0.0)) == 0.0


def test_erlang_tail() -> None:
    t = np.array([0.0, 0.1, 3.0, 200.0])
    for stages in (1, 7, 400):
        expected = stats.gamma.sf(t, stages, scale=0.5)
        assert np.allclose(erlang_survival(stages, 2.0, t), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(("load", "servers"), [(0.5, 1), (8.0, 10), (95.0, 100)])
def test_erlang_b_and_c(load: float, servers: int) -> None:
    k = np.arange(servers + 1)
    weights = np.exp(k * math.log(load) - special.gammaln(k + 1))
    assert queues.erlang_b(load, servers) == close(float(weights[-1] / weights.sum()))
    tail = weights[-1] * servers / (servers - load)
    assert queues.erlang_c(load, servers) == close(float(tail / (weights[:-1].sum() + tail)))


def test_mmc_known_values() -> None:
    single = queues.mmc(0.8, 1.0)
    assert (single.wait, single.sojourn, single.inside) == close((4.0, 5.0, 4.0))
    assert queues.mmc_sojourn_exceeds(0.8, 1.0, 1, 3.0) == close(math.exp(-0.6))
    # Harchol-Balter, chapter 14: M/M/2 with rho = 0.5 waits with 1/3.
    assert queues.mmc(1.0, 1.0, 2).p_wait == close(1 / 3)


@pytest.mark.parametrize(("arrival", "servers"), [(0.8, 1), (2.4, 3), (2.0, 3)])
def test_tail_of_the_sojourn_integrates_to_its_mean(arrival: float, servers: int) -> None:
    tail, _ = integrate.quad(
        lambda t: queues.mmc_sojourn_exceeds(arrival, 1.0, servers, t), 0, np.inf
    )
    assert tail == close(queues.mmc(arrival, 1.0, servers).sojourn, rel=1e-6)


@pytest.mark.parametrize("arrival", [0.3, 1.0, 2.5])
def test_bounded_queue(arrival: float) -> None:
    found = queues.mmck(arrival, 1.0, 1, 7)
    powers = arrival ** np.arange(8)
    assert found.p_refused == close(float(powers[-1] / powers.sum()))
    assert found.busy == close(arrival * (1 - found.p_refused))
    assert found.inside == close(found.throughput * found.sojourn)
    assert queues.mmck(arrival, 1.0, 4, 4).p_refused == close(queues.erlang_b(arrival, 4))


def test_a_huge_load_does_not_overflow() -> None:
    assert queues.mmck(1e6, 1.0, 1, 5000).p_refused == close(1.0, rel=1e-5)


def test_answered_in_time_is_the_mixture() -> None:
    powers = 0.9 ** np.arange(10)
    found = powers / powers.sum()
    expected = sum(p * stats.gamma.cdf(6.0, n + 1) for n, p in enumerate(found))
    assert queues.mm1k_answered_in_time(0.9, 1.0, 10, 6.0) == close(expected)


def test_pollaczek_khinchine() -> None:
    assert queues.mg1(0.8, 1.0, 1.0).wait == close(2.0)  # constant service: half of M/M/1
    assert queues.mg1(0.8, 1.0, 2.0).wait == close(queues.mmc(0.8, 1.0).wait)
    assert queues.mgc(0.8, 1.0, 1.3, 1).wait == close(queues.mg1(0.8, 1.0, 1.3).wait)
    assert queues.mgc(2.4, 1.0, 2.0, 3).wait == close(queues.mmc(2.4, 1.0, 3).wait)


def test_sharing() -> None:
    assert queues.sharing_sojourn(0.5, 1.0, 3.0) == close(6.0)
    assert queues.sharing(0.5, 1.0, 1).sojourn == close(2.0)
    assert queues.sharing(2.4, 1.0, 3).sojourn == close(queues.mmc(2.4, 1.0, 3).sojourn)
    crowded = queues.sharing(5.5, 1.0, 8, overhead=0.01, most=200)
    assert crowded.inside > queues.sharing(5.5, 1.0, 8).inside
    with pytest.raises(BadInput, match="without a bound"):
        queues.sharing(0.5, 1.0, 1, overhead=0.1)


def test_priorities() -> None:
    waits = queues.cobham((0.4, 0.4), 1.0, 2.0)
    assert waits == close((0.8 / 0.6, 0.8 / (0.6 * 0.2)))
    # Work is conserved: the load-weighted waits are those of one band.
    assert sum(0.4 * w for w in waits) == close(0.8 * queues.mmc(0.8, 1.0).wait)
    assert queues.cobham((1.2, 1.2), 1.0, 2.0, 3)[0] < queues.mmc(2.4, 1.0, 3).wait
    assert math.isinf(queues.cobham((0.5, 0.7), 1.0, 2.0)[1])


def test_size_based() -> None:
    sizes = quantile(Exponential(mean=1.0), (np.arange(20_000) + 0.5) / 20_000)
    shortest, each = queues.size_based_sojourn(0.8, sizes)
    least, _ = queues.size_based_sojourn(0.8, sizes, discipline="las")
    assert least == close(queues.sharing(0.8, 1.0, 1).sojourn, rel=0.02)  # exponential: as PS
    assert shortest < least
    assert each[0] == close(0.0, abs=0.01)

    # The textbook integral at x = 2, with S exponential.
    def load(x: float) -> float:
        return 0.8 * (1 - math.exp(-x) * (1 + x))

    square, _ = integrate.quad(lambda s: s * s * math.exp(-s), 0, 2)
    residence, _ = integrate.quad(lambda s: 1 / (1 - load(s)), 0, 2)
    expected = 0.8 * (square + 4 * math.exp(-2)) / (2 * (1 - load(2)) ** 2) + residence
    assert float(each[np.searchsorted(sizes, 2.0)]) == close(expected, rel=0.01)


@pytest.mark.parametrize(("arrival", "servers"), [(0.8, 1), (1.0, 1), (3.6, 3)])
def test_impatience_against_a_chain_of_phases(arrival: float, servers: int) -> None:
    """The fixed patience as the workload process on a fine grid, solved as a chain."""
    patience, step = 2.0, 0.002
    found = queues.mmc_impatient(arrival, 1.0, servers, patience)
    x = np.arange(step / 2, 40, step)
    drift = servers - arrival
    density = np.where(
        x < patience,
        np.exp(-drift * x),
        np.exp(-drift * patience - servers * (x - patience)),
    )
    few = [arrival**k / math.factorial(k) for k in range(servers)]
    total = sum(few) + few[-1] * arrival * density.sum() * step
    lost = few[-1] * arrival * density[x > patience].sum() * step / total
    assert found.p_abandon == close(lost, rel=2e-3)
    assert found.busy == close(arrival * (1 - found.p_abandon) / servers)
    busy = sum(min(k, servers) * p for k, p in enumerate(few)) / total
    busy += servers * few[-1] * arrival * density.sum() * step / total
    assert busy / servers == close(found.busy, rel=3e-3)
    assert found.answered < 1 - found.p_abandon


def test_overload_has_no_equilibrium() -> None:
    with pytest.raises(BadInput, match="no equilibrium"):
        queues.mmc(1.0, 1.0)
    with pytest.raises(BadInput, match="no equilibrium"):
        queues.mg1(2.0, 1.0, 2.0)
    with pytest.raises(BadInput, match="grows for ever"):
        mm11_retrial(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("arrival", "retrial", "orbit"), [(0.5, 0.2, 3.0), (0.8, 1.0, 6.4), (0.7, 0.05, 34.3)]
)
def test_retrial_orbit(arrival: float, retrial: float, orbit: float) -> None:
    found = mm11_retrial(arrival, 1.0, retrial)
    assert found.orbit == close(orbit)
    most = 400
    rates = [(2 * r, 2 * r + 1, arrival) for r in range(most)]
    rates += [(2 * r, 2 * r - 1, r * retrial) for r in range(1, most)]
    rates += [(2 * r + 1, 2 * r + 3, arrival) for r in range(most - 1)]
    rates += [(2 * r + 1, 2 * r, 1.0) for r in range(most)]
    share = equilibrium(chain(2 * most, rates))
    assert float((share * (np.arange(2 * most) // 2)).sum()) == close(orbit, rel=1e-6)
    assert float(share[1::2].sum()) == close(found.busy)


def test_jackson() -> None:
    routing = np.array([[0.0, 0.5], [1.0, 0.0]])
    arrivals = networks.traffic(np.array([0.4, 0.0]), routing)
    assert list(arrivals) == close([0.8, 0.4])
    first, second = networks.jackson(arrivals, np.array([1.0, 2.0]), (1, 1))
    assert (first.inside, second.inside) == close((4.0, 4.0))


def mean_value_analysis(demands: tuple[float, ...], think: float, users: int) -> float:
    inside = [0.0] * len(demands)
    rate = 0.0
    for n in range(1, users + 1):
        stays = [d * (1 + q) for d, q in zip(demands, inside, strict=True)]
        rate = n / (think + sum(stays))
        inside = [rate * s for s in stays]
    return rate


@pytest.mark.parametrize("users", [1, 5, 60])
def test_closed_network_is_mean_value_analysis(users: int) -> None:
    demands, think = (0.3, 0.1, 0.25), 4.0
    found = networks.closed(demands, (1, 1, 1), think, users)
    assert found.throughput == close(mean_value_analysis(demands, think, users))
    assert found.response == close(users / found.throughput - think)
    assert sum(found.inside) == close(found.throughput * found.response)


def test_closed_network_of_several_servers_is_a_birth_death_chain() -> None:
    users, think, service, servers = 40, 5.0, 1.0, 6
    n = np.arange(users)
    share = queues.birth_death((users - n) / think, np.minimum(n + 1, servers) / service)
    found = networks.closed((service,), (servers,), think, users)
    assert found.inside[0] == close(float((np.arange(users + 1) * share).sum()))
    assert found.busy[0] == close(
        float((np.minimum(np.arange(users + 1), servers) * share).sum()) / servers
    )
    assert networks.closed((1.0,), (1,), 10.0, 30).knee == close(11.0)
    assert networks.closed((0.01, 0.002), (4, 0), 2.0, 3000).throughput == close(400, rel=1e-3)


def test_cache_hits() -> None:
    even = Zipf(keys=1000, exponent=0.0)
    assert hit_share(even, 250) == close(0.25, rel=1e-3)
    assert hit_share(even, 1000) == 1.0
    assert hit_share(Zipf(keys=1000, exponent=1.0), 250) > 0.6
