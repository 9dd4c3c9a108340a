from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from howdah.report.pictures import chart, graph, simulated
from howdah.report.pictures.chart import Axis, Chart, Series, Span
from howdah.report.pictures.drawing import Drawing
from howdah.report.simulation import Page, Section, Table, page

LINE = simulated.time_line(
    "Goodput",
    "requests a second",
    {"web <b>": [(float(t), 0.6 if t < 200 else 0.0) for t in range(400)]},
    reading="It falls & stays.",
    spans=[Span(start=200, end=210, name="burst")],
)
MATRIX = simulated.matrix(
    "Survival", "share", ["fifo"], ["burst", "flush"], [[0.0, 1.0]], reading="Half."
)
GRAPH = graph.Graph(
    elements={"web": "open", "pool": "pool", "cpu": "sharing", "aside": "queue"},
    edges=(("web", "pool"), ("pool", "cpu"), ("cpu", "pool")),
    loop=("pool", "cpu"),
)


def shapes(drawing: Drawing) -> list[ElementTree.Element]:
    return [element for each in (drawing.wide, drawing.narrow) for element in parsed(each).iter()]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


@pytest.mark.parametrize(
    "drawing", [LINE, MATRIX, graph.draw(GRAPH, reading="A loop.")], ids=lambda each: each.name
)
def test_every_shape_lies_within_its_picture(drawing: Drawing) -> None:
    for svg in (drawing.wide, drawing.narrow):
        root = parsed(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for each in root.iter():
            for name, most in (("x", width), ("y", height), ("x1", width), ("y2", height)):
                if name in each.attrib:
                    assert 0 <= float(each.attrib[name]) <= most


def test_a_peak_of_one_sample_survives_thinning() -> None:
    points = [(float(t), 1.0 if t == 7_777 else 0.0) for t in range(10_000)]
    kept = simulated.thinned(points)
    assert len(kept) < 500
    assert (7_777.0, 1.0) in kept
    assert list(kept) == sorted(kept)


def test_a_gap_breaks_the_line() -> None:
    picture = Chart(
        x=Axis(name="x"),
        y=Axis(name="y"),
        series=(
            Series(name="", style="c1", points=((0, 1), (1, 2), (2, math.nan), (3, 1), (4, 2))),
        ),
    )
    assert chart.body(picture, 620)[1].count("<path") == 2


def test_a_logarithmic_axis_has_powers_as_ticks() -> None:
    picture = Chart(
        x=Axis(name="x", log=True),
        y=Axis(name="y", log=True),
        series=(Series(name="", style="c1", points=((2, 113), (16, 5.5)), dots=True),),
    )
    _, body = chart.body(picture, 620)
    for tick in ("1", "10", "100", "1,000"):
        assert f">{tick}</text>" in body


def test_the_layers_of_a_graph_go_from_the_clients_on() -> None:
    assert graph.layers(GRAPH) == [["web", "aside"], ["pool"], ["cpu"]]


def test_a_loop_is_marked_and_leads_back() -> None:
    paths = [
        each.attrib["class"] for each in shapes(graph.draw(GRAPH, reading="")) if "d" in each.attrib
    ]
    assert paths.count("loop") == 2 * 4, "two edges with their heads, in two widths"
    assert paths.count("edge") == 2 * 2


def test_the_page_holds_everything_and_escapes_it() -> None:
    text = page(
        Page(
            title="A <storm>",
            verdict="Stuck.",
            facts=(("seed", "7"),),
            sections=(
                Section(
                    title="What & when",
                    text=("It tips.",),
                    tables=(Table(head=("design",), rows=(("<fifo>",),)),),
                    pictures=(LINE, MATRIX),
                ),
            ),
            again="howdah simulate run storm.toml",
        )
    )
    assert "<storm>" not in text
    assert "<fifo>" not in text
    assert "&lt;fifo&gt;" in text
    assert "<b>" not in text
    assert text.count("<svg") == 4
    assert "http" not in text.replace("http-equiv", "")
