"""`done` against a naive count."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.queue.windows import COMPACT_AT, JOINED_ROWS, Windows


@given(seed=st.integers(0, 10**6), many=st.booleans())
@settings(max_examples=30, deadline=None)
def test_done_never_passes_an_open_row_and_reaches_the_end(seed: int, many: bool) -> None:
    random = Random(seed)
    windows = Windows()
    rows: list[int] = []
    size = JOINED_ROWS if many else 3
    most = 80 + COMPACT_AT
    for number in range(1, most + 1):
        for last in (False, True):
            count = random.choice((0, 1, size))
            windows.see(number, count, complete=last)
            rows += [number] * count
            assert windows.done < min([number + last, *rows])
        random.shuffle(rows)
        for _ in range(random.randint(0, len(rows))):
            windows.finish(rows.pop())
        assert windows.done < min(rows, default=number + 1)
        assert windows.open_rows == len(rows)
    for row in rows:
        windows.finish(row)
    assert windows.done == most


def test_an_incomplete_window_is_not_done() -> None:
    windows = Windows()
    windows.see(1, 0, complete=False)
    assert windows.done == 0
    windows.see(1, 0, complete=True)
    assert windows.done == 1


def test_finished_groups_behind_an_open_row_are_merged() -> None:
    windows = Windows()
    windows.see(1, JOINED_ROWS, complete=True)
    for number in range(2, 1_000):
        windows.see(number, JOINED_ROWS, complete=True)
        for _ in range(JOINED_ROWS):
            windows.finish(number)
    assert windows.groups <= COMPACT_AT + 1
    for _ in range(JOINED_ROWS):
        windows.finish(1)
    assert windows.done == 999


def test_the_floor_follows_done() -> None:
    windows = Windows()
    windows.see(1, JOINED_ROWS, complete=True)
    windows.named(7)
    windows.see(2, 1, complete=True)
    windows.named(8)
    assert windows.floor(9) == 7
    for _ in range(JOINED_ROWS):
        windows.finish(1)
    assert windows.floor(9) == 8
    windows.finish(2)
    assert windows.floor(9) == 9


def test_a_long_window_does_not_pin_itself() -> None:
    """A backlog written in one transaction is one window, and no reason to copy its rows out."""
    windows = Windows()
    windows.see(1, 50_000, complete=False)
    windows.see(1, 50_000, complete=True)
    assert not windows.pinned(10_000)
    windows.see(2, 10_001, complete=True)
    assert windows.pinned(10_000)
