"""What workers declare, and which declaration counts."""

from __future__ import annotations

from typing import Any

import msgspec

from howdah.queue.declared import Kinds, applied, merged
from howdah.queue.model import Failure, KindTold, Record, Registered, Report
from howdah.queue.policy import Allowance, Backoff, KindPolicy, Limit, QueuePolicy, Terms
from howdah.queue.rebuild import rebuild
from tests.unit.queue.test_decide import Scene

OWN = QueuePolicy(default=KindPolicy(max_attempts=7), kinds={"own": KindPolicy(max_attempts=5)})


def told(kind: str, attempts: int, since: float) -> KindTold:
    return KindTold(kind, KindPolicy(max_attempts=attempts), since)


def registered(name: str, since: float, *, attempts: int = 1, **fields: Any) -> Registered:
    policies = {"k": KindPolicy(max_attempts=attempts)}
    return Registered(name, 1, None, 100.0, policies=policies, since=since, **fields)


def test_what_is_registered_comes_before_the_dispatchers_own_and_that_before_the_default() -> None:
    kinds = Kinds(OWN)
    assert kinds.tell([told("own", 2, 1.0), told("k", 3, 1.0)]) == ["own", "k"]
    assert [kinds.of(kind).max_attempts for kind in ("own", "k", "other")] == [2, 3, 7]
    assert kinds.tell([told("k", 3, 2.0)]) == []


def test_the_process_that_began_last_wins_whoever_says_it_last() -> None:
    kinds = Kinds(OWN, [told("k", 2, 50.0)])
    assert kinds.tell([told("k", 3, 40.0)]) == []
    assert kinds.of("k").max_attempts == 2
    kinds.tell([told("k", 4, 60.0)])
    kinds.tell([told("k", 2, 50.0)])
    assert kinds.of("k").max_attempts == 4


def test_a_dispatcher_treats_a_kind_as_its_worker_registered_it() -> None:
    scene = Scene(max_attempts=50)
    scene.hear(registered("x", since=10.0, attempts=1))
    scene.emit()
    (claim,) = scene.claims()
    scene.fail(claim)
    (dead,) = scene.step().dead
    assert dead.attempt == 1


def test_a_report_of_the_previous_version_leaves_the_kind_as_it_was() -> None:
    scene = Scene(max_attempts=50)
    scene.hear(registered("x", since=10.0, attempts=2))
    before = b'{"type":"Registered","worker":"y","slots":1,"kinds":["k"],"at":100.0}'
    scene.hear(msgspec.json.decode(before, type=Report))
    assert scene.dispatcher.board.kinds.of("k").max_attempts == 2


def test_jobs_that_are_ready_already_follow_a_new_policy() -> None:
    """A last attempt runs alone, also when it became one while the job was waiting."""
    scene = Scene(slots=1)
    scene.learn(0.00001)
    scene.emit(3)
    scene.hear(registered("x", since=10.0, attempts=1))
    assert [len(claim.jobs) for claim in scene.claims()] == [1, 1, 1]


def test_a_lost_job_is_dealt_with_by_the_policy_of_a_worker_that_is_gone() -> None:
    kinds = [KindTold("k", KindPolicy(max_attempts=1), 10.0)]
    dispatcher = rebuild(OWN, Record(generation=5, kinds=kinds), 100.0)
    scene = Scene()
    (job,) = scene.emit()
    dispatcher.board.loaded += 1
    dispatcher.board.windows.see(job.window, 1, complete=True)
    dispatcher.board.occupy(job)
    dispatcher.board.failed(job, Failure(0, "lost"), "lost", 100.0)
    assert len(dispatcher.board.draft.dead) == 1


def test_limits_are_joined_by_name_and_the_newest_process_counts() -> None:
    def limit(name: str, most: int) -> Limit:
        return Limit(name=name, allow=Allowance(concurrency=most))

    own = Terms(limits=(limit("a", 1), limit("b", 1)), weights={"x": 1.0})
    newer = registered("n", 20.0, terms=Terms(limits=(limit("b", 3),), weights={"x": 3.0}))
    older = registered("o", 10.0, terms=Terms(limits=(limit("b", 2), limit("c", 2))))
    silent = registered("s", 30.0)
    every = merged(own, [newer, silent, older])
    assert [(each.name, each.allow.concurrency) for each in every.limits] == [
        ("a", 1),
        ("b", 3),
        ("c", 2),
    ]
    assert every.weights == {"x": 3.0}
    assert merged(own, [older, newer]) == merged(own, [newer, older])
    assert applied(OWN, every).limits == every.limits
    assert applied(OWN, every).default == OWN.default


def test_what_is_declared_survives_the_way_through_the_log() -> None:
    rates = Limit(name="r", by="kind", kinds=frozenset({"k"}), allow=Allowance(concurrency=2))
    policy = KindPolicy(max_attempts=3, backoff=Backoff(form="fixed"), on_failure="park")
    said = Registered(
        "w",
        2,
        frozenset({"k"}),
        1.5,
        policies={"k": policy},
        terms=Terms(limits=(rates,), weights={"t": 2.0}),
        since=1.25,
        confirms=True,
    )
    assert msgspec.json.decode(msgspec.json.encode(said), type=Report) == said
