"""A ladder on a real server, and a recording of one: the whole way to where it would tip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from howdah.cli import app
from howdah.errors import BadInput
from howdah.postgres import Server
from howdah.simulate.calibrate import fit, from_recording, ladder
from howdah.simulate.calibrate.fit import Curve, Fitted
from howdah.simulate.calibrate.foresee import Usage, foresee, model_of
from howdah.snapshot.recording import Recorded, Watched
from howdah.snapshot.sampler import Counters, Sampler, Tick
from howdah.testing import wait_until

pytestmark = pytest.mark.postgres(newest=True)


def test_a_ladder_shows_the_machine(own_server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def] # the fixture's type is the conftest's
    server: Server = own_server()
    server.create_database("ladder")
    with server.connect("ladder") as connection:
        connection.execute("CREATE TABLE t (n int PRIMARY KEY, v int)")
        connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 1000) AS g")
    script = tmp_path / "one.sql"
    script.write_text("\\set n random(1, 1000)\nSELECT v FROM t WHERE n = :n;\n")
    rungs = ladder.climb(server, "ladder", script, steps=(1, 4, 8), seconds=2)
    assert {each.clients for each in rungs} == {1, 4, 8}
    for each in rungs:
        assert each.per_second > 50
        assert 0.5 * each.clients < each.point.active < 1.2 * each.clients
    fitted = fit([each.point for each in rungs], draws=20)
    assert 0 < fitted.best.demand < 0.05

    script.write_text("SELECT nothing FROM nowhere;\n")
    with pytest.raises(BadInput, match="did not get through") as refused:
        ladder.climb(server, "ladder", script, steps=(1,), seconds=1)
    assert "nowhere" in refused.value.detail


def test_ticks_of_a_real_server_become_points(own_server) -> None:  # type: ignore[no-untyped-def] # as above
    server: Server = own_server()
    ticks: list[Tick] = []
    with server.connect() as worker, Sampler(server.dsn()) as sampler:
        worker.autocommit = True

        def grown() -> bool:
            """Statistics are written when the server sees fit, at the latest after some seconds."""
            worker.execute("SELECT sum(g) FROM generate_series(1, 20000) AS g")
            tick = sampler.tick()
            if not ticks or tick.counters.commits > ticks[-1].counters.commits:
                ticks.append(tick)
            return len(ticks) == 3

        wait_until(grown, seconds=30)
    # The server's clock stands for the recording's: spread, so that each tick is a point.
    spaced = tuple(
        Tick(
            at=f"2026-01-01T00:00:{place * 2:02d}+00:00",
            waits=each.waits,
            hidden=each.hidden,
            blocking=each.blocking,
            horizon=each.horizon,
            queues=each.queues,
            counters=each.counters,
        )
        for place, each in enumerate(ticks)
    )
    points = from_recording(_recorded(spaced))
    assert len(points) == 2
    assert all(each.per_second > 0 and each.active > 0 for each in points)


def _recorded(ticks: tuple[Tick, ...]) -> Recorded:
    watched = Watched(
        howdah="0", database="shop", version="18.6", started_at="", interval_seconds=1.0
    )
    return Recorded(watched=watched, ticks=ticks, is_cut=False)


def test_an_idle_recording_is_refused() -> None:
    idle = Counters(commits=1, rollbacks=0, active_milliseconds=5, next_xid=9, wal_position=None)
    ticks = tuple(
        Tick(
            at=f"2026-01-01T00:00:{n:02d}+00:00",
            waits=(),
            hidden=0,
            blocking=(),
            horizon=None,
            queues=(),
            counters=idle,
        )
        for n in range(5)
    )
    with pytest.raises(BadInput, match="shows no work between its 5 ticks"):
        from_recording(_recorded(ticks))


def test_where_it_tips_is_said_with_its_spread() -> None:
    curve = Curve(demand=0.02, cores=2.0, overhead=0.02)
    fitted = Fitted(
        best=curve,
        draws=(curve, Curve(demand=0.022, cores=2.0, overhead=0.04)),
        knee_seen=True,
        most_active=20.0,
        error=0.05,
    )
    usage = Usage(rate=50.0, connections=40, timeout=1.0)
    found = foresee(fitted, usage)
    assert found.load == pytest.approx(0.5)
    assert found.tips_at.median is not None
    assert found.tips_at.low is not None
    assert found.tips_at.high is not None
    assert found.tips_at.low <= found.tips_at.median <= found.tips_at.high < 100
    assert found.burst_seconds.median is not None, "at half its load a burst of three times tips it"
    idle = foresee(fitted, Usage(rate=5.0, connections=40, timeout=1.0))
    assert idle.burst_seconds.median is None, "at 5 % three times the rate is nothing"
    assert model_of(curve, usage).stations["database"].cores == 2.0  # type: ignore[union-attr] # it is a Sharing


def test_an_unknown_knee_answers_nothing() -> None:
    curve = Curve(demand=0.02, cores=2.0, overhead=0.0)
    unseen = Fitted(
        best=curve,
        draws=(curve,),
        knee_seen=False,
        most_active=2.0,
        error=0.0,
        unknown=("the knee: no more than 2 were active at once",),
    )
    with pytest.raises(BadInput, match="its knee was not reached"):
        foresee(unseen, Usage(rate=10.0, connections=10, timeout=1.0))


def test_the_command_climbs_fits_and_writes_the_model(tmp_path: Path) -> None:
    model, page = tmp_path / "measured.toml", tmp_path / "page.html"
    words = ["simulate", "calibrate", "--seconds", "1", "--export", str(model), "--rate", "1"]
    words += ["--timeout", "0.05", "--up-to", "4"]
    done = CliRunner().invoke(app, [*words, "--cores", "2", "--html", str(page), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)["result"]
    assert result["fitted"]["best"]["cores"] == 2
    assert result["foresight"]["load"] < 0.5
    assert "<h3>The knee" in page.read_text()
    again = CliRunner().invoke(app, ["simulate", "run", str(model), "--until", "5"])
    assert again.exit_code == 0, again.output
