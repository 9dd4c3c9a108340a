"""Suppressions and baselines: nothing disappears without a reason and an end."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from howdah.check.model import Confidence, Finding, Severity
from howdah.check.suppression import (
    Suppression,
    expired,
    read_baseline,
    read_suppressions,
    write_baseline,
)
from howdah.errors import BadFile

FINDING = Finding(
    rule="unused-index",
    object="public.orders_total",
    severity=Severity.NOTICE,
    claim="public.orders_total was not used for 40 days.",
    evidence=(),
    confidence=Confidence.MEASURED,
    refuted_by="a scan",
    cost_if_wrong="a slow query",
    harm=1.0,
)
ENTRY = """[[suppress]]
finding = "unused-index:public.orders_*"
reason = "{reason}"
expires = 2027-01-31
"""


def test_an_entry_covers_what_it_names_until_its_day(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(ENTRY.format(reason="yearly closing"))
    (entry,) = read_suppressions(file)
    assert entry.covers(FINDING, date(2027, 1, 31))
    assert not entry.covers(FINDING, date(2027, 2, 1))
    assert expired([entry], date(2027, 2, 1)) == (entry,)
    assert not Suppression(finding="other:*", reason="x", expires=date(2027, 1, 31)).covers(
        FINDING, date(2026, 1, 1)
    )


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.format(reason=" "),
        "[[suppress]]\nfinding = 'x:*'\nreason = 'no end'\n",
        "[[suppress]]\nfinding = 'x:*'\nreason = 'y'\nexpires = 2027-01-31\nuntil = 1\n",
        "suppress = 3",
        "not toml",
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s.toml"
    file.write_text(text)
    with pytest.raises(BadFile):
        read_suppressions(file)


def test_a_baseline_survives_the_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    assert write_baseline([FINDING, FINDING], file) == 1
    assert read_baseline(file) == {FINDING.id}
    file.write_text("{}")
    with pytest.raises(BadFile, match="baseline"):
        read_baseline(file)
