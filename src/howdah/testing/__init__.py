"""Fixtures for tests that need a real PostgreSQL: a plugin that pytest finds by itself.

Owns the shared servers of a test run and the databases on them. Must never reach a server that it
did not start.

    def test_counts(database):
        with database.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

Each test that uses `server`, `database` or `own_server` runs once per tested major: 18 and 15, and
those that `HOWDAH_TEST_PG` names (`14:/path/to/bin,16:/path/to/bin`). A major that is not installed
is a skip that says what to install. `@pytest.mark.postgres(since=17)` and `until=` narrow the
majors, `newest=True` takes only the newest of them, `newest_by_default=True` does where
`HOWDAH_TEST_PG` names none. A module's tests on one major share an xdist group, for
`--dist loadgroup`; a worker starts one server of a major, when a test first asks.

`nats_broker`, `redis_broker`, `rabbitmq_broker`, `kafka_broker` and `http_broker` are real
brokers on loopback; where the program is absent, the test is a skip that says what to install.
"""

from __future__ import annotations

from howdah.clock import FakeClock
from howdah.testing.brokers.fixtures import (
    http_broker,
    kafka_broker,
    nats_broker,
    rabbitmq_broker,
    redis_broker,
)
from howdah.testing.databases import Database
from howdah.testing.fixtures import (
    database,
    own_server,
    postgres_installation,
    server,
    shared_servers,
)
from howdah.testing.majors import (
    GROUP,
    pytest_configure,
    pytest_generate_tests,
    servers_line,
)
from howdah.testing.waiting import wait_until

__all__ = [
    "GROUP",
    "Database",
    "FakeClock",
    "database",
    "http_broker",
    "kafka_broker",
    "nats_broker",
    "own_server",
    "postgres_installation",
    "pytest_configure",
    "pytest_generate_tests",
    "rabbitmq_broker",
    "redis_broker",
    "server",
    "servers_line",
    "shared_servers",
    "wait_until",
]
