"""Concurrency limits and doors, one step at a time."""

from __future__ import annotations

import math

import pytest

from tests.unit.simulate.asking import Asked


def test_aimd_adds_one_when_half_used_and_takes_a_tenth_at_a_drop() -> None:
    limit = Asked("aimd", start=50)
    assert limit("admit", inflight=49) == 1
    assert limit("admit", inflight=50) == 0
    limit("observe", outcome=0, inflight=23)  # 24 with this one: less than half
    assert limit.state[0] == 50
    limit("observe", outcome=0, inflight=24)
    assert limit.state[0] == 51
    limit("observe", outcome=1)
    assert limit.state[0] == 45  # floor(45.9)
    limit("observe", outcome=0, latency=5.1)
    assert limit.state[0] == 40
    for _ in range(50):
        limit("observe", outcome=2)
    assert limit.state[0] == 20


def test_aimd_may_count_what_the_client_waits_for() -> None:
    limit = Asked("aimd", counts="awaited")
    assert limit("admit", inflight=100, awaited=19) == 1
    assert limit("admit", inflight=0, awaited=20) == 0


def test_gradient_steps() -> None:
    limit = Asked("gradient")
    limit("observe", latency=0.01, inflight=49)  # gradient 1: 50 + sqrt(50)
    first = 50 + math.sqrt(50)
    assert limit.state[0] == pytest.approx(first)
    limit("observe", latency=0.04, inflight=60)  # 2 * 10 / 40: a half
    wanted = first * 0.5 + math.sqrt(first)
    assert limit.state[0] == pytest.approx(first * 0.8 + 0.2 * wanted)
    before = limit.state[0]
    limit("observe", latency=0.02, inflight=0)  # hardly used: unchanged
    assert limit.state[0] == before
    limit("observe", latency=0.02, outcome=1)
    assert limit.state[0] == pytest.approx(before * 0.8 + 0.2 * before * 0.9)


def test_gradient_probes_for_the_best_latency() -> None:
    limit = Asked("gradient", probe=2)
    limit("observe", latency=0.01, inflight=60)
    limit("observe", u=0.5, latency=0.01, inflight=60)
    assert limit.state[1] == 0.0
    assert limit.state[2] == 3.0
    assert limit.state[0] == pytest.approx(math.sqrt(50 + math.sqrt(50)))


def test_gradient2_steps() -> None:
    limit = Asked("gradient2", start=40)
    for _ in range(10):
        limit("observe", latency=0.01, inflight=0)
    assert limit.state[:2] == [40, pytest.approx(0.01)]
    limit("observe", latency=0.03, inflight=39)
    long = 0.01 * (1 - 2 / 601) + 0.03 * 2 / 601
    wanted = 40 * max(0.5, 1.5 * long / 0.03) + 4
    assert limit.state[0] == pytest.approx(40 * 0.8 + wanted * 0.2)


def test_vegas_keeps_the_queue_between_alpha_and_beta() -> None:
    limit = Asked("vegas")
    limit("observe", latency=0.010, inflight=19)  # the best so far
    assert limit.state[:2] == [20, 0.010]
    limit("observe", latency=0.0101, inflight=19)  # queue 1: far below alpha, + beta
    assert limit.state[0] == 26
    limit("observe", latency=0.0108, inflight=25)  # ceil(26 * 0.074) = 2 < 3
    assert limit.state[0] == 27
    limit("observe", latency=0.012, inflight=25)  # ceil(27 / 6) = 5: within
    assert limit.state[0] == 27
    limit("observe", latency=0.02, inflight=25)  # 14 > 6
    assert limit.state[0] == 26
    limit("observe", latency=0.02, inflight=3)  # hardly used
    assert limit.state[0] == 26
    limit("observe", latency=0.02, outcome=1)
    assert limit.state[0] == 25


def test_vegas_probes() -> None:
    limit = Asked("vegas", probe=0.1)
    limit("observe", latency=0.01, inflight=19)
    limit("observe", u=0.5, latency=0.05, inflight=19)  # 0.75 * 0.1 * 20 = 1.5 <= 2
    assert limit.state[1:] == [0.05, 0.0, 0.75]


def test_a_rate_limiter_lets_bursts_through_and_then_the_rate() -> None:
    door = Asked("rate_limiter", rate=10, burst_seconds=0.3)
    assert [door("admit", now=0.0) for _ in range(4)] == [1, 1, 1, 0]
    assert door("admit", now=0.05) == 0
    assert door("admit", now=0.1) == 1
    assert [door("admit", now=100.0) for _ in range(4)] == [1, 1, 1, 0]


def test_a_rate_limiter_is_inert_by_default() -> None:
    door = Asked("rate_limiter")
    assert all(door("admit", now=0.0) == 1 for _ in range(1000))


def test_admission_by_latency_drops_more_while_slow_and_less_after() -> None:
    door = Asked("admission_by_latency", threshold=0.1, period=1.0, up=0.5, down=0.2)
    door("observe", now=0.5, latency=0.2)
    assert door("admit", now=0.9, u=0.01) == 1
    assert door("admit", now=1.0, u=0.49) == 0
    assert door("admit", now=1.0, u=0.51) == 1
    assert door("admit", now=2.0, u=0.29) == 0  # nobody observed: 0.5 - 0.2
    assert door("admit", now=2.0, u=0.31) == 1


def test_admission_by_latency_for_each_class() -> None:
    door = Asked("admission_by_latency", threshold=0.1, up=0.5, classes="each")
    door("observe", now=0.5, latency=0.2, group=1)
    assert door("admit", now=1.0, u=0.1, group=0) == 1
    assert door("admit", now=1.0, u=0.1, group=1) == 0


def test_admission_by_the_wait_at_what_it_watches() -> None:
    door = Asked("admission_by_latency", threshold=0.1, up=0.5, signal="wait")
    assert door("admit", now=1.0, u=0.1, started=10, wait_sum=2.0) == 0
    # ten more waited no longer than 50 ms: down by 0.02
    assert door("admit", now=2.0, u=0.479, started=20, wait_sum=2.5) == 0
    assert door("admit", now=2.0, u=0.481, started=20, wait_sum=2.5) == 1


def test_breakwater_earns_credits_below_the_target_and_loses_them_above() -> None:
    door = Asked("breakwater", target=0.01, period=0.01, start=100)
    assert door("admit", now=0.0, inflight=99) == 1
    assert door("admit", now=0.0, inflight=100) == 0
    door("admit", now=0.01)
    assert door.state[0] == 101  # max(0.001 * 1000, 1)
    door("admit", now=0.02, started=10, wait_sum=0.15)  # 15 ms: 1 - 0.02 * 0.5
    assert door.state[0] == pytest.approx(101 * 0.99)
    assert door("admit", now=0.025) == 1
    assert door("admit", now=0.03, started=20, wait_sum=0.65) == 0  # 50 ms > 2 * 10 ms


def test_breakwater_takes_standstill_for_delay() -> None:
    door = Asked("breakwater", target=0.01, period=0.01, start=100)
    door("admit", now=1.0, waiting=5)
    assert door.state[0] == 50


def test_dagor_cuts_the_least_important_users_first() -> None:
    door = Asked("dagor")
    for k in range(16):  # one request of each user of band 0
        assert door("admit", now=0.5, u=(k + 0.5) / 16) == 1
    # Overloaded: 5 % fewer than 16 is 15.2, so levels go until 15 are left.
    assert door("admit", now=1.0, u=0.0, started=16, wait_sum=16 * 0.021) == 1
    assert door.state[128] == 14
    assert door("admit", now=1.1, u=15.5 / 16) == 0
    assert door("admit", now=1.1, u=14.5 / 16) == 1


def test_dagor_lets_a_few_more_in_when_the_wait_is_short() -> None:
    door = Asked("dagor")
    door.state[128] = 3.0
    for k in range(16):
        door("admit", now=0.5, u=(k + 0.5) / 16)
    door("admit", now=1.0, u=0.0)
    assert door.state[128] == 4  # 4 admitted, 4.04 wanted: the next level makes 5


def test_a_breaker_opens_probes_and_closes() -> None:
    door = Asked("circuit_breaker", calls=4, probes=2, open_seconds=5)
    for outcome in (0, 1, 0):
        door("observe", now=1.0, outcome=outcome)
    assert door("admit", now=1.0) == 1
    door("observe", now=1.0, outcome=1)  # 2 of 4
    assert door("admit", now=1.1) == 0
    assert door("admit", now=5.9) == 0
    assert [door("admit", now=6.0) for _ in range(3)] == [1, 1, 0]
    door("observe", now=6.5, outcome=0, latency=3.0)  # began before: not a probe
    assert door("admit", now=6.5) == 0
    door("observe", now=6.6, outcome=0, latency=0.1)
    door("observe", now=6.6, outcome=0, latency=0.1)
    assert [door("admit", now=6.7) for _ in range(5)] == [1] * 5


def test_a_breaker_opens_again_when_the_probes_fail() -> None:
    door = Asked("circuit_breaker", calls=1, probes=1, open_seconds=5)
    door("observe", now=0.0, outcome=1)
    assert door("admit", now=5.0) == 1
    door("observe", now=5.0, outcome=2)
    assert door("admit", now=5.1) == 0
    assert door("admit", now=10.0) == 1
