"""`howdah simulate` as its users type it: every verb, its JSON, its page, its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from howdah.cli import app
from howdah.errors import BadFile, BadInput

STORM = """
name = "small storm"
horizon = 900.0

[clients.web]
kind = "open"
to = "db"
rate = 0.6
timeout = 30.0

[clients.web.retry]
kind = "retry"
most = 3
backoff = { kind = "uniform", low = 0.0, high = 10.0 }

[stations.db]
kind = "queue"
service = { kind = "exponential", mean = 1.0 }
capacity = 100

[[triggers]]
name = "burst"
at = 300.0
actions = [{ kind = "scale", path = "web.rate", factor = 8.0, until = 350.0 }]
"""


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("models") / "storm.toml"
    file.write_text(STORM)
    return file


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, words)])


def answered(*words: object) -> dict[str, Any]:
    done = typed(*words, "--json")
    assert done.exit_code == 0, done.output
    content: dict[str, Any] = json.loads(done.stdout)
    assert content["version"] == 1
    assert content["verb"] == words[0]
    result: dict[str, Any] = content["result"]
    return result


def test_a_run_and_its_replay_are_the_same_to_the_bit(storm: Path, tmp_path: Path) -> None:
    kept = tmp_path / "storm.replay"
    first = answered("run", storm, "--seed", 3, "--save", kept)
    again = answered("replay", kept, "--at", 340)
    assert again["hash"] == first["hash"]
    assert again["gauges"] == first["gauges"]
    assert again["moment"]["time"] == 340
    assert 0 < again["moment"]["events"] < first["events"]
    assert first["recovery"]["after"] is None, "it is stuck"


def test_both_engines_give_one_answer(storm: Path) -> None:
    kernel, reference = (
        answered("run", storm, "--engine", engine) for engine in ("kernel", "reference")
    )
    assert kernel["hash"] == reference["hash"]
    assert kernel["gauges"] == reference["gauges"]


def test_a_run_for_people_says_what_happened(storm: Path, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    done = typed("run", storm, "--html", page)
    assert done.exit_code == 0
    assert "Stuck: goodput was not back within" in done.stdout
    assert "lowest load at which" in done.stdout
    text = page.read_text()
    for title in ("Goodput and load", "Waiting", "Phase portrait", "The model"):
        assert f"<h3>{title}" in text


def test_a_sweep_is_resumed_where_it_was(storm: Path, tmp_path: Path) -> None:
    file, words = tmp_path / "sweep.jsonl", ("--replicas", 2, "--workers", 1)
    first = answered("sweep", storm, "--over", "web.rate=0.1,0.6", *words, "--file", file)
    assert [cell["verdict"]["stuck"]["value"] for cell in first["cells"]] == [0, 1]
    file.write_bytes(file.read_bytes() + b'{"format": 1, "ta')  # killed while writing
    again = answered("sweep", storm, "--over", "web.rate=0.1,0.6,0.7", *words, "--file", file)
    assert again["taken_over"] == 2
    assert again["cells"][:2] == first["cells"]


def test_the_smallest_trigger_has_a_certificate(storm: Path, tmp_path: Path) -> None:
    kept = tmp_path / "certificate.replay"
    words = ("--over", "triggers.burst.length=1:100", "--replicas", 4)
    found = answered("trigger", storm, *words, "--replay", kept)
    assert 3 < found["knobs"]["triggers.burst.length"] < 30
    assert answered("replay", kept)["hash"] == f"{found['certificate']['hash']:016x}"


def test_hysteresis_has_two_ways(storm: Path) -> None:
    found = answered("hysteresis", storm, "--loads", "0.5,1,2", "--replicas", 2, "--hold", 300)
    assert [round(step["load"], 6) for step in found["up"]] == [0.3, 0.6, 1.2]
    assert found["up"][1]["good"]["value"] == 1
    assert found["down"][1]["good"]["value"] == 0, "at the same load it is down on the way back"


def test_designs_are_compared(storm: Path) -> None:
    words = ("--design", "lifo:db.discipline=lifo", "--replicas", 2)
    found = answered("compare", storm, *words)
    stuck = {cell["design"]: cell["verdict"]["stuck"]["value"] for cell in found["cells"]}
    assert stuck == {"as it is": 1, "lifo": 0}


def test_the_loop_is_named(storm: Path) -> None:
    done = typed("attribute", storm, "--replicas", 2, "--moments", 2)
    assert done.exit_code == 0, done.output
    assert "It is kept down by" in done.stdout
    assert "the retries of web" in done.stdout


def test_scenarios_are_listed_and_written_as_files(tmp_path: Path) -> None:
    listed = json.loads(typed("scenarios", "--json").stdout)["result"]
    assert {each["id"] for each in listed} >= {f"A{number}" for number in range(1, 23)}
    file = tmp_path / "lifo.toml"
    assert typed("scenarios", "A7", "--export", file).exit_code == 0
    assert answered("run", file, "--until", 100)["seconds"] == 100


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("run", "nowhere.toml"), BadFile, "nowhere.toml"),
        (("run", "scenario:Z9"), BadInput, "there is no scenario 'Z9'"),
        (("run", "{storm}", "--set", "web.rat=1"), BadInput, "web.rat"),
        (("run", "{storm}", "--set", "web.rate=-1"), BadInput, "web.rate"),
        (("run", "{storm}", "--set", "web.rate"), BadInput, "no name=value"),
        (("sweep", "{storm}", "--over", "web.rate=a,b"), BadInput, "no list of numbers"),
        (("trigger", "{storm}", "--over", "web.rate=3"), BadInput, "no range"),
        (("compare", "{storm}", "--design", "lifo"), BadInput, "names no design"),
        (("scenarios", "A1", "--scale", "huge"), BadInput, "no scale 'huge'"),
        (("calibrate", "--rate", "0"), BadInput, "more than 0"),
    ],
)
def test_what_is_wrong_is_said(
    storm: Path, words: tuple[str, ...], kind: type[Exception], message: str
) -> None:
    done = typed(*(word.format(storm=storm) for word in words))
    assert isinstance(done.exception, kind), done.output
    assert message in str(done.exception)


def test_a_replay_file_that_was_changed_is_refused(storm: Path, tmp_path: Path) -> None:
    kept = tmp_path / "storm.replay"
    assert typed("run", storm, "--save", kept, "--until", 50).exit_code == 0
    kept.write_bytes(kept.read_bytes().replace(b'"rate": 0.6', b'"rate": 0.7', 1))
    done = typed("replay", kept)
    assert isinstance(done.exception, BadFile), done.output
