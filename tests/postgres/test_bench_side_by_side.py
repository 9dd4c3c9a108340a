"""A whole run at a size that a suite can afford; no rate is asserted, but what must hold is.

A reference that updates and deletes must show its dead tuples, one that only appends must not: that
is how the meter is known to work.
"""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from howdah.bench import side_by_side
from howdah.bench.contender import Place
from howdah.bench.contenders.skip_locked import SkipLocked, SkipLockedEach
from howdah.bench.model import Bench, Plan
from howdah.cli import app
from howdah.postgres import Server
from howdah.testing import Database

pytestmark = pytest.mark.postgres(newest=True)


def test_the_usual_pattern_leaves_two_dead_tuples_a_job(server: Server) -> None:
    plan = Plan(bench=Bench.QUEUE, against=("skip-locked",), seconds=0.3, held_xmin=True)
    told: list[str] = []
    report = side_by_side.run(server.dsn(), plan, told.append)
    assert not report.failed
    found = next(each for each in report.contenders if each.name == "skip-locked")
    assert "skip-locked: with the horizon held" in told
    for figures in (found.undisturbed, found.held):
        assert figures is not None
        assert figures.per_second and figures.per_second > 0
        assert figures.latency_ms and figures.latency_ms.count == pytest.approx(30, abs=2)
        assert figures.dead_tuples_made_per_item == pytest.approx(2, abs=0.1)
        assert figures.wal_bytes_to_produce and figures.wal_bytes_to_produce > 100
        assert figures.notes == ()
    assert found.held and found.held.dead_tuples
    assert found.held.dead_tuples >= found.held.items, "nothing can be cleaned up behind a holder"
    assert found.kept is not None


def test_the_command_line_on_a_database_of_yours(server: Server) -> None:
    command = ["bench", "log", server.dsn(), "--against", "bare", "--seconds", "0.3", "--json"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0
    ran = CliRunner().invoke(app, [*command, "--yes", "--wanted-per-second", "1e12"])
    assert ran.exit_code == 1, ran.output
    made = json.loads(ran.stdout)
    bare = next(each for each in made["contenders"] if each["name"] == "bare")
    assert bare["dead_tuples"] == 0
    assert set(bare["undisturbed"]["produced_per_second"]) == {"copy", "arrays", "single"}
    assert made["server"]["embedded"] is False
    assert made["advice"]["verdict"] == "leave"


def test_one_that_fails_is_named_and_the_others_go_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: SkipLocked, place: Place) -> None:
        raise KeyError("somebody else's bug")

    monkeypatch.setattr(SkipLockedEach, "prepare", broken, raising=True)
    against = ("skip-locked-each", "skip-locked-tx")
    plan = Plan(bench=Bench.OUTBOX, against=against, seconds=0.2)
    report = side_by_side.run(server.dsn(), plan, lambda _text: None)
    (failed,) = report.failed
    assert failed.name == "skip-locked-each"
    assert "somebody else's bug" in failed.why
    assert "skip-locked-tx" in {each.name for each in report.contenders}


def test_a_dry_run_says_what_would_be_done(database: Database) -> None:
    command = ["bench", "queue", database.dsn, "--against", "skip-locked", "--dry-run"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    assert "skip-locked: a database of its own" in ran.stdout
    ran = CliRunner().invoke(app, [*command[:-1], "--show-sql"])
    assert "CREATE TABLE job" in ran.stdout
