"""Every built-in scenario shows the figures that it says, at quick scale; all of them when soaking.

A test is named after its scenario's file: `-k a07_lifo`.
"""

from __future__ import annotations

import math

import msgspec
import pytest

from howdah.errors import BadInput
from howdah.simulate.intervals import Estimate, share
from howdah.simulate.scenarios import all_scenarios, names, scenario
from howdah.simulate.scenarios.scenario import Expectation, Scenario, judge
from howdah.simulate.scenarios.trials import event_rate, median, run_all
from howdah.simulate.validate import refusals


@pytest.mark.parametrize("name", names())
def test_shows_its_figures(name: str) -> None:
    report = scenario(name).check()
    assert report.ok, "\n".join(report.lines())


@pytest.mark.soak
@pytest.mark.parametrize("name", names())
def test_shows_its_figures_at_full_scale(name: str) -> None:
    report = scenario(name).check(scale="full")
    print("\n".join(report.lines()))
    assert report.ok, "\n".join(report.lines())


def test_there_are_all_of_them() -> None:
    assert [each.id for each in all_scenarios()] == [f"A{i}" for i in range(1, 23)]
    assert [int(name[1:3]) for name in names()] == list(range(1, 23))


@pytest.mark.parametrize("name", names())
def test_says_what_it_is(name: str) -> None:
    each = scenario(name)
    assert scenario(each.id) is each
    assert len(each.teaches) == 3
    assert each.expected
    for text in (each.title, each.source, *each.teaches, *(p.what for p in each.parameters)):
        assert len(text.split()) >= 2, text
    for p in each.parameters:
        assert p.low <= p.value <= p.high, p.name
    quick = [e for e in each.expected if e.scale == "quick"]
    assert quick, "something must be measured in every run of the tests"
    assert len({e.what for e in each.expected}) == len(each.expected)
    for e in each.expected:
        assert e.low <= e.value <= e.high, e.what


@pytest.mark.parametrize("name", names())
def test_its_model_is_valid(name: str) -> None:
    assert not refusals(scenario(name).model())


def test_bounds_and_names_of_parameters_are_kept() -> None:
    with pytest.raises(BadInput, match="no parameter"):
        scenario("A1").model(speed=1.0)
    with pytest.raises(BadInput, match="between"):
        scenario("A1").model(rate=-1.0)
    with pytest.raises(BadInput, match="no scenario"):
        scenario("A99")


def expectation(**given: object) -> Expectation:
    usual = {"what": "x", "measure": lambda study: None, "value": 1.0, "low": 0.5, "high": 1.5}
    return Expectation(**(usual | {"source": "here"} | given))  # type: ignore[arg-type]  # a test's short form


def test_a_figure_outside_its_band_differs() -> None:
    inside = Estimate(value=1.6, low=1.4, high=1.8)
    outside = Estimate(value=1.8, low=1.6, high=2.0)
    assert judge(expectation(), inside).verdict == "holds"
    assert judge(expectation(), outside).verdict == "differs"
    assert not judge(expectation(), outside).fine


def test_a_figure_that_is_not_reproduced_must_stay_so() -> None:
    marked = expectation(not_reproduced="because")
    assert judge(marked, Estimate(value=3, low=2, high=4)).fine
    found = judge(marked, Estimate(value=1, low=0.9, high=1.1))
    assert found.verdict == "reproduced after all"
    assert not found.fine


def test_a_check_fails_when_the_model_does_something_else() -> None:
    a02 = scenario("A2")

    def wrong(**given: float) -> object:
        return a02.build(**(given | {"retries": 3}))

    broken = msgspec.structs.replace(a02, build=wrong)
    report = broken.check()
    assert not report.ok
    assert any(m.verdict == "differs" for m in report.measured)


def test_shares_are_measured_well_enough_to_fail() -> None:
    """With too few replicas every interval would meet every band."""
    for each in all_scenarios():
        if any(e.what.startswith("P(") and e.scale == "quick" for e in each.expected):
            nothing, everything = share(0, each.replicas), share(each.replicas, each.replicas)
            assert nothing.high < everything.low + 0.2, each.id


def test_the_interval_of_a_median_holds_it_and_may_be_infinite() -> None:
    found = median([math.inf if i > 60 else float(i) for i in range(100)])
    assert found.low <= 49.5 <= found.high < 61
    assert median([1.0, math.inf, math.inf]).value == math.inf


def test_the_interval_of_a_mean_time_is_that_of_a_poisson_count() -> None:
    found = event_rate(10, 1000.0)
    # chi-squared quantiles of 20 and 22 degrees: 9.591 and 36.781
    assert found.value == 100.0
    assert found.low == pytest.approx(2 * 1000 / 36.781, rel=0.01)
    assert found.high == pytest.approx(2 * 1000 / 9.591, rel=0.01)
    assert event_rate(0, 1000.0).high == math.inf


def test_threads_do_not_change_a_scenario() -> None:
    model: Scenario = scenario("A17")
    one, two = (run_all(model.model(), range(3), threads=n) for n in (1, 2))
    for a, b in zip(one.samples, two.samples, strict=True):
        assert (a.columns["web.succeeded"] == b.columns["web.succeeded"]).all()
