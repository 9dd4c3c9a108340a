"""Runs: instants, forks, replay files and replicas, on both engines."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from howdah.errors import BadFile, BadInput, Unsupported
from howdah.simulate import run as runs
from howdah.simulate.model import Exponential, Gate, Model, Open, Policy, Queue
from howdah.simulate.run import Run, replicas, simulate, start
from tests.unit.simulate.storms import storm

ENGINES = ("kernel", "reference")
pytestmark = pytest.mark.xdist_group("kernel")  # compiled once


def short(engine: str, seed: int = 3) -> Run:
    model = storm(0.6, at=200.0, horizon=800.0)
    return Run.start(model, seed=seed, engine=engine)


@pytest.fixture(autouse=True)
def many_keyframes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_SPACING", {"kernel": 200, "reference": 200})
    monkeypatch.setattr(runs, "MOST_KEYFRAMES", 8)


@pytest.mark.parametrize("engine", ENGINES)
def test_stops_change_nothing(engine: str) -> None:
    whole = short(engine).until(800.0)
    stopped = short(engine)
    for second in (0.0, 0.5, 199.999, 200.0, 300.0, 800.0):
        stopped.until(second)
    assert (whole.hash, whole.events) == (stopped.hash, stopped.events)


def test_engines_agree() -> None:
    assert short("kernel").until(800.0).hash == short("reference").until(800.0).hash


@pytest.mark.parametrize("engine", ENGINES)
def test_every_instant_comes_back(engine: str) -> None:
    run = short(engine)
    seen = {}
    for second in (50.0, 150.0, 260.5, 400.0, 700.0):
        run.until(second)
        seen[second] = (run.hash, run.events, run.gauges(), tuple(run.items()))
    for second in (400.0, 50.0, 700.0, 150.0, 260.5):
        moment = run.at(second)
        assert moment.time == second
        assert (moment.hash, moment.events, moment.gauges, moment.items) == seen[second]
    assert run.hash == seen[700.0][0]


def test_keyframes_are_bounded() -> None:
    run = short("kernel").until(800.0)
    assert run.events > 200 * 8
    assert len(run._frames) <= 9


@pytest.mark.parametrize("engine", ENGINES)
def test_interventions_are_part_of_the_run(engine: str) -> None:
    def acted() -> Run:
        run = short(engine).until(100.0).set("db.speed", 0.2).inject("web", 30).until(150.0)
        return run.drop("db").reseed(9).set("db.speed", 1.0).until(400.0)

    one, two = acted(), acted()
    assert one.hash == two.hash != short(engine).until(400.0).hash
    assert one.at(150.0).gauges == two.at(150.0).gauges
    assert one.at(120.0).gauges["db.inside"] > 25


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fork_goes_its_own_way(engine: str) -> None:
    run = short(engine).until(600.0)
    before = run.hash
    fork = run.fork(at=300.0, set={"db.discipline": "lifo"})
    same = run.fork(at=300.0).until(600.0)
    fork.until(600.0)
    assert same.hash == before == run.hash
    assert fork.hash != before
    assert fork.at(250.0).hash == run.at(250.0).hash
    assert fork.gauges()["web.succeeded"] > run.gauges()["web.succeeded"]


@pytest.mark.parametrize("engine", ENGINES)
def test_replay_file(engine: str, tmp_path: Path) -> None:
    run = short(engine).until(100.0).set("db.speed", 0.5).until(333.3)
    file = tmp_path / "storm.json"
    run.save(file)
    again = Run.replay(file)
    assert (again.hash, again.now, again.events) == (run.hash, run.now, run.events)
    forged = json.loads(file.read_text())
    forged["script"][0]["value"] = 0.51
    file.write_text(json.dumps(forged))
    with pytest.raises(BadFile, match="came out differently"):
        Run.replay(file)


def test_replay_files_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    with pytest.raises(BadFile):
        Run.replay(file)
    file.write_text("{}")
    with pytest.raises(BadFile, match="no replay file"):
        Run.replay(file)


def test_replicas_do_not_depend_on_threads() -> None:
    model = storm(0.6, at=200.0, horizon=600.0)
    one = replicas(model, range(6), threads=1, columns=["web.succeeded"])
    two = replicas(model, range(6), threads=2, columns=["web.succeeded"])
    assert [each.hash for each in one] == [each.hash for each in two]
    assert len({each.hash for each in one}) == 6
    assert [each.seed for each in two] == list(range(6))
    assert one[0].columns["web.succeeded"].tolist() == two[0].columns["web.succeeded"].tolist()
    assert replicas(model, [1], set={"db.speed": 0.5})[0].hash != one[1].hash


def test_series_and_rate() -> None:
    run = simulate(storm(0.6, at=200.0, horizon=600.0), 3)
    t, values = run.series("web.requests")
    assert (t[0], t[-1], len(t)) == (0.0, 600.0, 1001)
    assert values[-1] == run.gauges()["web.requests"]
    assert run.rate("web.requests")[1].mean() == pytest.approx(values[-1] / 600.0)
    with pytest.raises(BadInput, match="no column"):
        run.series("web.nothing")


def test_time_runs_forward() -> None:
    run = short("kernel").until(100.0)
    with pytest.raises(BadInput, match="already"):
        run.until(50.0)
    with pytest.raises(BadInput, match="not reached yet"):
        run.at(200.0)
    with pytest.raises(BadInput):
        run.set("db.colour", 1.0)


def not_compilable(state: object, p: object, view: object, u: float) -> float:
    return float(json.loads("1"))


class Stubborn:
    """A policy that numba cannot compile."""

    admit = staticmethod(not_compilable)


def test_what_cannot_be_compiled_runs_on_the_reference() -> None:
    policy = Policy(name=f"{__name__}:Stubborn")
    model = Model(
        clients={"web": Open(rate=1.0, to="gate", timeout=5.0)},
        stations={"gate": Gate(policy=policy, to="db"), "db": Queue(service=Exponential(mean=0.5))},
        horizon=20.0,
    )
    run = simulate(model)
    assert run.engine.name == "reference"
    assert "cannot be compiled" in run.why
    with pytest.raises(Unsupported):
        start(model, 0, "kernel")
    with pytest.raises(BadInput, match="no engine"):
        start(model, 0, "other")


def test_bad_models_do_not_start() -> None:
    model = storm(0.6)
    web = msgspec.structs.replace(model.clients["web"], to="nowhere")
    with pytest.raises(BadInput):
        Run.start(msgspec.structs.replace(model, clients={"web": web}))
