"""The terminal rendering: golden texts, and what must hold for any diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Kind, Remedy
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


def with_evidence(*rows: Mapping[str, object]) -> Diagnosis:
    finding = msgspec.structs.replace(samples.REDUNDANT, evidence=rows, remedies=(ADVICE,))
    return samples.diagnosis((msgspec.structs.replace(samples.SICK[0], findings=(finding,)),))


ADVICE = Remedy(operation="find-spills", arguments={}, sql=(), note="look first", manual=True)
LONG = "SELECT *\n  FROM orders\n WHERE " + " OR ".join(f"customer_id = ${n}" for n in range(40))


def test_a_long_statement_is_one_short_line_and_said_once() -> None:
    of = with_evidence({"statement": LONG, "calls": 1}, {"statement": LONG, "calls": 2})
    text = " ".join(printed(of).split())
    assert "statement SELECT * FROM orders WHERE customer_id = $0" in text
    assert "customer_id = $39" not in text
    assert "statement as above, calls 2" in text
    assert "customer_id = $39" in " ".join(printed(of, verbose=True).split())


def test_the_same_row_of_evidence_is_printed_once() -> None:
    same = {"waiter": "session 4", "mode": "ShareLock"}
    assert printed(with_evidence(same, same, same)).count("waiter session 4") == 1


def test_advice_without_a_statement_leaves_no_gap() -> None:
    lines = printed(with_evidence({"a": 1})).splitlines()
    at = next(n for n, line in enumerate(lines) if "find-spills" in line)
    assert "note: look first" in lines[at + 1]
