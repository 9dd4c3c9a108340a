"""Materialised views on real servers."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind
from howdah.check.rules.matviews import matview_refresh_concurrently
from howdah.testing import Database
from tests.applying import cure, found
from tests.diagnosing import examine

PLANTED = """
    CREATE EXTENSION pg_stat_statements;
    CREATE TABLE t AS SELECT generate_series(1, 100) AS a, 1 AS b;
    CREATE MATERIALIZED VIEW lost AS SELECT * FROM t;
    CREATE UNIQUE INDEX lost_key ON lost (a);
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM t;
    CREATE UNIQUE INDEX kept_key ON kept (a);
    CREATE MATERIALIZED VIEW plain AS SELECT * FROM t;
    ANALYZE lost, kept;
"""


def test_a_view_that_lost_its_index(database: Database) -> None:
    refresh = b"REFRESH MATERIALIZED VIEW CONCURRENTLY "
    with database.connect() as connection:
        connection.execute(PLANTED)
        connection.execute(refresh + b"lost")
        connection.execute(refresh + b"kept")
        connection.execute("REFRESH MATERIALIZED VIEW plain")
        assert examine(database, matview_refresh_concurrently).kind is Kind.OK
        connection.execute("DROP INDEX lost_key; CREATE UNIQUE INDEX ON lost (a) WHERE b = 1")
        result = examine(database, matview_refresh_concurrently)
        assert found(result) == {"public.lost"}
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            connection.execute(refresh + b"lost")
        cure(database, matview_refresh_concurrently, "public.lost")
        connection.execute(refresh + b"lost")


def test_without_the_extension_it_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a")
    assert examine(database, matview_refresh_concurrently).kind is Kind.UNKNOWN
