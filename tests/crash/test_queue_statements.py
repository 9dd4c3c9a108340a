"""The queue at every statement: the dispatcher, then the worker, dies before it and after it.

One thread plays both sides on real connections, so that the n-th statement is the same in every
run. Time in SQL stands still and is moved on, so that leases end without waiting. After each crash
another dispatcher takes over (or another worker registers), finishes the work, and an oracle looks
at what the handlers saw.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import howdah.queue
from howdah.driver import Query, Rows, run
from howdah.errors import Superseded
from howdah.log import Log
from howdah.queue import Allowance, Backoff, Limit, Queue, Unique, desk, store
from howdah.queue.context import JobContext
from howdah.queue.desk import Assignment, JobRow, Lease
from howdah.queue.dispatch import Dispatching
from howdah.queue.model import Ack, Failure, Heartbeat, Left, Registered
from howdah.queue.policy import Terms
from howdah.schema.api import install
from howdah.testing import Database
from howdah.testing.crashing import CRASHES, CrashingDriver, CrashPoint, How, When, every_point
from howdah.testing.queues import SqlTime, sql_time

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

LEASE = 10.0
EFFECTS = "CREATE TABLE effects (round int, name text)"
MOST_TURNS = 400
FAILS = {"flaky": 1, "k1": 1, "once failing": 1, "poison": 3, "dead key": 3}


def built() -> Queue:
    """Kinds for every way in which a job can go."""
    narrow = Allowance(concurrency=1)
    queue = Queue(
        "crash",
        lease_seconds=LEASE,
        limits=[Limit(name="narrow", by="kind", kinds=frozenset({"narrow"}), allow=narrow)],
    )
    soon = Backoff(form="fixed", base_seconds=1.0, jitter="none")

    @queue.job(max_attempts=50, backoff=soon)
    def step(round: int, name: str, fails: int = 0) -> None: ...

    @queue.job(max_attempts=50, backoff=soon)
    def narrow_step(round: int, name: str, fails: int = 0) -> None: ...

    @queue.job(max_attempts=4, backoff=soon)
    def poison(round: int, name: str, fails: int = 0) -> None: ...

    @queue.job(max_attempts=50, backoff=soon)
    def once(round: int, name: str, fails: int = 0) -> None: ...

    queue.cron("*/10 * * * * *", "step", {"round": -1, "name": "tick"}, catch_up="all")
    return queue


class Noting(CrashingDriver):
    """It remembers the names of the statements."""

    def __init__(self, connection: psycopg.Connection[Any], point: CrashPoint | None) -> None:
        super().__init__(connection, point)
        self.names: list[str] = []

    def execute(self, query: Query) -> Rows:
        self.names.append(query.statement.name)
        return super().execute(query)


class Hand:
    """A worker without threads: it takes claims, runs them on paper and reports."""

    def __init__(self, world: World, point: CrashPoint | None = None) -> None:
        self.world = world
        self.name = f"hand-{secrets.token_hex(4)}"
        self.driver = Noting(world.database.connect(), point)
        self.after = 0
        self.open: dict[tuple[int, int], set[int]] = {}
        self.log = Log("reports_crash")

    def register(self) -> None:
        self.after = run(self.driver, desk.newest_generation("crash"))
        policies = self.world.queue.policy.kinds
        number = self.world.round if self.world.other_limits else 0
        wide = Limit(name="wide", allow=Allowance(concurrency=100 + number))
        told = Registered(
            self.name,
            2,
            frozenset(policies),
            0.0,
            policies=policies,
            terms=Terms(limits=(wide,)),
            confirms=True,
        )
        self.tell(run(self.driver, desk.register("crash", told, "here", 1)))

    def tell(self, report: Any) -> None:
        self.log.emit_many(self.driver, desk.events([report]))

    def work(self) -> None:
        """One round of what a worker does."""
        for found in run(self.driver, desk.claims("crash", [self.name], self.after)):
            assignment = found.assignment
            rows = run(self.driver, desk.payloads("crash", assignment))
            assert len(rows) == len(assignment.rows), "a claimed row is nowhere"
            if assignment.confirm:
                taken = run(self.driver, desk.take("crash", [assignment.claim]))
                assert taken == {assignment.claim}
            self.tell(self.ran(assignment, rows))
            self.after = assignment.generation
        self.tell(Heartbeat(self.name, 0.0))
        run(self.driver, desk.taken_away("crash", []))

    def ran(self, assignment: Assignment, rows: list[JobRow]) -> Ack:
        done, failed = [], []
        for row in rows:
            if self.world.handle(self, assignment, row):
                done.append(row.position)
            else:
                failed.append(Failure(row.position, "broken"))
        return Ack(self.name, *assignment.claim, 0.0, done, failed, (), [(rows[0].kind, 1, 1.0)])


class World:
    """One database with a queue, rounds of jobs, and what the handlers saw of each."""

    def __init__(self, database: Database, admin: psycopg.Connection[Any], time: SqlTime) -> None:
        self.database = database
        self.admin = admin
        self.time = time
        self.queue = built()
        install(admin, [howdah.queue.COMPONENT])
        self.queue.create(admin)
        self.queue.make_schedules(admin)
        admin.execute(EFFECTS)
        self.round = 0
        self.other_limits = False  # in each round: then the dispatcher starts anew from the record
        self.runs: defaultdict[str, list[int]] = defaultdict(list)  # attempts by name, this round
        self.order: list[str] = []
        self.jobs: dict[str, int] = {}

    def enqueue(self) -> None:
        """The jobs of another round."""
        self.round += 1
        self.runs.clear()
        self.order.clear()
        put = self._put
        self.jobs = {
            "plain": put("step", "plain"),
            "flaky": put("step", "flaky", fails=1),
            "k1": put("step", "k1", fails=1, key="k"),
            "k2": put("step", "k2", key="k"),
            "k3": put("narrow_step", "k3", key="k"),
            "narrow1": put("narrow_step", "narrow1"),
            "narrow2": put("narrow_step", "narrow2"),
            "later": put("step", "later", delay_seconds=3.0),
            "unique": put("step", "unique", unique=Unique()),
            "once": put("once", "once"),
            "once failing": put("once", "once failing", fails=1),
            "poison": put("poison", "poison", fails=99),
            "dead key": put("poison", "dead key", fails=99, key=f"dead {self.round}"),
            "behind": put("step", "behind", key=f"dead {self.round}"),
        }

    def _put(self, kind: str, name: str, *, fails: int = 0, **options: Any) -> int:
        arguments = {"round": self.round, "name": name, "fails": fails}
        return self.queue.enqueue(self.admin, kind, arguments, **options).job

    def handle(self, hand: Hand, assignment: Assignment, row: JobRow) -> bool:
        """What the handlers do; whether it went well."""
        lease = Lease("crash", *assignment.claim, row.row)
        context = JobContext(lease, row, None, lambda *_: None)
        given = context.arguments()
        name = given["name"]
        if given["round"] == self.round:
            self.runs[name].append(context.attempt)
            self.order.append(name)
        if context.attempt <= given.get("fails", 0):
            return False
        if context.kind == "once":
            return self._complete(hand, context, given)
        return True

    def _complete(self, hand: Hand, context: JobContext, given: dict[str, Any]) -> bool:
        with closing(self.database.connect(autocommit=False)) as own:
            own.execute("INSERT INTO effects VALUES (%s, %s)", (given["round"], given["name"]))
            try:
                context.complete_in(own)
            except Superseded:
                return False
            own.commit()
        return True

    @property
    def finished(self) -> bool:
        """Whether every job of the round has come to its end, and the dead key waits."""
        (left,) = self.admin.execute(
            "SELECT (SELECT count(*) FROM howdah.queue_dead WHERE job = ANY (%s)) = 2"
            " AND (SELECT count(*) FROM howdah.queue_parked WHERE job = %s) = 1"
            " AND howdah.queue_next_due('crash', '-infinity') IS NULL",  # nothing to try again
            (list(self.jobs.values()), self.jobs["behind"]),
        ).fetchone() or (False,)
        done = {name for name, attempts in self.runs.items() if attempts}
        return bool(left) and done >= set(self.jobs) - {"behind"}

    def oracle(self, *, dispatcher_only: bool, died_at: str = "") -> None:
        """Nothing lost, order kept, attempts bounded; what completes in its transaction once.

        `died_at`: the statement at which a worker died. Only if that was when it took a claim may a
        last attempt have been used up without a run.
        """
        wanted = set(self.jobs) - {"behind"}
        assert wanted == set(self.runs), wanted ^ set(self.runs)
        most = 1 if dispatcher_only else 2  # a worker's death is worth one attempt more
        for name, attempts in self.runs.items():
            fails = FAILS.get(name, 0)
            assert attempts == sorted(attempts), (name, attempts)
            assert len(attempts) <= fails + most, (name, attempts)
            if name in ("poison", "dead key"):
                assert max(attempts) <= 4, (name, attempts)
                assert 4 in attempts or died_at == "take", (name, attempts)
            if dispatcher_only:
                assert attempts == list(range(1, fails + 2)), (name, attempts)
        last = {name: len(self.order) - self.order[::-1].index(name) for name in ("k1", "k2", "k3")}
        first = {name: self.order.index(name) for name in ("k1", "k2", "k3")}
        assert last["k1"] <= first["k2"] + 1
        assert last["k2"] <= first["k3"] + 1
        effects = Counter(
            self.admin.execute(
                "SELECT name FROM effects WHERE round = %s", (self.round,)
            ).fetchall()
        )
        assert effects == {("once",): 1, ("once failing",): 1}
        self._ledger_is_whole()

    def _ledger_is_whole(self) -> None:
        rows = self.admin.execute(
            """SELECT generation, epoch FROM (SELECT * FROM howdah."queue_crash$ledger$0" UNION ALL
               SELECT * FROM howdah."queue_crash$ledger$1") AS l ORDER BY generation"""
        ).fetchall()
        generations = [generation for generation, _ in rows]
        assert generations == list(range(generations[0], generations[0] + len(rows)))
        assert [epoch for _, epoch in rows] == sorted(epoch for _, epoch in rows)

    def tidy(self) -> None:
        """Give up what is dead, so that its key is free; nothing may be left of the round."""
        for name in ("poison", "dead key"):
            self.queue.discard(self.admin, self.jobs[name])


def play(
    world: World, dispatcher: CrashPoint | None, worker: CrashPoint | None
) -> tuple[list[str], list[str], int]:
    """One round with at most one crash; the last statements of both sides, and whether it did."""
    world.time.advance(timedelta(seconds=6))  # counts, schedules and maintenance are due
    hand = Hand(world, worker)
    connections = [hand.driver._connection]
    crashed = 0
    driver: Noting | None = None
    dispatching: Dispatching | None = None
    registered = False
    try:
        for turn in range(MOST_TURNS):
            try:
                if driver is None or dispatching is None:
                    driver = Noting(world.database.connect(), dispatcher)
                    connections.append(driver._connection)
                    dispatching = Dispatching("crash", world.queue.policy)
                    run(driver, dispatching.start())
                run(driver, dispatching.turn())
            except CRASHES:
                crashed, driver, dispatching, dispatcher = 1, None, None, None
                continue
            try:
                if not registered:
                    hand.register()
                    world.enqueue()
                    registered = True
                hand.work()
            except CRASHES:
                crashed = 1
                if not registered:
                    world.enqueue()
                hand = Hand(world)
                connections.append(hand.driver._connection)
                hand.register()
                registered = True
                world.time.advance(timedelta(seconds=LEASE + 1))
                continue
            if turn % 3 == 2:
                world.time.advance(timedelta(seconds=1.5))  # retries and delays come due
            if world.finished and dispatching.idle:
                break
        else:
            raise AssertionError(f"the round does not end: {dict(world.runs)}")
        assert driver is not None
        names = driver.names, hand.driver.names
        hand.tell(Left(hand.name, 0.0, released=True))
    finally:
        for connection in connections:
            connection.close()
    return *names, crashed


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    with database.connect() as admin:
        install(admin, [howdah.queue.COMPONENT])
        with sql_time(admin) as time:
            yield World(database, admin, time)


def some_points(names: list[str]) -> Iterator[CrashPoint]:
    """Before and after each statement, where it comes first and last, by one of the ways to die."""
    hows = list(How)
    first = {name: at for at, name in reversed(list(enumerate(names, 1)))}
    last = {name: at for at, name in enumerate(names, 1)}
    for at in sorted({*first.values(), *last.values()}):
        for turn, when in enumerate(When):
            yield CrashPoint(at=at, how=hows[(at + turn) % 3], when=when)


def all_points(names: list[str]) -> Iterator[CrashPoint]:
    """Every way to die at every statement."""
    yield from every_point(len(names))


def crash_everywhere(
    world: World, side: int, points: Callable[[list[str]], Iterator[CrashPoint]]
) -> None:
    names: list[str] = []
    for _ in range(2):
        names = play(world, None, None)[:2][side]
        world.oracle(dispatcher_only=True)
        world.tidy()
    crashes = 0
    for point in points(names):
        sides = (point, None) if side == 0 else (None, point)
        crashes += play(world, *sides)[2]
        try:
            died_at = names[point.at - 1] if side == 1 else ""
            world.oracle(dispatcher_only=side == 0, died_at=died_at)
        except AssertionError as error:
            where = f"{point} of {names[point.at - 1]} in round {world.round}"
            raise AssertionError(f"{where}: {error}") from error
        world.tidy()
    assert crashes >= 2 * len(set(names))


@pytest.mark.parametrize("side", [0, 1], ids=["dispatcher", "worker"])
def test_a_crash_before_or_after_any_statement_loses_nothing(world: World, side: int) -> None:
    crash_everywhere(world, side, some_points)


@pytest.mark.soak
@pytest.mark.parametrize("side", [0, 1], ids=["dispatcher", "worker"])
def test_every_way_to_crash_at_every_statement(world: World, side: int) -> None:
    world.other_limits = True
    crash_everywhere(world, side, all_points)


def test_a_deposed_dispatcher_can_write_nothing(world: World) -> None:
    with world.database.connect() as one, world.database.connect() as other:
        deposed, owner = (Dispatching("crash", world.queue.policy) for _ in range(2))
        run(one, deposed.start())
        run(one, deposed.turn())
        run(other, owner.start())
        hand = Hand(world)
        hand.register()
        world.enqueue()
        with pytest.raises(Superseded):
            for _ in range(3):
                run(one, deposed.turn())
        for _ in range(3):
            run(other, owner.turn())
            hand.work()
        newest = run(other, store.newest("crash"))
        assert newest.epoch == 3  # the owner's second start: it heard of another limit
        assert world.runs["plain"] == [1]
        hand.driver._connection.close()
