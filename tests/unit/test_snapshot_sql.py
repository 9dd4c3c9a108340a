"""No block of SQL is missing, and none is there that nobody asks for."""

from __future__ import annotations

import re
from pathlib import Path

from howdah.query import load
from howdah.snapshot import plan
from howdah.snapshot.model import fact_types
from howdah.snapshot.plan import PARTS

PACKAGE = Path(plan.__file__).parent
LATER = {
    "counter_samples",
    "table_samples",
    "wait_samples",
    "sizes",
    "table_space",
    "index_space",
    "pending_lists",
    "multixacts",
}


def test_every_fact_is_asked_for_once() -> None:
    asked = [part.fact for part in PARTS]
    assert len(asked) == len(set(asked))
    assert set(asked) | LATER == set(fact_types())


def test_every_block_is_used() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    named = set(re.findall(r'"([a-z_]+)"', code))
    files = sorted((PACKAGE / "sql").glob("*.sql"))
    assert files
    for path in files:
        for name in load("howdah.snapshot", f"sql/{path.name}"):
            assert name in named, f"{path.name}: nobody asks for {name}"


def test_every_gap_is_counted() -> None:
    for part in PARTS:
        assert bool(part.left_out) == bool(part.gap), part.fact
        assert not part.left_out or part.left_out in part.queries
