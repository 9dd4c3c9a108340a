"""The terminal rendering: golden texts, and what must hold for any diagnosis."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Kind
from howdah.report import terminal
from howdah.report.contract import contract
from tests.golden import samples
from tests.golden.compare import same_as_golden


def printed(of: Diagnosis, *, verbose: bool = False, width: int = 80, colour: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=colour, _environ={})
    terminal.render(contract(of), console, verbose=verbose)
    return out.getvalue()


def test_a_sick_database() -> None:
    same_as_golden("terminal.txt", printed(samples.diagnosis()))


def test_a_sick_database_in_full() -> None:
    same_as_golden("terminal_verbose.txt", printed(samples.diagnosis(), verbose=True))


def test_suppressed_and_known_findings_are_counted() -> None:
    text = printed(samples.silenced())
    assert "not shown: 1 suppressed, 1 known from the baseline" in text
    assert "note: the suppression of invalid-index:public.old ended" in text
    assert "yearly closing, until 2027-01-31" in printed(samples.silenced(), verbose=True)


def test_all_is_well_in_one_line() -> None:
    assert printed(samples.quiet()) == (
        "Nothing found in shop on PostgreSQL 18.6 as postgres: 1 rule looked and found\nnothing\n"
    )
    assert printed(samples.quiet(), width=120).count("\n") == 1


def test_nothing_examined_is_not_called_well() -> None:
    blind = tuple(each for each in samples.SICK if each.kind is Kind.UNKNOWN)
    text = printed(samples.diagnosis(blind))
    assert text.startswith("Nothing could be examined in shop")
    assert "Nothing found" not in text


def test_the_worst_comes_first() -> None:
    text = printed(samples.diagnosis())
    places = [text.index(word) for word in ("CRITICAL", "WARNING", "NOTICE", "unknown:")]
    assert places == sorted(places)


def test_no_line_of_prose_is_wider_than_the_terminal() -> None:
    sql = ("DROP", "CREATE", "SET", "ALTER", "SELECT", "-- ")
    for width in (60, 80, 120):
        for line in printed(samples.diagnosis(), verbose=True, width=width).splitlines():
            assert len(line) <= width or line.strip().startswith(sql), line


@pytest.mark.parametrize("width", [40, 80])
def test_a_statement_is_one_line_however_narrow(width: int) -> None:
    text = printed(samples.diagnosis(), verbose=True, width=width)
    for statement in samples.REDUNDANT.remedies[0].inverse:
        assert f"    {statement};\n" in text


def test_what_was_not_proven_cannot_be_pasted() -> None:
    text = printed(samples.diagnosis(), verbose=True)
    for sql in ("SELECT pg_catalog.pg_terminate_backend", "ALTER TABLE public.orders"):
        assert f"    -- {sql}" in text
        assert f"    {sql}" not in text.replace(f"-- {sql}", "")


def test_names_cannot_paint_the_screen() -> None:
    text = printed(samples.diagnosis())
    assert "\x1b" not in text
    assert "[bold]" in text  # not taken for markup
    coloured = printed(samples.diagnosis(), colour=True)
    assert "\\x1b[31m" in coloured


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    assert "\x1b[" in printed(samples.diagnosis(), colour=True)
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=True, _environ={"NO_COLOR": "1"})
    terminal.render(contract(samples.diagnosis()), console)
    assert "\x1b[31" not in out.getvalue()
    assert "\x1b[32" not in out.getvalue()
