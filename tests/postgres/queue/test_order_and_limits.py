"""Keys, tenants, concurrency and rates, measured inside the handlers."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from typing import Any

import pytest

from howdah.queue import Allowance, Backoff, JobContext, KindPolicy, Limit, Queue, Rate
from howdah.testing import Database, wait_until

from .working import made, wait_for, wait_quiet, working

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

SOON = Backoff(base_seconds=0.05, jitter="none")


class Meter:
    """How many run at once, by name, and when each began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[tuple[float, str]] = []

    def __call__(self, *names: str, seconds: float = 0.01) -> None:
        with self._lock:
            self.began += [(time.monotonic(), name) for name in names]
            for name in names:
                self._now[name] += 1
                self.most[name] = max(self.most[name], self._now[name])
        threading.Event().wait(seconds)
        with self._lock:
            for name in names:
                self._now[name] -= 1


@pytest.mark.parametrize("policy", ["block", "park", "skip"])
def test_jobs_of_a_key_run_in_order_and_one_at_a_time(database: Database, policy: Any) -> None:
    queue = Queue("shop", lease_seconds=2)
    order: defaultdict[str, list[int]] = defaultdict(list)
    meter = Meter()

    @queue.job(on_failure=policy, max_attempts=5, backoff=SOON)
    def step(n: int, ctx: JobContext) -> None:
        assert ctx.key is not None
        meter(ctx.key)
        if n % 7 == 3 and ctx.attempt < 3:
            raise ValueError("again")
        order[ctx.key].append(n)

    with made(database, queue) as connection, working(queue, database.dsn, threads=8):
        for n in range(30):
            for key in "abcd":
                step.having(key=key).enqueue(connection, n=n)
        wait_until(lambda: sum(map(len, order.values())) >= 120, seconds=30)
        wait_quiet(connection, "shop")
    assert set(meter.most.values()) == {1}
    assert order.keys() == set("abcd")
    assert all(sorted(each) == list(range(30)) for each in order.values())
    if policy != "skip":
        assert all(each == sorted(each) for each in order.values())


@pytest.mark.parametrize("policy", ["block", "park", "skip"])
def test_a_dead_letter_holds_its_key_by_its_policy(database: Database, policy: Any) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[int] = []
    broken = threading.Event()
    broken.set()

    @queue.job(on_failure=policy, max_attempts=2, backoff=SOON)
    def step(n: int) -> None:
        if n == 0 and broken.is_set():
            raise ValueError("broken")
        seen.append(n)

    with made(database, queue) as connection:
        with working(queue, database.dsn):
            first = step.having(key="k").enqueue(connection, n=0).job
            for n in range(1, 5):
                step.having(key="k").enqueue(connection, n=n)
            step.having(key="other").enqueue(connection, n=100)
            wait_for(connection, "SELECT count(*) = 1 FROM howdah.queue_dead")
            if policy == "skip":
                wait_until(lambda: len(seen) == 5)
                return
            wait_for(connection, "SELECT count(*) = 4 FROM howdah.queue_parked")
            step.having(key="k").enqueue(connection, n=5)
            wait_for(connection, "SELECT count(*) = 5 FROM howdah.queue_parked")
        assert seen == [100]
        with working(queue, database.dsn):  # the hold outlives the dispatcher
            step.having(key="k").enqueue(connection, n=6)
            wait_for(connection, "SELECT count(*) = 6 FROM howdah.queue_parked")
            assert seen == [100]
            broken.clear()
            queue.redrive(connection, first)
            wait_until(lambda: len(seen) == 8)
            wait_quiet(connection, "shop")
            left = connection.execute(
                "SELECT (SELECT count(*) FROM howdah.queue_parked)"
                " + (SELECT count(*) FROM howdah.queue_hold)"
            ).fetchone()
    assert seen == [100, *range(7)]
    assert left == (0,)


def test_discarding_lets_a_blocked_key_go_on_and_a_parked_one_waits_for_release(
    database: Database,
) -> None:
    queue = Queue("shop", lease_seconds=2)
    seen: list[str] = []

    @queue.job(on_failure="block", max_attempts=1)
    def blocking(name: str) -> None:
        seen.append(name)
        if name == "bad":
            raise ValueError

    @queue.job(on_failure="park", max_attempts=1)
    def parking(name: str) -> None:
        blocking(name)

    with made(database, queue) as connection, working(queue, database.dsn):
        bad = [blocking.having(key="b").enqueue(connection, name="bad").job]
        bad.append(parking.having(key="p").enqueue(connection, name="bad").job)
        wait_for(connection, "SELECT count(*) = 2 FROM howdah.queue_dead")
        blocking.having(key="b").enqueue(connection, name="blocked")
        parking.having(key="p").enqueue(connection, name="parked")
        wait_for(connection, "SELECT count(*) = 2 FROM howdah.queue_parked")
        for job in bad:
            queue.discard(connection, job)
        wait_until(lambda: "blocked" in seen)
        wait_for(connection, "SELECT count(*) = 0 FROM howdah.queue_dead")
        assert "parked" not in seen
        queue.release(connection, "p")
        wait_until(lambda: "parked" in seen)
        wait_quiet(connection, "shop")


def test_concurrency_is_never_exceeded(database: Database) -> None:
    queue = Queue(
        "shop",
        lease_seconds=2,
        limits=[
            Limit(name="all", allow=Allowance(concurrency=6)),
            Limit(
                name="kind", by="kind", kinds=frozenset({"narrow"}), allow=Allowance(concurrency=3)
            ),
            Limit(
                name="tenant",
                by="tenant",
                allow=Allowance(concurrency=4),
                overrides={"small": Allowance(concurrency=1)},
            ),
            Limit(name="key", by="key", allow=Allowance(concurrency=2)),
        ],
    )
    meter = Meter()
    ended: list[int] = []

    @queue.job
    def narrow(n: int, ctx: JobContext) -> None:
        meter("all", "narrow", f"tenant {ctx.tenant}", f"key {ctx.key}")
        ended.append(n)

    @queue.job
    def wide(n: int, ctx: JobContext) -> None:
        meter("all", "wide", f"tenant {ctx.tenant}", f"key {ctx.key}")
        ended.append(n)

    with (
        made(database, queue) as connection,
        working(queue, database.dsn, threads=8),
        working(queue, database.dsn, threads=8, dispatch=False),
    ):
        for kind in ("narrow", "wide"):
            for tenant in ("small", "large", "other"):
                queue.enqueue_many(connection, kind, [{"n": n} for n in range(40)], tenant=tenant)
            queue.enqueue_many(connection, kind, [{"n": n} for n in range(20)], key="k")
        wait_until(lambda: len(ended) >= 280, seconds=30)
        wait_quiet(connection, "shop")
    assert meter.most["all"] <= 6
    assert meter.most["narrow"] <= 3
    assert meter.most["tenant small"] == 1
    assert max(meter.most["tenant large"], meter.most["tenant other"]) <= 4
    assert meter.most["key k"] <= 2
    assert meter.most["all"] >= 3  # and it is used


@pytest.mark.parametrize("form", ["bucket", "window"])
def test_rates_are_never_exceeded(database: Database, form: Any) -> None:
    rate = Rate(count=20, seconds=0.5, form=form, burst=5 if form == "bucket" else None)
    queue = Queue(
        "shop",
        lease_seconds=2,
        limits=[Limit(name="rate", by="kind", allow=Allowance(rate=rate))],
    )
    meter = Meter()

    @queue.job
    def call(n: int) -> None:
        meter("call", seconds=0)

    with made(database, queue) as connection, working(queue, database.dsn, threads=4):
        queue.enqueue_many(connection, "call", [{"n": n} for n in range(60)])
        wait_until(lambda: len(meter.began) >= 60, seconds=30)
        wait_quiet(connection, "shop")
    began = sorted(at for at, _ in meter.began)
    # The dispatcher counts starts; a handler begins a little later: the slack is that delay.
    for i, first in enumerate(began):
        for j in range(i, len(began)):
            span = began[j] - first + 0.15
            most = 20 * (span // 0.5 + 1) if form == "window" else 5 + span * 40 + 1
            assert j - i + 1 <= most, (i, j, span)
    assert began[-1] - began[0] >= (0.9 if form == "window" else 1.2)


def test_tenants_get_their_shares(database: Database) -> None:
    queue = Queue(
        "shop",
        lease_seconds=2,
        weights={"gold": 3.0},
        default=KindPolicy(batch_max=1),
        limits=[Limit(name="all", allow=Allowance(concurrency=1))],
    )
    order: list[str] = []

    @queue.job(batch_max=1)
    def serve(ctx: JobContext) -> None:
        order.append(ctx.tenant or "")

    with made(database, queue) as connection:
        queue.enqueue_many(connection, "serve", [{} for _ in range(300)], tenant="loud")
        queue.enqueue_many(connection, "serve", [{} for _ in range(60)], tenant="gold")
        queue.enqueue_many(connection, "serve", [{} for _ in range(20)], tenant="small")
        with working(queue, database.dsn, threads=1):
            wait_until(lambda: len(order) >= 380, seconds=60)
            wait_quiet(connection, "shop")
    first = Counter(order[:100])
    assert 52 <= first["gold"] <= 60  # three of five
    assert 17 <= first["small"] <= 20


def test_the_urgent_go_first_and_the_old_do_not_starve(database: Database) -> None:
    queue = Queue("shop", lease_seconds=2, ageing_seconds=1.0)
    order: list[str] = []

    @queue.job(batch_max=1)
    def work(name: str) -> None:
        order.append(name)

    with made(database, queue) as connection:
        for n in range(3):
            work.having(priority=5).enqueue(connection, name=f"later {n}")
        work.having(priority=-5).enqueue(connection, name="urgent")
        work.enqueue(connection, name="normal")
        with working(queue, database.dsn, threads=1):
            wait_until(lambda: len(order) == 5)
            wait_quiet(connection, "shop")
    assert order == ["urgent", "normal", "later 0", "later 1", "later 2"]
