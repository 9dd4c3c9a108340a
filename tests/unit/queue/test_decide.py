"""The dispatcher's decisions, one by one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from howdah.errors import BadInput
from howdah.queue.decide import Dispatcher
from howdah.queue.model import (
    LATER,
    PARKED,
    Ack,
    Cancel,
    Claim,
    Discard,
    Draining,
    Failure,
    Heartbeat,
    Hold,
    Job,
    Left,
    Pause,
    Purge,
    Registered,
    Release,
    Replay,
    Resume,
    Step,
    Unpark,
)
from howdah.queue.policy import (
    Allowance,
    Backoff,
    BudgetOptions,
    FailurePolicy,
    KindPolicy,
    Limit,
    QueuePolicy,
    Rate,
)

STEADY = Backoff(form="fixed", base_seconds=5.0, jitter="none")


class Scene:
    """A dispatcher with one worker, and short words for what happens to it."""

    def __init__(self, policy: QueuePolicy | None = None, *, slots: int = 4, **kind: Any) -> None:
        default = KindPolicy(**({"backoff": STEADY} | kind))
        self.policy = policy or QueuePolicy(default=default)
        self.dispatcher = Dispatcher(self.policy)
        self.now, self.window, self.row, self.heard = 100.0, 0, 0, 0
        self.register("w", slots)

    def register(self, name: str, slots: int, kinds: frozenset[str] | None = None) -> None:
        self.hear(Registered(name, slots, kinds, self.now))

    def hear(self, *reports: Any) -> None:
        self.heard += len(reports)
        self.dispatcher.hear(reports, self.heard)

    def emit(self, count: int = 1, **options: Any) -> list[Job]:
        jobs = []
        self.window += 1
        for _ in range(count):
            self.row += 1
            fields: dict[str, Any] = {"kind": "k", "at": self.now} | options
            jobs.append(Job(self.row, 0, f"(0,{self.row})", self.window, **fields))
        self.dispatcher.see(self.window, jobs, complete=True)
        return jobs

    def step(self, *settled: tuple[int, int, int]) -> Step:
        step = self.dispatcher.plan(self.now)
        if step.urgent:
            self.dispatcher.appended(step, settled)
        return step

    def claims(self) -> list[Claim]:
        return list(self.step().claims)

    def rows(self) -> list[int]:
        return [job.row for claim in self.claims() for job in claim.jobs]

    def ack(self, claim: Claim, **fields: Any) -> None:
        self.hear(Ack(claim.worker, claim.generation, claim.ordinal, self.now, **fields))

    def fail(self, claim: Claim, **fields: Any) -> None:
        self.ack(claim, done=(), failed=[Failure(0, "boom", **fields)])

    def learn(self, seconds: float, jobs: int = 1000, kind: str = "k") -> None:
        self.dispatcher.durations.observe(kind, jobs, seconds * jobs)

    def again(self, job: Job, attempt: int, row: int = 0) -> Job:
        """The row of a later table in which the job comes back."""
        self.row += 1
        return msgspec.structs.replace(
            job, row=row or self.row, segment=LATER, window=0, attempt=attempt, job=job.identity
        )


def test_a_plain_job_is_claimed_acked_and_done() -> None:
    scene = Scene()
    (job,) = scene.emit()
    (claim,) = scene.claims()
    assert claim.jobs == [job]
    assert (claim.generation, claim.ordinal, claim.worker) == (1, 0, "w")
    assert scene.step().done == 0
    scene.ack(claim)
    step = scene.step()
    assert not step.urgent
    assert step.done == 1
    assert step.heard == 2
    assert scene.dispatcher.board.loaded == 0


def test_nothing_new_is_nothing_to_append() -> None:
    scene = Scene()
    assert not scene.step().urgent
    assert scene.step().wake_at is None


def test_two_urgent_steps_need_an_append_between() -> None:
    scene = Scene()
    scene.emit()
    scene.dispatcher.plan(scene.now)
    with pytest.raises(BadInput):
        scene.dispatcher.plan(scene.now)


# Claims


def test_an_unknown_kind_is_claimed_one_by_one_and_spread() -> None:
    scene = Scene(slots=3)
    scene.emit(5)
    assert [len(claim.jobs) for claim in scene.claims()] == [1, 1, 1]


def test_a_fast_kind_fills_the_slots_and_one_claim_ahead_each() -> None:
    scene = Scene(slots=2)
    scene.learn(0.001)
    scene.emit(1_000)
    assert [len(claim.jobs) for claim in scene.claims()] == [100, 100, 100, 100]


def test_few_fast_jobs_are_spread_unless_they_are_nothing() -> None:
    scene = Scene(slots=4)
    scene.learn(0.002)
    scene.emit(20)
    assert [len(claim.jobs) for claim in scene.claims()] == [5, 5, 5, 5]
    scene = Scene(slots=4)
    scene.learn(0.00001)
    scene.emit(20)
    assert [len(claim.jobs) for claim in scene.claims()] == [20]


def test_a_slow_kind_never_waits_behind_a_slot() -> None:
    scene = Scene(slots=2)
    scene.learn(3.0)
    scene.emit(10)
    assert [len(claim.jobs) for claim in scene.claims()] == [1, 1]
    assert scene.claims() == []


def test_the_last_attempt_runs_alone() -> None:
    scene = Scene(slots=4)
    scene.learn(0.00001)
    scene.emit(5)
    scene.emit(1, max_attempts=3, attempt=2)
    assert sorted(len(claim.jobs) for claim in scene.claims()) == [1, 5]


def test_a_worker_gets_only_its_kinds() -> None:
    scene = Scene(slots=1)
    scene.hear(Left("w", scene.now))
    scene.register("only", 2, frozenset({"x"}))
    scene.emit(1, kind="k")
    scene.emit(1, kind="x")
    assert scene.rows() == [2]


def test_a_draining_worker_gets_nothing_and_releases_without_an_attempt() -> None:
    scene = Scene(slots=1)
    scene.emit(2)
    (claim,) = scene.claims()
    scene.hear(Draining("w", scene.now))
    scene.ack(claim, done=(), released=[0])
    assert scene.claims() == []
    scene.register("other", 2)
    claims = scene.claims()
    assert [job.row for claim in claims for job in claim.jobs] == [1, 2]
    assert all(job.attempt == 0 for claim in claims for job in claim.jobs)


def test_memory_is_bounded() -> None:
    scene = Scene(QueuePolicy(loaded_max=10))
    scene.emit(8)
    assert scene.dispatcher.room == 2


# Failures


def test_a_failed_job_waits_its_backoff() -> None:
    scene = Scene()
    (job,) = scene.emit()
    (claim,) = scene.claims()
    scene.fail(claim)
    step = scene.step()
    (later,) = step.later
    assert (later.job, later.due, later.attempt, later.error) == (job, 105.0, 1, "boom")
    assert step.moved == [1]
    assert step.done == 1
    scene.dispatcher.due([scene.again(job, 1)])
    (claim,) = scene.claims()
    assert claim.jobs[0].attempt == 1


def test_the_handlers_own_delay_counts() -> None:
    scene = Scene()
    scene.emit()
    scene.fail(scene.claims()[0], delay=42.0)
    assert scene.step().later[0].due == 142.0


@pytest.mark.parametrize(("fatal", "reason"), [(True, "fatal"), (False, "failed")])
def test_out_of_attempts_or_fatal_is_a_dead_letter(fatal: bool, reason: str) -> None:
    scene = Scene(max_attempts=1 if not fatal else 5)
    scene.emit(unique="digest")
    scene.fail(scene.claims()[0], fatal=fatal)
    step = scene.step()
    assert [(dead.reason, dead.attempt) for dead in step.dead] == [(reason, 1)]
    assert step.later == ()
    assert step.freed == ["digest"]


def test_a_budget_puts_retries_off() -> None:
    budget = BudgetOptions(ratio=0, per_second=0, most=1)
    scene = Scene(budget=budget)
    scene.emit(2)
    for claim in scene.claims():
        scene.fail(claim)
    assert [later.due for later in scene.step().later] == [105.0, 100.0 + 3600.0]


def test_a_partial_ack_leaves_the_rest_open() -> None:
    scene = Scene(slots=1)
    scene.learn(0.00001)
    scene.emit(4)
    (claim,) = scene.claims()
    scene.ack(claim, done=[1], failed=[Failure(3)])
    assert len(scene.step().later) == 1
    scene.ack(claim)
    assert scene.step().done == 1
    scene.ack(claim)
    assert scene.dispatcher.board.tally["late"] == 1


def test_an_expired_job_is_not_run() -> None:
    scene = Scene()
    scene.emit(expires=150.0, key="a")
    scene.emit(key="a")
    scene.now = 150.0
    step = scene.step()
    assert [dead.reason for dead in step.dead] == ["expired"]
    assert [job.row for claim in (*step.claims, *scene.claims()) for job in claim.jobs] == [2]


# Leases


def test_a_silent_worker_loses_its_claims() -> None:
    scene = Scene(slots=1)
    (job,) = scene.emit()
    step = scene.step()
    assert step.wake_at == 115.0
    scene.now = 110.0
    scene.hear(Heartbeat("w", scene.now))
    scene.now = 120.0
    assert not scene.step().urgent
    scene.now = 125.1
    (revoke,) = scene.step().revokes
    assert (revoke.rows, revoke.reason) == ((1,), "lost")
    step = scene.step()
    assert [(later.due, later.attempt) for later in step.later] == [(scene.now, 1)]
    scene.ack(step_claim(job), done=None)
    assert scene.dispatcher.board.tally["late"] == 1
    scene.dispatcher.due([scene.again(job, 1)])
    assert len(scene.claims()) == 1, "it reported: it is back"


def step_claim(job: Job) -> Claim:
    return Claim(1, 0, "w", [job], 100.0, 15.0)


def test_what_a_worker_settled_is_done_though_it_was_lost() -> None:
    scene = Scene(slots=1)
    scene.emit()
    scene.step()
    scene.now = 200.0
    assert scene.step((1, 0, 1)).revokes
    step = scene.step()
    assert not step.later
    assert step.done == 1


def test_a_job_that_kills_its_worker_stops_at_its_limit() -> None:
    scene = Scene(max_attempts=3)
    (job,) = scene.emit()
    step = scene.step()
    for attempt in range(1, 4):
        (claim,) = step.claims
        scene.hear(Left(claim.worker, scene.now))
        assert scene.step().revokes
        step = scene.step()
        if attempt < 3:
            assert step.later[0].attempt == attempt
            scene.dispatcher.due([scene.again(job, attempt)])
            scene.register(f"w{attempt}", 1)
            step = scene.step()
    assert [(dead.reason, dead.attempt) for dead in step.dead] == [("lost", 3)]


# Keys


def test_the_jobs_of_a_key_run_one_after_the_other() -> None:
    scene = Scene()
    scene.emit(3, key="a")
    scene.emit(1, key="b")
    claims = scene.claims()
    assert sorted(job.row for claim in claims for job in claim.jobs) == [1, 4]
    scene.ack(next(claim for claim in claims if claim.jobs[0].row == 1))
    assert scene.rows() == [2]


def held(policy: FailurePolicy, **kind: Any) -> tuple[Scene, Job, Step]:
    """A key whose first of three jobs has just failed."""
    scene = Scene(on_failure=policy, **kind)
    first, *_ = scene.emit(3, key="a")
    scene.fail(scene.claims()[0])
    return scene, first, scene.step()


@pytest.mark.parametrize("policy", ["block", "park"])
def test_a_failure_holds_the_key_until_its_retry_succeeds(policy: FailurePolicy) -> None:
    scene, first, step = held(policy)
    assert step.holds == [Hold(key="a", job=1, policy=policy)]
    assert step.parks == ()
    assert scene.rows() == []
    scene.dispatcher.due([scene.again(first, 1)])
    (claim,) = scene.claims()
    scene.ack(claim)
    step = scene.step()
    assert step.lifted == ["a"]
    assert [job.row for claim in step.claims for job in claim.jobs] == [2]
    assert [job.row for job in step.removed] == [4]


def test_skip_lets_the_next_go_on() -> None:
    _, _, step = held("skip")
    assert not step.holds
    assert [job.row for claim in step.claims for job in claim.jobs] == [2]


def test_a_key_held_for_long_is_set_aside_and_comes_back_in_order() -> None:
    scene, first, step = held("block", max_attempts=1)
    assert [dead.job.row for dead in step.dead] == [1]
    assert [job.row for job in step.parks] == [2, 3]
    assert step.moved == [1, 2, 3]
    assert step.done == 1, "the log is not pinned by a held key"
    scene.emit(key="a")
    assert [job.row for job in scene.step().parks] == [4]
    scene.hear(Replay(1, scene.now))
    assert scene.step().replays == [1]
    scene.dispatcher.due([scene.again(first, 0)])
    (claim,) = scene.claims()
    scene.ack(claim)
    step = scene.step()
    assert step.lifted == ["a"]
    assert step.unparks == [Unpark(key="a")]
    aside = [Job(row, PARKED, "", 0, "k", 100.0, key="a", job=row - 20) for row in (22, 23, 24)]
    scene.dispatcher.unparked("a", aside[:2], more=True)
    seen = []
    for _ in range(3):
        step = scene.step()
        for unpark in step.unparks:
            assert unpark.key == "a"
            scene.dispatcher.unparked("a", aside[1:], more=False)
        (claim,) = step.claims
        seen.append(claim.jobs[0].identity)
        scene.ack(claim)
    assert seen == [2, 3, 4]


def test_discarding_frees_a_blocked_key() -> None:
    scene, _, _ = held("block", max_attempts=1)
    scene.hear(Discard(1, scene.now))
    step = scene.step()
    assert step.discards == [1]
    assert step.lifted == ["a"]
    assert step.unparks


def test_discarding_leaves_a_parked_key_to_a_person() -> None:
    scene, _, _ = held("park", max_attempts=1)
    scene.hear(Discard(1, scene.now))
    step = scene.step()
    assert step.holds == [Hold(key="a", job=None, policy="park")]
    assert not step.unparks
    scene.hear(Release("a", scene.now))
    step = scene.step()
    assert step.lifted == ["a"]
    assert step.unparks


# Commands


def test_cancelling_a_ready_and_a_waiting_job() -> None:
    scene = Scene()
    scene.emit(3, key="a")
    scene.hear(Cancel(1, scene.now), Cancel(2, scene.now))
    step = scene.step()
    assert step.moved == [2, 1] or step.moved == [1, 2]
    assert [job.row for claim in step.claims for job in claim.jobs] == [3]


def test_cancelling_a_running_job_revokes_it_and_nothing_follows() -> None:
    scene = Scene()
    scene.emit(unique="u")
    (claim,) = scene.claims()
    scene.hear(Cancel(1, scene.now))
    (revoke,) = scene.step().revokes
    assert revoke.reason == "cancelled"
    scene.ack(claim)
    step = scene.step()
    assert step.moved == [1]
    assert step.freed == ["u"]
    assert not step.later
    assert step.done == 1


def test_a_cancel_finds_a_job_that_is_read_later() -> None:
    scene = Scene()
    scene.hear(Cancel(1, scene.now))
    assert scene.step().cancelled == [1]
    scene.emit(2)
    step = scene.step()
    assert step.moved == [1]
    assert [job.row for claim in step.claims for job in claim.jobs] == [2]


def test_pauses_stop_what_they_name() -> None:
    scene = Scene()
    scene.hear(Pause(scene.now, kind="k", tenant="x"))
    scene.emit(1, tenant="x")
    scene.emit(1, tenant="y")
    step = scene.step()
    assert step.paused == [Pause(scene.now, kind="k", tenant="x")]
    assert [job.row for claim in step.claims for job in claim.jobs] == [2]
    scene.hear(Resume(scene.now, kind="k", tenant="x"))
    step = scene.step()
    assert step.paused == []
    assert [job.row for claim in step.claims for job in claim.jobs] == [1]


def test_a_purge_drops_what_is_older_and_not_running() -> None:
    scene = Scene(slots=1)
    scene.emit(3)
    scene.step()
    scene.now = 101.0
    scene.hear(Purge(scene.now, kind="k"))
    step = scene.step()
    assert sorted(step.moved) == [2, 3]
    scene.now = 100.5
    scene.emit()
    scene.now = 102.0
    scene.emit()
    assert scene.step().moved == [4], "older, but read later"
    assert scene.dispatcher.board.loaded == 2


# Limits


def test_a_limit_holds_over_workers_and_frees_with_acks() -> None:
    scene = Scene(QueuePolicy(limits=(Limit(name="l", allow=Allowance(concurrency=3)),)))
    scene.register("w2", 8)
    scene.emit(10)
    claims = scene.claims()
    assert sum(len(claim.jobs) for claim in claims) == 3
    scene.ack(claims[0])
    assert len(scene.rows()) == 1


def test_a_rate_says_when_to_wake() -> None:
    limit = Limit(name="l", by="kind", allow=Allowance(rate=Rate(count=2, seconds=10)))
    scene = Scene(QueuePolicy(limits=(limit,)))
    scene.emit(3)
    step = scene.step()
    assert sum(len(claim.jobs) for claim in step.claims) == 2
    assert step.rates == {"l:k": ((0.0, 100.0),)}
    assert step.wake_at == pytest.approx(105.0)
    for claim in step.claims:
        scene.ack(claim)
    scene.now = 105.0
    assert scene.rows() == [3]


def test_the_rate_of_a_key_lets_other_keys_pass() -> None:
    limit = Limit(name="l", by="key", allow=Allowance(rate=Rate(count=1, seconds=10)))
    scene = Scene(QueuePolicy(limits=(limit,)))
    scene.emit(2, key="a")
    scene.emit(1, key="b")
    claims = scene.claims()
    for claim in claims:
        scene.ack(claim)
    step = scene.step()
    assert not step.claims
    assert step.wake_at == pytest.approx(110.0)
    scene.now = 110.0
    assert scene.rows() == [2]


def test_a_key_may_run_several_at_once() -> None:
    limit = Limit(name="l", by="key", allow=Allowance(concurrency=2))
    scene = Scene(QueuePolicy(limits=(limit,)))
    scene.emit(5, key="a")
    claims = scene.claims()
    assert [claim.jobs[0].row for claim in claims] == [1, 2]
    scene.fail(claims[0])
    assert scene.rows() == [3], "without order there is nothing to block"


# A log that would be pinned


def test_a_long_job_is_copied_out_of_the_log_and_goes_on() -> None:
    scene = Scene(QueuePolicy(pinned_max=1_500), slots=1)
    (slow,) = scene.emit(kind="slow")
    (claim,) = scene.claims()
    scene.hear(Pause(scene.now, kind="k"))
    scene.emit(1_000, key="a")
    scene.emit(1_000)
    step = scene.step()
    assert step.parks[0] == slow
    assert len(step.parks) == 1_001, "and the key's jobs, which wait for a pause to end"
    assert 1 in step.moved
    assert step.done == 2
    scene.ack(claim)
    (removed,) = scene.step().removed
    assert (removed.row, removed.segment) == (1, PARKED)


def test_ready_jobs_that_pin_the_log_come_back_from_later_with_their_attempts() -> None:
    scene = Scene(QueuePolicy(pinned_max=1_500), slots=1)
    scene.hear(Pause(scene.now))
    (job,) = scene.emit(attempt=2)
    scene.emit(1_999)
    step = scene.step()
    assert (step.later[0].job, step.later[0].due, step.later[0].attempt) == (job, scene.now, 2)
    assert step.done == 2
    assert scene.dispatcher.board.loaded == 0


def test_a_purge_spares_what_is_in_memory() -> None:
    scene = Scene(slots=1)
    (job,) = scene.emit()
    scene.fail(scene.claims()[0])
    scene.step()
    again = scene.again(job, 1)
    scene.dispatcher.due([again])
    (claim,) = scene.claims()
    scene.hear(Purge(scene.now + 1))
    assert scene.step().spared == [again.row]
    scene.ack(claim)
    assert scene.step().removed == [again]


def test_a_paused_backlog_that_fills_memory_lets_others_pass() -> None:
    scene = Scene(QueuePolicy(loaded_max=8))
    scene.hear(Pause(scene.now, kind="k"))
    scene.emit(4)
    scene.emit(4, key="a")
    step = scene.step()
    put_off = len(step.later) + len(step.parks)
    assert put_off >= 3
    assert scene.dispatcher.room == put_off
    assert all(later.due == scene.now + 30.0 for later in step.later)
    assert not scene.step().urgent, "once in a while is enough"
    scene.emit(1, kind="other")
    assert scene.rows() == [9]


def test_a_key_that_was_put_off_comes_back() -> None:
    scene = Scene(QueuePolicy(loaded_max=4))
    scene.hear(Pause(scene.now, kind="k"))
    scene.emit(4, key="a")
    step = scene.step()
    assert [job.row for job in step.parks] == [1, 2, 3, 4]
    assert step.wake_at == scene.now + 30.0
    scene.hear(Resume(scene.now, kind="k"))
    scene.now += 30.0
    assert scene.step().unparks == [Unpark(key="a")]
    aside = [Job(row, PARKED, "", 0, "k", 100.0, key="a", job=row) for row in (1, 2, 3, 4)]
    scene.dispatcher.unparked("a", aside, more=False)
    assert scene.rows() == [1]
