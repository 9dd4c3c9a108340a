"""T14 and T20: what a role does not see, and what the counters do not count, is no evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from howdah.check.model import Kind, Rule
from howdah.check.rules import all_rules
from howdah.check.rules.unused import unused_index
from howdah.snapshot.collect import take
from howdah.snapshot.model import Window
from howdah.snapshot.options import QUICK
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from tests.making import objects, verdict

BY_STATISTICS = [rule for rule in all_rules() if "column_statistics" in rule.needs]


@pytest.mark.parametrize("rule", BY_STATISTICS, ids=lambda rule: rule.id)
@pytest.mark.parametrize("groups", [["pg_monitor"], []], ids=["pg_monitor", "nobody"])
def test_t14_a_rule_on_statistics_that_the_role_cannot_see_is_unknown(
    database: Database, groups: list[str], rule: Rule
) -> None:
    """Not applicable would be as wrong as ok: there are statistics, and they are hidden."""
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i AS id, i % 3 AS k FROM generate_series(1, 3000) AS i;"
            "ALTER TABLE t ADD PRIMARY KEY (id); CREATE INDEX ON t (k); ANALYZE t"
        )
    role = database.create_role(member_of=groups)
    result = verdict(rule, Picture(take(database.dsn_of(role), QUICK)))
    assert result.kind is Kind.UNKNOWN
    assert "pg_read_all_data" in result.reason


def test_t20_an_index_that_only_refuses_rows_is_not_called_unused(database: Database) -> None:
    """No constraint tells its duty, and its checks are no scans: only indisunique says so."""
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE t (code int, idle int);
            CREATE UNIQUE INDEX t_code ON t (code);
            CREATE INDEX t_idle ON t (idle);
            INSERT INTO t SELECT i, i FROM generate_series(1, 60000) AS i;
            """
        )
    now = datetime.now(UTC)
    month = Window(since=now - timedelta(days=30), until=now, reason="as if")
    seen = msgspec.structs.replace(take(database.dsn, QUICK), window=month)
    scans = {row.index: row.scans for row in seen.index_statistics.rows}
    assert [scans[row.oid] for row in seen.indexes.rows] == [0, 0]
    assert objects(verdict(unused_index, Picture(seen))) == {"public.t_idle"}
