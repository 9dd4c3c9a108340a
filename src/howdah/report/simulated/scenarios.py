"""The built-in scenarios: listed, or with what was measured beside what is expected."""

from __future__ import annotations

from collections.abc import Sequence

from howdah.report.pictures.chart import number
from howdah.report.simulated.figures import amount
from howdah.report.simulation import Page, Section, Table
from howdah.simulate.scenarios import Report, Scenario


def listed(scenarios: Sequence[Scenario]) -> Page:
    """One line each."""
    rows = tuple((each.id, each.title, each.source) for each in scenarios)
    return Page(
        title="Built-in scenarios",
        verdict="Published failures, each with the figures that it is known to show.",
        facts=(
            ("run one", "howdah simulate run scenario:ID"),
            ("check one", "simulate scenarios ID"),
        ),
        sections=(
            Section(title="Scenarios", tables=(Table(head=("id", "title", "source"), rows=rows),)),
        ),
    )


def checked(scenarios: Sequence[Scenario], reports: Sequence[Report]) -> Page:
    """Measured beside expected."""
    differing = [each.id for each in reports if not each.ok]
    figures = sum(len(each.measured) for each in reports)
    verdict = (
        f"{', '.join(differing)} differ from what is expected."
        if differing
        else f"All {figures} figures are as expected."
    )
    pairs = zip(scenarios, reports, strict=True)
    return Page(
        title="Scenarios: measured beside expected",
        verdict=verdict,
        facts=(("scenarios", f"{len(reports)}"), ("figures", f"{figures}")),
        sections=tuple(_section(scenario, report) for scenario, report in pairs),
    )


def _section(scenario: Scenario, report: Report) -> Section:
    rows = tuple(
        (
            each.verdict,
            each.expectation.what,
            amount(each.estimate),
            _expected(each.expectation.value, each.expectation.low, each.expectation.high),
            each.expectation.not_reproduced or each.expectation.source,
        )
        for each in report.measured
    )
    return Section(
        title=f"{scenario.id}: {scenario.title}",
        text=(" ".join(scenario.teaches), f"Source: {scenario.source}"),
        tables=(Table(head=("verdict", "figure", "measured", "expected", "from"), rows=rows),),
    )


def _expected(value: float, low: float, high: float) -> str:
    return f"{number(value)} ({number(low)} to {number(high)})"
