"""The pages of the two findings say what was measured, and the search knows what harm is."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.simulate.intervals import Estimate
from howdah.simulate.scenarios import interference, pages
from howdah.simulate.scenarios.a19_admission_control import SCENARIO

DOCS = Path(__file__).parents[3] / "docs" / "simulate"


def test_the_pages_are_what_is_rendered_from_the_measured_data() -> None:
    for path, text in pages.written(DOCS).items():
        assert path.read_text() == text, f"write {path.name} again: see its last section"


def test_the_search_found_both_what_it_looked_for_and_its_absence() -> None:
    rows = interference.load(DOCS / "admission-control.jsonl")
    assert len(rows) >= 200
    assert any(r.interferes for r in rows)
    assert any(r.copes and r.quiet and not r.harmed for r in rows)


def test_the_worst_points_hold_with_seeds_that_the_search_never_saw() -> None:
    again = interference.load(DOCS / "admission-control-again.jsonl")
    blind = [r for r in again if not r.point["each"]]
    assert blind
    held = [r for r in blind if r.copes and (r.harmed or r.outlasts)]
    assert len(held) >= 0.8 * len(blind)


def test_a_point_is_the_same_whenever_it_is_drawn_and_within_the_space() -> None:
    for index in range(50):
        at = interference.point(index)
        assert at == interference.point(index)
        for d in interference.SPACE:
            assert d.low <= at[d.name] <= d.high
        SCENARIO.model(**at)


def row(**given: float) -> interference.Row:
    def sure(value: float) -> Estimate:
        return Estimate(value=value, low=value - 0.01, high=value + 0.01)

    usual = {"alone": 1.0, "alone_after": 1.0, "before": 0.0, "harm": 0.0, "harm_after": 0.0}
    figures = {name: sure(value) for name, value in (usual | given).items()}
    return interference.Row(index=0, point={}, tickets_alone=10, tickets=10, **figures)


@pytest.mark.parametrize(
    ("given", "interferes"),
    [
        ({"harm": 0.2}, True),
        ({"harm": 0.05}, False),
        ({"harm": 0.2, "before": 0.1}, False),
        ({"harm": 0.2, "alone": 0.9}, False),
        ({"harm": 0.2, "alone_after": 0.9}, False),
    ],
)
def test_interference_needs_a_system_that_copes_and_a_control_that_is_quiet(
    given: dict[str, float], interferes: bool
) -> None:
    assert row(**given).interferes is interferes


def test_harm_that_could_be_nothing_does_not_count() -> None:
    unsure = Estimate(value=0.3, low=-0.1, high=0.7)
    found = interference.Row(
        index=0,
        point={},
        alone=Estimate(value=1, low=1, high=1),
        alone_after=Estimate(value=1, low=1, high=1),
        before=Estimate(value=0, low=0, high=0),
        harm=unsure,
        harm_after=unsure,
        tickets_alone=1,
        tickets=1,
    )
    assert not found.harmed
    assert not found.outlasts
