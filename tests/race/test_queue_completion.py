"""A job completed in its own transaction, against its revocation, in every order of their steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import howdah.queue
from howdah.driver import run
from howdah.errors import Superseded, TimedOut
from howdah.queue import Queue, desk
from howdah.queue.context import JobContext
from howdah.queue.desk import JobRow, Lease
from howdah.schema.api import install
from howdah.testing import Database

CLAIM = """INSERT INTO howdah."queue_shop$claim$0"
           (generation, ordinal, worker, rows, segments, tids)
           VALUES (%s, 0, 'w', '{7}', '{0}', '{"(0,1)"}')"""
REVOKE = """SELECT settled::text, busy::text FROM howdah.queue_revoke(howdah.queue_named('shop'),
            jsonb_build_array(jsonb_build_object('generation', %s::bigint, 'ordinal', 0,
                                                 'rows', '[7]'::jsonb)))"""
# A user's transaction has two steps, a dispatcher one, a worker whose handler failed one.
ORDERS = sorted(set(itertools.permutations(["user", "user", "dispatcher"])))
FENCED = sorted(set(itertools.permutations(["user", "user", "fence", "dispatcher"])))


class Race:
    """The sessions of one job, and what each has learned."""

    def __init__(self, database: Database, generation: int, *, commits: bool) -> None:
        self._database = database
        self._commits = commits
        self.generation = generation
        self.user = database.connect(autocommit=False)
        self.others = database.connect()
        self.others.execute(CLAIM, (generation,))
        row = JobRow(0, 1, 7, "kind", None, None, b"{}", 0.0)
        self.context = JobContext(Lease("shop", generation, 0, 7), row, None, lambda *_: None)
        self.steps = 0
        self.superseded = False
        self.taken: bool | None = None  # by the dispatcher; None: not known yet
        self.counts: bool | None = None  # what the worker was told whose handler failed

    def act(self, actor: str) -> None:
        {"user": self._user, "dispatcher": self._dispatcher, "fence": self._fence}[actor]()

    def _user(self) -> None:
        self.steps += 1
        if self.steps == 1:
            self.user.execute("INSERT INTO effects VALUES (%s)", (self.generation,))
            try:
                self.context.complete_in(self.user)
            except Superseded:
                self.superseded = True
                self.user.rollback()
        elif not self.superseded:
            self.user.commit() if self._commits else self.user.rollback()

    def _dispatcher(self) -> None:
        row = self.others.execute(REVOKE, (self.generation,)).fetchone()
        assert row is not None
        settled, busy = row
        if busy == "[]":
            self.taken = settled == "[]"

    def _fence(self) -> None:
        self.others.execute("SET lock_timeout = '50ms'")
        try:
            self.counts = run(self.others, desk.fence(self.context.lease))
        except TimedOut:
            self.counts = None
        self.others.execute("RESET lock_timeout")

    def end(self) -> int:
        """Everybody asks again until there is an answer; how many effects there are."""
        self.user.close()
        if self.taken is None:
            self._dispatcher()
        row = self.others.execute(
            "SELECT count(*) FROM effects WHERE n = %s", (self.generation,)
        ).fetchone()
        self.others.close()
        assert row is not None
        return int(row[0])


@pytest.fixture
def prepared(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as connection:
        install(connection, [howdah.queue.COMPONENT])
        Queue("shop").create(connection)
        connection.execute("CREATE TABLE effects (n bigint)")
        yield connection


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.usefixtures("prepared")
def test_the_effect_is_there_or_the_job_is_taken_away_never_both(
    database: Database, commits: bool
) -> None:
    outcomes = set()
    for generation, order in enumerate([*ORDERS, *FENCED], 100):
        race = Race(database, generation, commits=commits)
        for actor in order:
            race.act(actor)
        effects = race.end()
        assert race.taken is not None, order
        assert effects == (not race.taken), order  # exactly one of the two
        if race.counts is not None:
            assert race.counts == bool(effects), order
        outcomes.add((effects, race.superseded))
    assert (0, True) in outcomes
    assert ((1, False) in outcomes) is commits


# Taking a claim in doubt: the worker's one step against the dispatcher's.

TAKING = [("take", "end", "lose"), ("take", "lose", "end"), ("lose", "take", "end")]
TAKE_OR_LOSE = """SELECT settled::text, busy::text FROM howdah.queue_revoke(
                      howdah.queue_named('shop'), jsonb_build_array(jsonb_build_object(
                      'generation', %s::bigint, 'ordinal', 0, 'rows', '[7, 0]'::jsonb)))"""


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("order", TAKING)
def test_a_claim_in_doubt_is_taken_or_lost_never_both(
    database: Database, prepared: psycopg.Connection[Any], order: tuple[str, ...], commits: bool
) -> None:
    prepared.execute(CLAIM, (100,))
    ours: set[tuple[int, int]] = set()
    answers: list[tuple[str, str]] = []
    with database.connect(autocommit=False) as worker:
        for step in order:
            if step == "take":
                ours = run(worker, desk.take("shop", [(100, 0)]))
            elif step == "end":
                worker.commit() if commits else worker.rollback()
            else:
                answers += prepared.execute(TAKE_OR_LOSE, (100,)).fetchall()
    settled, busy = answers[0]
    if order == ("take", "lose", "end"):
        # Nobody knows yet: the row of the claim alone is busy, and then the attempt counts.
        assert (settled, busy) == ("[]", "[[100, 0, 0]]")
    elif order[0] == "lose":
        assert (settled, busy, ours) == ("[]", "[]", set())
    else:
        assert ours == {(100, 0)}
        assert busy == "[]"
        assert settled == ("[[100, 0, 0]]" if commits else "[]")
        again = run(prepared, desk.take("shop", [(100, 0)]))  # its connection was lost meanwhile
        assert again == (ours if commits else set())
