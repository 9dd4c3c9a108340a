"""Claims that a worker must confirm: lost before it did, they are no attempts."""

from __future__ import annotations

import pytest

from howdah.queue.decide import Dispatcher
from howdah.queue.model import TAKEN, Cancel, Claim, ClaimRow, Page, Record, Registered
from howdah.queue.policy import KindPolicy, QueuePolicy
from howdah.queue.rebuild import rebuild
from tests.unit.queue.test_decide import Scene

LEASE = QueuePolicy().lease_seconds


class Confirming(Scene):
    """A scene whose worker says that it confirms claims."""

    def register(self, name: str, slots: int, kinds: frozenset[str] | None = None) -> None:
        self.hear(Registered(name, slots, kinds, self.now, confirms=True))

    def lose(self, *settled: tuple[int, int, int]) -> None:
        """Let the lease end, and the store answer to the revocation."""
        self.now += LEASE + 0.1
        self.step(*settled)


def test_a_worker_that_was_just_heard_need_not_confirm() -> None:
    scene = Confirming()
    scene.emit()
    (claim,) = scene.claims()
    assert not claim.confirm


def test_one_that_said_nothing_for_a_while_must() -> None:
    scene = Confirming(slots=2)
    scene.now += 0.4 * LEASE
    scene.emit(2)
    assert [claim.confirm for claim in scene.claims()] == [True, True]


def test_a_last_attempt_must_always_be_confirmed() -> None:
    scene = Confirming(max_attempts=3)
    scene.emit(1)
    scene.emit(1, attempt=2)
    scene.emit(1, max_attempts=1)
    claims = {claim.jobs[0].row: claim.confirm for claim in scene.claims()}
    assert claims == {1: False, 2: True, 3: True}


@pytest.mark.parametrize("confirms", [True, False])
def test_workers_of_the_own_process_and_of_older_versions_need_not(confirms: bool) -> None:
    dispatcher = Dispatcher(QueuePolicy(), here={"w"} if confirms else ())
    scene = Scene()
    scene.dispatcher = dispatcher
    scene.hear(Registered("w", 4, None, scene.now, confirms=confirms))
    scene.now += 2 * LEASE
    scene.emit(1, max_attempts=1)
    (claim,) = scene.claims()
    assert not claim.confirm


def test_what_was_lost_before_it_was_taken_is_ready_again_and_no_attempt() -> None:
    scene = Confirming(max_attempts=1)
    (job,) = scene.emit()
    (claim,) = scene.claims()
    scene.now += LEASE + 0.1
    step = scene.step()
    assert step.revokes[0].rows == (job.row, TAKEN)
    assert not step.dead
    scene.register("other", 1)
    (again,) = scene.claims()
    assert (again.worker, again.jobs) == ("other", [job])
    assert scene.dispatcher.board.tally["returned"] == 1
    scene.ack(claim)
    assert scene.dispatcher.board.tally["late"] == 1
    assert scene.step().done == 0
    scene.ack(again)
    assert scene.step().done == 1


def test_what_was_lost_after_it_was_taken_counts() -> None:
    scene = Confirming(max_attempts=1)
    scene.emit()
    (claim,) = scene.claims()
    scene.lose((claim.generation, claim.ordinal, TAKEN))
    (dead,) = scene.step().dead
    assert (dead.reason, dead.attempt) == ("lost", 1)


def test_a_key_keeps_its_order_when_its_first_job_comes_back() -> None:
    scene = Confirming(max_attempts=1)
    first, second = (scene.emit(1, key="a")[0] for _ in range(2))
    scene.claims()
    scene.lose()
    scene.register("other", 4)
    (claim,) = scene.claims()
    assert list(claim.jobs) == [first]
    scene.ack(claim)
    (claim,) = scene.claims()
    assert list(claim.jobs) == [second]


def test_a_cancelled_job_does_not_come_back() -> None:
    scene = Confirming(max_attempts=1)
    (job,) = scene.emit()
    scene.claims()
    scene.now += LEASE + 0.1
    scene.hear(Cancel(job.row, scene.now))
    scene.step()
    scene.register("other", 1)
    step = scene.step()
    assert (step.claims, step.done) == ((), 1)


def recorded(scene: Scene, claim: Claim, revoked: set[int], *, taken: bool) -> Record:
    rows = [job.row for job in claim.jobs]
    claim_id = claim.generation, claim.ordinal
    row = ClaimRow(*claim_id, claim.worker, rows, claim.at, claim.confirm)
    return Record(
        generation=scene.dispatcher.generation,
        claims=[row],
        jobs=[Page(1, claim.jobs, True)],
        revoked=frozenset((*claim_id, each) for each in revoked),
        settled=frozenset({(*claim_id, TAKEN)} if taken else ()),
    )


@pytest.mark.parametrize("taken", [True, False])
def test_the_next_dispatcher_knows_from_the_record_whether_it_counts(taken: bool) -> None:
    scene = Confirming(max_attempts=1)
    (job,) = scene.emit()
    (claim,) = scene.claims()
    record = recorded(scene, claim, {job.row} if taken else {job.row, TAKEN}, taken=taken)
    after = rebuild(QueuePolicy(default=KindPolicy(max_attempts=1)), record, scene.now)
    assert len(after.board.draft.dead) == taken
    assert len(after.board.ready) == (not taken)


def test_an_open_claim_is_still_to_be_confirmed_after_a_failover() -> None:
    scene = Confirming(max_attempts=1)
    scene.emit()
    (claim,) = scene.claims()
    after = rebuild(scene.policy, recorded(scene, claim, set(), taken=False), scene.now)
    assert after.open[claim.generation, claim.ordinal].confirm
    (revoke,) = after.plan(scene.now).revokes  # nobody knows its worker
    assert TAKEN in revoke.rows
