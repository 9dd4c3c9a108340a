"""The fixtures themselves.

Owns the settings of the shared servers. Must never share a server between majors or workers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import pytest

from howdah.postgres import Installation, Server
from howdah.testing.databases import Database

DIAGNOSIS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    "track_io_timing": "on",
    "track_functions": "all",
    "wal_level": "logical",
    "max_prepared_transactions": "10",
    # Autovacuum is on, as it should be everywhere, but does not act before a test has looked.
    "autovacuum_naptime": "1d",
}
"""What a test of a diagnosis wants to see; on top of a server's own defaults."""

OwnServer = Callable[..., Server]
SharedServers = Callable[[Installation], Server]


@pytest.fixture(scope="session")
def postgres_installation(request: pytest.FixtureRequest) -> Installation:
    """The PostgreSQL of this run of the test; one run per tested major."""
    return cast("Installation", request.param)


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[SharedServers]:
    """The shared server of each installation, started when a test first asks."""
    started: dict[Installation, Server] = {}
    with contextlib.ExitStack() as servers:

        def shared(installation: Installation) -> Server:
            if installation not in started:
                server = Server.start(installation, settings=DIAGNOSIS)
                started[installation] = servers.enter_context(server)
            return started[installation]

        yield shared


@pytest.fixture(scope="session")
def server(postgres_installation: Installation, shared_servers: SharedServers) -> Server:
    """A server that all tests of one major share in one worker: create databases, break nothing."""
    return shared_servers(postgres_installation)


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """A fresh, empty database on the shared server, dropped after the test."""
    fresh = Database(server)
    try:
        yield fresh
    finally:
        fresh.drop()


@pytest.fixture
def own_server(postgres_installation: Installation) -> Iterator[OwnServer]:
    """A factory, `own_server(settings=None)`, of servers that this test alone may crash."""
    with contextlib.ExitStack() as servers:

        def start(settings: Mapping[str, str] | None = None) -> Server:
            return servers.enter_context(Server.start(postgres_installation, settings=settings))

        yield start
