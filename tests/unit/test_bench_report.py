"""The figures of a bench: comparison, advice, and every rendering of them."""

from __future__ import annotations

import xml.dom.minidom
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from howdah.bench import leaving, roster, side_by_side
from howdah.bench.model import (
    Absent,
    Bench,
    Contended,
    Figures,
    Latency,
    Plan,
    Report,
    ServerFacts,
)
from howdah.cli import bench_options
from howdah.errors import BadInput
from howdah.report import bench as rendering
from howdah.report.pictures import side_by_side as picture

LATENCY = Latency(p50=1.25, p99=9.5, max=20.0, count=100)


def contended(name: str, rate: float, held: float | None = None) -> Contended:
    undisturbed = Figures(
        per_second=rate,
        latency_ms=LATENCY,
        wal_bytes_per_item=300.5,
        wal_bytes_to_consume=30.25,
        dead_tuples=0,
        produced_per_second={"copy": 200_000.0},
    )
    return Contended(
        name=name,
        per_second=rate,
        latency_ms=LATENCY,
        wal_bytes_per_item=300.5,
        dead_tuples=0,
        ratio_to_howdah=None,
        what="",
        version="1",
        settings={},
        undisturbed=undisturbed,
        held=Figures(per_second=held, notes=("a note",)) if held is not None else None,
        kept=held / rate if held is not None else None,
    )


def report(*contenders: Contended, wanted: float | None = None) -> Report:
    done = side_by_side.compared(list(contenders))
    return Report(
        bench=Bench.QUEUE,
        server=ServerFacts(version="18.6", embedded=True, cores=2, settings={"fsync": "on"}),
        plan=Plan(bench=Bench.QUEUE),
        contenders=done,
        not_installed=(Absent(name="awa", why="not here", install="pip install 'howdah[bench]'"),),
        failed=(Absent(name="pgmq", why="[broken]"),),
        advice=leaving.advise(Bench.QUEUE, done, wanted),
    )


def shown(of: Report) -> str:
    out = StringIO()
    rendering.show(of, Console(file=out, width=80, _environ={}))
    return out.getvalue()


def test_the_fastest_first_with_the_ratio_to_ours() -> None:
    found = side_by_side.compared([contended("howdah", 1000), contended("other", 4000)])
    assert [each.name for each in found] == ["other", "howdah"]
    assert [each.ratio_to_howdah for each in found] == [4.0, 1.0]


def test_without_ours_there_is_no_ratio() -> None:
    (found,) = side_by_side.compared([contended("other", 4000)])
    assert found.ratio_to_howdah is None


def test_the_advice_goes_by_our_ceiling_with_the_horizon_held() -> None:
    done = side_by_side.compared([contended("howdah", 1000, held=400), contended("x", 9000)])
    advice = leaving.advise(Bench.QUEUE, done, 500)
    assert advice.verdict == "leave"
    assert advice.ceiling_per_second == 400
    assert {each.name for each in advice.elsewhere} >= {"Kafka", "NATS JetStream", "Redis"}
    assert all(each.source and each.condition for each in advice.elsewhere)


@pytest.mark.parametrize(
    ("wanted", "verdict"), [(500.0, "stay"), (501.0, "near"), (1000.0, "near"), (1001.0, "leave")]
)
def test_stay_near_or_leave(wanted: float, verdict: str) -> None:
    advice = leaving.advise(Bench.LOG, [contended("howdah", 1000)], wanted)
    assert advice.verdict == verdict
    assert bool(advice.elsewhere) == (verdict != "stay")


def test_nothing_measured_is_unknown() -> None:
    assert leaving.advise(Bench.LOG, [], 5.0).verdict == "unknown"


def test_the_json_has_the_promised_shape() -> None:
    made = msgspec.json.decode(rendering.json(report(contended("howdah", 1000))))
    assert {"version", "bench", "server", "contenders"} <= made.keys()
    (one,) = made["contenders"]
    promised = {"name", "per_second", "latency_ms", "wal_bytes_per_item", "dead_tuples"}
    assert promised | {"ratio_to_howdah"} <= one.keys()
    assert {"p50", "p99"} <= one["latency_ms"].keys()
    assert msgspec.json.decode(rendering.json(report()), type=Report).contenders == ()


def test_the_terminal_fits_and_says_everything() -> None:
    text = shown(
        report(contended("howdah", 12345.6, held=12000.0), contended("skip-locked-each", 9))
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "12,345" in text
    assert "97 %" in text, "cut, not rounded up"
    assert "howdah (horizon held): a note" in text
    assert "not installed: awa: not here" in text
    assert "Try: pip install 'howdah[bench]'" in text
    assert "failed: pgmq: [broken]" in text
    table = text[: text.index("apart")]
    assert "…" not in table and "..." not in table, "no figure is cut"


def test_the_picture_is_a_file_of_its_own() -> None:
    drawn = picture.draw(report(contended("howdah", 1000, held=900), contended("<evil>", 500)))
    document = xml.dom.minidom.parseString(drawn)
    assert document.documentElement is not None
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert drawn.count("<rect") == 3
    assert "<evil>" not in drawn


def test_a_picture_of_nothing() -> None:
    assert picture.draw(report()).startswith("<svg")


def test_an_unknown_contender_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="skip-locked"):
        roster.chosen(Bench.QUEUE, ["skip-lokced"])
    with pytest.raises(BadInput):
        roster.chosen(Bench.QUEUE, ["bare"])


def test_every_contender_says_what_it_is() -> None:
    for contender in roster.everyone():
        assert contender.benches and contender.schemas and len(contender.what.split()) > 4
        assert contender.name == contender.name.lower()
    for bench in Bench:
        able = [each.name for each in roster.everyone() if bench in each.benches]
        assert len(able) == len(set(able)), "one name, one contender of a bench"


def test_what_is_not_installed_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    from importlib.metadata import PackageNotFoundError

    monkeypatch.setattr("howdah.bench.contender.metadata.version", missing)
    absent = [each.absent({}) for each in roster.of(Bench.QUEUE).values()]
    named = {each.name: each for each in absent if each is not None}
    assert named.keys() >= {"awa", "pgmq", "pgque", "pgqueuer", "procrastinate"}
    assert named["awa"].install == "pip install 'howdah[bench]'"
    assert "--pgque-sql" in named["pgque"].install
    assert "skip-locked" not in named


def test_somebodys_server_needs_consent() -> None:
    with pytest.raises(BadInput, match="--yes"):
        bench_options.require_consent("host=db.example dbname=shop password=secret", False)
    bench_options.require_consent("host=db.example dbname=shop", True)
    bench_options.require_consent("", False)


def test_the_plan_is_bounded() -> None:
    with pytest.raises(BadInput, match="seconds"):
        bench_options.plan_of(Bench.LOG, "", False, seconds=0.0)
    plan = bench_options.plan_of(Bench.QUEUE, "skip-locked, skip-locked-each", True, seconds=2.0)
    assert plan.against == ("skip-locked", "skip-locked-each")
    assert plan.held_xmin


def test_the_tables_of_our_references_can_be_read() -> None:
    text = bench_options.statements(Plan(bench=Bench.QUEUE, against=("skip-locked",)))
    assert "CREATE TABLE job" in text
