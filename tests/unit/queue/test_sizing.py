from __future__ import annotations

from howdah.queue.sizing import Durations


def test_an_unknown_kind_has_no_size() -> None:
    assert Durations().size("k", 0.1, 500) == 0


def test_a_slow_kind_is_claimed_one_by_one() -> None:
    durations = Durations()
    durations.observe("k", 1, 2.0)
    assert durations.size("k", 0.1, 500) == 0


def test_a_fast_kind_grows_by_steps_up_to_its_time() -> None:
    durations, sizes, size = Durations(), [], 1
    for _ in range(6):
        durations.observe("k", size, size * 0.0005)
        size = durations.size("k", 0.1, 500)
        sizes.append(size)
    assert sizes[:3] == [4, 16, 64]
    assert sizes[-1] in (199, 200)


def test_one_slow_batch_shrinks_the_next_and_fast_ones_let_it_grow() -> None:
    durations = Durations()
    durations.observe("k", 200, 0.02)
    assert durations.size("k", 0.1, 500) == 500
    durations.observe("k", 10, 1.0)
    slow = durations.size("k", 0.1, 500)
    assert slow <= 2
    for _ in range(20):
        durations.observe("k", 10, 0.001)
    assert durations.size("k", 0.1, 500) > 50


def test_nothing_measured_changes_nothing() -> None:
    durations = Durations()
    durations.observe("k", 0, 5.0)
    assert durations.seconds("k") is None
