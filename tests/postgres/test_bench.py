"""The collector's bench, at a size that a suite can afford: it measures, and says what it measured.

No figure is asserted: a clock on a shared machine is not a fact.
"""

from __future__ import annotations

import pytest

from howdah.bench import collector
from howdah.bench.collector import Target


def test_the_bench_measures_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    small = (
        Target(tables=10, seconds=60, megabytes=4000),
        Target(tables=600, seconds=0, megabytes=1),
    )
    monkeypatch.setattr(collector, "TARGETS", small)
    told: list[str] = []
    ten, more = collector.run(told.append)
    assert more.relations - ten.relations >= 2 * 590  # each table with its index, at least
    assert ten.met
    assert not more.met
    assert more.taken.file_bytes > ten.taken.file_bytes > 0
    assert more.ratio_to_bare > 0
    assert [each.split(":")[0] for each in ten.taken.not_known] == ["statements"]
    assert len(told) == 4
