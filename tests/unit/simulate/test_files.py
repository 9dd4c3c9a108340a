from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from howdah.errors import BadFile
from howdah.simulate.files import Format, dump, dumps, load, loads
from howdah.simulate.model import (
    Agentic,
    Cache,
    Choice,
    Closed,
    Constant,
    Controller,
    Delay,
    Empirical,
    Erlang,
    Exponential,
    Fill,
    Flush,
    Gate,
    Inject,
    LogNormal,
    Model,
    Open,
    Pareto,
    Policy,
    Pool,
    Queue,
    Release,
    Retry,
    Scale,
    Set,
    Sharing,
    Trigger,
    Uniform,
    When,
    Zipf,
)
from tests.unit.simulate.making import one_queue, queue, retry_storm

EVERYTHING = Model(
    name='every "kind"',
    clients={
        "web": Open(
            rate=1e-7,
            to="door",
            timeout=30.0,
            retry=Retry(budget=10.0, backoff=LogNormal(median=1.0, sigma=0.5)),
            profile=((0.0, 1.0), (5.0, 2.5)),
            keys=Zipf(keys=100, exponent=1.3),
            demand=Erlang(stages=2, mean=1.0),
        ),
        "app": Closed(users=3, think=Pareto(minimum=1.0, shape=2.0), to="door", keys=Zipf(keys=2)),
        "ai": Agentic(
            rate=2.0,
            to="door",
            parallel=5,
            holds=0.5,
            keys=Zipf(keys=2),
            retry=Policy(name="jitter", arguments={"kind": "equal", "base": 0.5}),
        ),
    },
    stations={
        "door": Gate(policy=Policy(name="aimd"), to="way", watch="db"),
        "way": Choice(to=("cache", "pool"), weights=(0.25, 0.75)),
        "cache": Cache(entries=10, miss="db", full=False),
        "db": queue(to="fill", discipline=Policy(name="codel"), capacity=7),
        "fill": Fill(cache="cache"),
        "pool": Pool(tickets=8, to="cpu", order="fewest"),
        "cpu": Sharing(cores=2.5, to="net", quantum=0.01, yield_to="yield"),
        "yield": Release(pool="pool", to="pool"),
        "net": Delay(time=Empirical(quantiles=(0.0, 1.0, 4.0))),
    },
    controllers={
        "ecs": Controller(
            policy=Policy(name="mongo_throughput_probing"), watch=("pool",), period=0.1
        )
    },
    triggers=(
        Trigger(at=5.0, actions=(Flush(cache="cache"), Inject(client="web", count=80)), name="a"),
        Trigger(
            when=When(column="db.waiting", comparison=">", value=3.0, seconds=1.0),
            actions=(Set(path="db.speed", value=0.5, until=3.0),),
        ),
    ),
    parts={
        "shard one": Model(
            clients={"x": Open(rate=1.0, to="y")},
            stations={"y": Queue(service=Uniform(low=0.0, high=1.0))},
            triggers=(Trigger(at=1.0, actions=(Scale(path="x.rate", factor=2.0),)),),
            parts={"deep": Model(clients={}, stations={"z": queue()})},
        )
    },
    horizon=50.0,
)


@pytest.mark.parametrize("form", get_args(Format))
@pytest.mark.parametrize(
    "model", [EVERYTHING, one_queue(), retry_storm()], ids=["everything", "queue", "storm"]
)
def test_what_is_written_is_read_again(model: Model, form: Format) -> None:
    assert loads(dumps(model, form), form) == model


@pytest.mark.parametrize("suffix", ["toml", "yaml", "yml", "json"])
def test_the_suffix_is_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"storm.{suffix}"
    dump(retry_storm(), path)
    assert load(path) == retry_storm()


def test_toml_is_what_one_would_write_by_hand() -> None:
    text = dumps(retry_storm(), "toml")
    assert loads(text, "toml") == retry_storm()
    assert (
        text
        == """horizon = 6000.0

[clients.web]
kind = "open"
to = "db"
timeout = 30.0
retry = { kind = "retry", backoff = { kind = "uniform", low = 0.0, high = 10.0 } }
rate = 0.6

[stations.db]
kind = "queue"
service = { kind = "exponential", mean = 1.0 }
capacity = 100

[[triggers]]
actions = [{ kind = "scale", path = "web.rate", factor = 8.0, until = 2100.0 }]
at = 2000.0
name = "burst"
"""
    )


def test_a_kind_may_stand_where_it_is_not_needed() -> None:
    text = dumps(EVERYTHING, "toml")
    kinds = text.replace("[[triggers]]", '[[triggers]]\nkind = "trigger"')
    assert kinds != text
    assert loads(kinds, "toml") == EVERYTHING


WRONG: list[tuple[str, Format, str, str, str]] = [
    ("broken TOML", "toml", "horizon = \nx = 1", "line 1", ""),
    ("broken YAML", "yaml", "clients:\n  web: [1, 2", "line", ""),
    ("broken JSON", "json", '{"horizon": 1,\n}', "line 2", ""),
    ("no table", "json", "[]", "no model", ""),
    (
        "a negative rate",
        "toml",
        '[clients.web]\nkind = "open"\nto = "db"\nrate = -1.0',
        "clients.web.rate",
        "",
    ),
    (
        "an unknown field",
        "toml",
        '[clients.web]\nkind = "open"\nto = "db"\nrte = 1.0\nrate = 1.0',
        "clients.web",
        "rate",
    ),
    ("an unknown kind", "toml", '[stations.db]\nkind = "quee"', "stations.db", "kind = queue"),
    ("no kind", "toml", "[stations.db]\nservers = 1", "stations.db", "queue"),
    ("an unknown word", "toml", "horizn = 1.0", "the model", "horizon"),
    ("a family that is no table", "json", '{"clients": []}', "clients", ""),
    (
        "inside a part",
        "yaml",
        "parts:\n  shard:\n    stations:\n      db: {kind: delay, time: 3}",
        "parts.shard.stations.db.time",
        "",
    ),
    ("a trigger", "json", '{"triggers": [{"at": -1, "actions": []}]}', "triggers[0].at", ""),
]


@pytest.mark.parametrize(
    ("form", "text", "place", "hint"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_what_is_wrong_has_a_line_or_a_place(
    form: Format, text: str, place: str, hint: str
) -> None:
    with pytest.raises(BadFile) as caught:
        loads(text, form, name="storm")
    assert "storm" in caught.value.message
    assert place in str(caught.value)
    assert hint in caught.value.hint


def test_an_unknown_suffix_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no model file"):
        load(tmp_path / "storm.txt")
    with pytest.raises(BadFile, match="cannot be read"):
        load(tmp_path / "storm.toml")


def test_constants_stay_constants() -> None:
    assert loads(dumps(one_queue(stations={"db": queue()}), "toml"), "toml").stations[
        "db"
    ] == queue(service=Constant(value=1.0))


def test_exponents_are_read_as_numbers() -> None:
    model = one_queue(stations={"db": queue(service=Exponential(mean=1e-9))}, horizon=1e8)
    for form in get_args(Format):
        assert loads(dumps(model, form), form) == model
