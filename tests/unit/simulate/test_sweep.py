from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from howdah.errors import BadFile, BadInput, Unsupported
from howdah.simulate.model import Exponential, Model, Open, Queue, Retry, Scale, Trigger, Uniform
from howdah.simulate.search import Budget, Judge
from howdah.simulate.sweep import Grid, fingerprint, sweep
from howdah.simulate.sweep import _tasks as tasks_of

STORM = Model(
    name="small storm",
    clients={
        "web": Open(
            to="db",
            rate=0.6,
            timeout=30.0,
            retry=Retry(most=3, backoff=Uniform(low=0.0, high=10.0)),
        )
    },
    stations={"db": Queue(service=Exponential(mean=1.0), capacity=100)},
    triggers=(
        Trigger(name="burst", at=300.0, actions=(Scale(path="web.rate", factor=8.0, until=350.0),)),
    ),
    horizon=900.0,
)
OVER = {"web.rate": (0.1, 0.3, 0.6), "db.capacity": (20.0, 100.0)}
FEW = Budget(replicas=3)


@pytest.fixture(scope="module")
def here() -> Grid:
    return sweep(STORM, OVER, budget=FEW, workers=1)


def test_cells_come_in_the_order_of_the_grid(here: Grid) -> None:
    assert [(c.settings["web.rate"], c.settings["db.capacity"]) for c in here.cells] == [
        (rate, capacity) for rate in OVER["web.rate"] for capacity in OVER["db.capacity"]
    ]
    stuck = {tuple(c.settings.values()): c.verdict.stuck.value for c in here.cells}
    assert stuck[0.1, 100.0] == 0
    assert stuck[0.6, 100.0] == 1
    assert stuck[0.6, 20.0] == 0, "a queue shorter than the timeout holds no late work"


def test_processes_give_the_same_to_the_bit(here: Grid) -> None:
    assert sweep(STORM, OVER, budget=FEW, workers=2).cells == here.cells


def test_a_ray_cluster_gives_the_same_to_the_bit(here: Grid) -> None:
    pytest.importorskip("ray")
    # A worker of Ray finds what this process finds.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    assert sweep(STORM, OVER, budget=FEW, ray="local").cells == here.cells


def test_a_cluster_that_is_not_there_is_said() -> None:
    pytest.importorskip("ray")
    with pytest.raises(Unsupported, match="no Ray cluster answers at"):
        sweep(STORM, OVER, budget=FEW, ray="127.0.0.1:1")


def test_finished_points_are_not_run_again(here: Grid, tmp_path: Path) -> None:
    file = tmp_path / "sweep.jsonl"
    sweep(STORM, {**OVER, "web.rate": (0.3, 0.6)}, budget=FEW, workers=1, file=file)
    told: list[str] = []
    again = sweep(
        STORM, OVER, budget=FEW, workers=1, file=file, tell=lambda what, _: told.append(what)
    )
    assert again.cells == here.cells
    assert again.taken_over == 4
    assert len(told) == 2


def test_other_seeds_are_other_points(tmp_path: Path) -> None:
    file = tmp_path / "sweep.jsonl"
    one = {"web.rate": (0.3,)}
    sweep(STORM, one, budget=FEW, workers=1, file=file)
    other = msgspec.structs.replace(FEW, seed=50)
    assert sweep(STORM, one, budget=other, workers=1, file=file).taken_over == 0
    threads = msgspec.structs.replace(FEW, threads=7)
    assert sweep(STORM, one, budget=threads, workers=1, file=file).taken_over == 1


def test_a_fingerprint_is_that_of_what_matters() -> None:
    first, second = tasks_of(STORM, {"web.rate": (0.3, 0.6)}, Judge(), FEW)
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first) == fingerprint(msgspec.structs.replace(first, number=9))


@pytest.mark.parametrize(
    "over", [{}, {"web.rate": ()}, {"web.rat": (1.0,)}, {"triggers.storm.length": (1.0,)}]
)
def test_an_impossible_grid_is_refused_before_anything_runs(
    over: dict[str, tuple[float, ...]],
) -> None:
    with pytest.raises(BadInput):
        sweep(STORM, over, budget=FEW)


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a sweep\n")
    with pytest.raises(BadFile, match="line 1 cannot be read"):
        sweep(STORM, {"web.rate": (0.3,)}, budget=FEW, workers=1, file=file)
    assert file.read_text() == "not a sweep\n"
