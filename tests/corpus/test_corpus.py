"""Index rules on real schemas, against oracles that share no code with them."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind
from tests.corpus import oracles
from tests.corpus.conftest import Loaded

# One worker loads the schemas, for all of these modules.
pytestmark = [pytest.mark.xdist_group("corpus"), pytest.mark.postgres(newest_by_default=True)]


def test_every_redundant_index_is_found_and_none_falsely(
    real: Loaded, connection: psycopg.Connection
) -> None:
    known = oracles.Known(connection)
    reported = real.reported("redundant-index")
    assert known.wrong(reported) == []
    assert known.missed(reported) == []
    assert len(reported) == known.droppable()


def test_what_a_redundant_index_serves_its_survivor_serves(
    real: Loaded, connection: psycopg.Connection
) -> None:
    lost = []
    for finding in real.results["redundant-index"].findings:
        index, survivor = (row["index"] for row in finding.evidence)
        lost += oracles.lost_by_dropping(connection, index, survivor)
    assert lost == []


def test_foreign_keys_without_an_index_are_the_planners(
    real: Loaded, connection: psycopg.Connection
) -> None:
    served = oracles.foreign_keys(connection)
    result = real.results["foreign-key-without-index"]
    assert result.of == len(served)
    assert result.examined == result.of, result.reason
    assert real.reported("foreign-key-without-index") == {k for k, ok in served.items() if not ok}


def test_of_a_schema_just_loaded_nobody_can_say_what_is_unused(real: Loaded) -> None:
    result = real.results["unused-index"]
    assert result.kind in (Kind.UNKNOWN, Kind.NOT_APPLICABLE)
    assert result.examined == 0
    if result.kind is Kind.NOT_APPLICABLE:
        pytest.skip(f"{real.schema.name} has no index that exists for scans alone")
