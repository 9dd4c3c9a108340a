"""Whose turn it is: priority, ageing, shares, and nothing forgotten."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.queue.model import Job
from howdah.queue.ready import BLOCKED, Bucket, Ready


def job(
    row: int,
    *,
    at: float = 0.0,
    tenant: str | None = None,
    priority: int = 0,
    kind: str = "k",
) -> Job:
    return Job(row, 0, f"(0,{row})", 1, kind, at, tenant=tenant, priority=priority)


def is_row(row: int, job: Job) -> bool:
    return job.row == row


def open_but(shut: str, most: int, bucket: Bucket) -> int:
    return BLOCKED if bucket.kind == shut else most


def take(ready: Ready, most: int = 1) -> list[Job]:
    taken = ready.take(lambda bucket: most)
    return taken[1] if taken else []


def test_the_more_urgent_runs_first_and_equals_in_order() -> None:
    ready = Ready(60.0, {})
    for row, priority in enumerate((1, 0, 1, 0), start=1):
        ready.put(job(row, at=float(row), priority=priority), alone=False)
    assert [take(ready)[0].row for _ in range(4)] == [2, 4, 1, 3]


def test_ageing_makes_the_least_urgent_run_under_a_flood_of_urgent_ones() -> None:
    ready = Ready(10.0, {})
    ready.put(job(1, at=0.0, priority=3), alone=False)
    row, ran_at = 1, None
    for second in range(120):
        for _ in range(3):  # three urgent ones come each second, one runs
            row += 1
            ready.put(job(row, at=float(second)), alone=False)
        (ran,) = take(ready)
        if ran.row == 1:
            ran_at = second
    # Only the 90 urgent ones that came within 3 * 10 seconds were before it, and those of the
    # thirtieth second, whose score is the same.
    assert ran_at in range(90, 94)


def test_without_ageing_in_sight_it_would_starve() -> None:
    ready = Ready(1e9, {})
    ready.put(job(1, priority=3), alone=False)
    for row in range(2, 100):
        ready.put(job(row, at=float(row)), alone=False)
        assert take(ready)[0].row == row


@pytest.mark.parametrize("most", [1, 7, 50])
def test_weights_give_shares_within_five_percent(most: int) -> None:
    weights = {"a": 5.0, "b": 2.0, "d": 0.5}
    ready, row, served = Ready(60.0, weights), 0, Counter[str]()
    for tenant in "abcd":
        for _ in range(6_000):
            row += 1
            ready.put(job(row, tenant=tenant), alone=False)
    while sum(served.values()) < 6_800:  # 800 rounds: nobody runs dry
        for each in take(ready, most):
            served[each.tenant or ""] += 1
    total = sum(served.values())
    for tenant, weight in {"a": 5.0, "b": 2.0, "c": 1.0, "d": 0.5}.items():
        assert served[tenant] / total == pytest.approx(weight / 8.5, rel=0.05)


def test_a_tenant_that_was_blocked_or_away_saves_nothing() -> None:
    ready = Ready(60.0, {})
    for row in range(1, 201):
        ready.put(job(row, tenant="ab"[row % 2]), alone=False)
    for _ in range(50):
        ready.begin_pass()
        taken = ready.take(lambda bucket: BLOCKED if bucket.tenant == "a" else 1)
        assert taken is not None
        assert taken[1][0].tenant == "b"
    ready.begin_pass()
    served = [take(ready)[0].tenant for _ in range(20)]
    assert served.count("a") == served.count("b") == 10


def test_when_everything_is_blocked_there_is_nothing() -> None:
    ready = Ready(60.0, {})
    ready.put(job(1), alone=False)
    assert ready.take(lambda bucket: BLOCKED) is None
    assert ready.take(lambda bucket: 1) is None, "in this pass"
    ready.begin_pass()
    assert take(ready) == [job(1)]
    assert len(ready) == 0


def test_no_room_in_this_claim_ends_the_taking_and_changes_nothing() -> None:
    ready = Ready(60.0, {})
    ready.put(job(1), alone=False)
    taken = ready.take(lambda bucket: 0)
    assert taken is not None
    assert taken[1] == []
    assert take(ready) == [job(1)]


def test_a_late_comer_with_an_early_row_goes_first() -> None:
    ready = Ready(60.0, {})
    for row in (5, 6, 2, 1):
        ready.put(job(row), alone=False)
    assert [each.row for each in take(ready, 10)] == [1, 2, 5, 6]


def test_jobs_that_run_alone_stand_in_a_bucket_of_their_own() -> None:
    ready, seen = Ready(60.0, {}), []
    ready.put(job(1), alone=False)
    ready.put(job(2), alone=True)

    def room(bucket: Bucket) -> int:
        seen.append(bucket.alone)
        return 1

    assert ready.take(room) is not None
    assert ready.take(room) is not None
    assert set(seen) == {True, False}


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_every_job_comes_out_once_whatever_is_blocked(seed: int) -> None:
    random = Random(seed)
    ready, inside, row = Ready(5.0, {"x": 3.0}), set(), 0
    for _ in range(150):
        if random.random() < 0.5:
            row += 1
            tenant, kind = random.choice((None, "x", "y")), random.choice("kl")
            priority = random.randint(-1, 2)
            ready.put(
                job(row, at=float(row), tenant=tenant, kind=kind, priority=priority), alone=False
            )
            inside.add(row)
        elif random.random() < 0.1 and inside:
            gone = random.choice(sorted(inside))
            withdrawn = ready.withdraw(partial(is_row, gone))
            assert [each.row for each in withdrawn] == [gone]
            inside.discard(gone)
        else:
            ready.begin_pass()
            shut = random.choice(("k", "l", "none"))
            taken = ready.take(partial(open_but, shut, random.randint(1, 3)))
            for each in taken[1] if taken else []:
                assert each.kind != shut
                inside.remove(each.row)
        assert len(ready) == len(inside)
    ready.begin_pass()
    while run := take(ready, 5):
        inside.difference_update(each.row for each in run)
    assert not inside
