"""MongoDB's control laws against steps computed by hand from the published rules."""

from __future__ import annotations

import pytest

from tests.unit.simulate.asking import Asked


def pool(limit: float, peak: float, releases: float, **more: float) -> dict[str, float]:
    return {"limit": limit, "used": min(limit, peak), "peak": peak, "releases": releases} | more


def test_a_pool_that_ran_out_is_tried_a_tenth_larger_and_kept_in_part() -> None:
    probing = Asked("mongo_throughput_probing")
    # 16 tickets in two pools; one ran out: 8 * 1.1 = 8.8, rounded 9 each.
    assert probing.tick(0.1, pool(8, 8, 100), pool(8, 3, 50)) == [9, 9]
    # 150 releases in the first 100 ms, 160 in the next: better. 0.2 * 18 + 0.8 * 16 = 16.4.
    assert probing.tick(0.2, pool(9, 9, 210), pool(9, 3, 100)) == [8, 8]
    assert probing.state[9] == pytest.approx(16.4)
    # Stable again: 16.4 / 2 * 1.1 = 9.02.
    assert probing.tick(0.3, pool(8, 8, 310), pool(8, 3, 150)) == [9, 9]


def test_a_worse_throughput_is_not_kept() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    assert probing.tick(0.1, pool(20, 20, 100)) == [22]
    assert probing.tick(0.2, pool(22, 22, 190)) == [20]
    assert probing.state[9] == 20


def test_an_idle_pool_is_tried_a_tenth_smaller() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    assert probing.tick(0.1, pool(20, 10, 100)) == [18]


def test_rounding_that_changes_nothing_moves_by_one() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    assert probing.tick(0.1, pool(4, 4, 100)) == [5]  # 4.4 rounds to 4


def test_bounds_hold() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    assert probing.tick(0.1, pool(128, 128, 100)) == [115]  # at the most: only down
    least = Asked("mongo_throughput_probing", probers="each")
    assert least.tick(0.1, pool(4, 2, 100)) == [-1]  # at the least and idle: stays


def test_accepted_probes_inflate_by_a_fiftieth() -> None:
    """An accepted probe multiplies the concurrency by 1 + 0.1 * 0.2 = 1.02."""
    probing = Asked("mongo_throughput_probing", probers="each")
    releases, limit = 0.0, 100.0
    before = limit
    for step in range(1, 21):
        releases += limit * step  # ever more
        (new,) = probing.tick(step / 10, pool(limit, limit, releases))
        limit = new if new >= 0 else limit
    assert probing.state[9] == pytest.approx(before * 1.02**10, rel=0.01)


def test_two_probers_do_not_know_each_other() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    assert probing.tick(0.1, pool(20, 20, 100), pool(20, 10, 100)) == [22, 18]


def test_the_metric_may_be_completions() -> None:
    probing = Asked("mongo_throughput_probing", probers="each", metric="completions")
    assert probing.tick(0.1, pool(20, 20, 100, completions=10)) == [22]
    # More releases, fewer completions: not kept.
    assert probing.tick(0.2, pool(22, 22, 900, completions=15)) == [20]
    assert probing.state[9] == 20


def test_shrinking_blocks_the_controller_until_the_tickets_are_back_or_a_minute_passed() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    assert probing.tick(0.1, pool(20, 10, 100)) == [18]
    over = {"limit": 18.0, "used": 20.0, "peak": 20.0, "releases": 100.0}
    assert probing.tick(0.2, over) == [-1]
    assert probing.tick(59.0, over) == [-1]
    assert probing.tick(60.3, over) == [20]


def test_the_peak_is_that_since_the_prober_was_stable() -> None:
    probing = Asked("mongo_throughput_probing", probers="each")
    probing.tick(0.1, pool(20, 20, 100))
    probing.tick(0.2, pool(22, 22, 150))  # not kept
    # Ran out while probing, not since: still counts as having run out.
    assert probing.tick(0.3, pool(20, 5, 200)) == [22]


def test_fixed_tickets_stay() -> None:
    fixed = Asked("fixed_tickets", tickets=12)
    assert fixed.tick(1.0, pool(8, 8, 1), pool(9, 9, 1)) == [12, 12]


def test_the_third_admission_deprioritises() -> None:
    low = Asked("low_priority_pool")
    assert [low("route", taken=n) for n in range(5)] == [0, 0, 0, 1, 1]
    assert Asked("low_priority_pool", exempt=7)("route", taken=9, group=7) == 0
    assert Asked("low_priority_pool", enabled=0)("route", taken=9) == 0


REJECTED, TIMED_OUT = 2, 1


def test_backpressure_of_january_backs_off_by_doubling_and_gives_up_after_five_attempts() -> None:
    driver = Asked("driver_backpressure_2026_01")
    waits = [driver("retry", u=0.5, attempt=k, reason=REJECTED) for k in range(5)]
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4, -1.0])
    assert driver("retry", attempt=0, reason=TIMED_OUT) == -1.0


def test_backpressure_of_january_spends_and_earns_tokens() -> None:
    driver = Asked("driver_backpressure_2026_01", capacity=2)
    assert driver("retry", attempt=0, reason=REJECTED) >= 0
    assert driver("retry", attempt=0, reason=REJECTED) >= 0
    assert driver("retry", attempt=0, reason=REJECTED) == -1.0
    driver("observe", outcome=0, attempt=0)
    assert driver.state[0] == pytest.approx(0.1)
    driver("observe", outcome=0, attempt=1)
    assert driver.state[0] == pytest.approx(1.2)
    driver("observe", outcome=TIMED_OUT, attempt=1)
    assert driver.state[0] == pytest.approx(2.0)
    driver("observe", outcome=REJECTED, attempt=1)
    assert driver.state[0] == pytest.approx(2.0)


def test_backpressure_of_march_retries_twice() -> None:
    driver = Asked("driver_backpressure_2026_03")
    waits = [driver("retry", u=0.5, attempt=k, reason=REJECTED) for k in range(3)]
    assert waits == pytest.approx([0.1, 0.2, -1.0])
    assert driver("retry", attempt=0, reason=TIMED_OUT) == -1.0
    assert driver("retry", u=0.5, attempt=0, reason=REJECTED, asked=1.0) == pytest.approx(1.0)


def test_no_wait_is_longer_than_ten_seconds() -> None:
    driver = Asked("driver_backpressure_2026_03", retries=20)
    assert driver("retry", u=0.999, attempt=19, reason=REJECTED) == pytest.approx(9.99)
