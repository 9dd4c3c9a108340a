from __future__ import annotations

import msgspec
import pytest
from typer.testing import CliRunner

from howdah.bench import simulating
from howdah.bench.simulator import Counts, Load, Simulator
from howdah.cli import app
from howdah.errors import BadInput

EVERYONE = [
    pytest.param(simulator, load, id=f"{simulator.name}-{load}")
    for simulator in simulating.everyone().values()
    for load in sorted(simulator.loads)
]


@pytest.mark.parametrize(("simulator", "load"), EVERYONE)
def test_every_simulator_runs_the_same_model(simulator: Simulator, load: Load) -> None:
    pytest.importorskip(simulator.package.partition("[")[0] or "heapq")
    counts = simulator.run(load, 6_000, seed=5)
    if load is Load.SINGLE_SERVER:
        assert counts.requests == pytest.approx(5_400, rel=0.06)
        assert counts.retries == 0
        assert counts.answered == counts.served
        assert counts.requests - 120 < counts.served <= counts.requests
    else:
        after_the_burst = 4_000 * 0.6
        assert counts.retries > 2.7 * after_the_burst, "it stays collapsed: nearly all are repeated"
        assert counts.answered == pytest.approx(1_250, rel=0.1), "those before the burst"
        assert counts.served == pytest.approx(5_200, rel=0.05), "the server is never idle again"


@pytest.mark.parametrize("load", list(Load))
def test_a_seed_gives_one_run(load: Load) -> None:
    for simulator in simulating.everyone().values():
        if load in simulator.loads and not simulator.package:
            assert simulator.run(load, 300, seed=9) == simulator.run(load, 300, seed=9)
            assert simulator.run(load, 300, seed=9) != simulator.run(load, 300, seed=8)


def test_another_model_is_noticed() -> None:
    def of(name: str, served: int) -> simulating.Simulated:
        return simulating.Simulated(
            name=name,
            load=Load.RETRY_STORM,
            what="",
            version="",
            per_second=1.0,
            ratio_to_howdah=None,
            model_seconds=1.0,
            wall_seconds=1.0,
            counts=Counts(requests=100, retries=300, served=served, answered=10),
        )

    assert simulating._unlike([of("howdah", 150), of("simpy", 152)]) == []
    (note,) = simulating._unlike([of("howdah", 150), of("simpy", 250)])
    assert "simpy on retry-storm: 2.50 served for each request, ours 1.50" in note


def test_an_unknown_simulator_is_refused() -> None:
    with pytest.raises(BadInput, match="no simulator 'simpi'"):
        simulating.chosen(["simpi"])


def test_the_command_measures_and_prints_json() -> None:
    done = CliRunner().invoke(
        app, ["bench", "simulate", "--against", "heapq", "--seconds", "0.2", "--json"]
    )
    assert done.exit_code == 0, done.output
    report = msgspec.json.decode(done.stdout, type=simulating.Report)
    assert {each.name for each in report.contenders} == {"howdah", "heapq"}
    assert not report.notes
    assert not report.missing
    assert all(each.per_second > 1_000 for each in report.contenders)
