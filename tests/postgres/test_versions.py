"""The one vocabulary against what real servers call their waits and caches."""

from __future__ import annotations

import re

import pytest

from howdah.postgres import Installation, Server
from howdah.postgres.versions import RESPELLED_WAITS, SLRU_NAMES, Wait, normal_slru, normal_wait
from howdah.testing import wait_until
from howdah.testing.majors import candidates

# Symbols of the server program that look like wait events of other classes.
NOT_WAITS = {"archiveCleanupCommand", "recoveryEndCommand"}


def spellings(installation: Installation) -> dict[str, set[str]]:
    """The strings in a server program, by their lower case."""
    program = (installation.bindir / "postgres").read_bytes()
    found: dict[str, set[str]] = {}
    for text in re.findall(rb"(?<=\0)[A-Za-z]{3,60}(?=\0)", program):
        found.setdefault(text.decode().lower(), set()).add(text.decode())
    return found


@pytest.mark.postgres(since=17)
def test_every_name_since_17_is_its_own(server: Server) -> None:
    with server.connect() as connection:
        names = connection.execute("SELECT type, name FROM pg_wait_events").fetchall()
    assert len(names) > 250
    waits = {Wait(*name) for name in names}
    assert {normal_wait(*wait) for wait in waits} == waits
    assert all(normal_wait(*wait) == wait for wait in waits)
    assert set(RESPELLED_WAITS) <= waits


@pytest.mark.postgres(until=16)
def test_every_old_spelling_is_known(postgres_installation: Installation) -> None:
    """The server program's own strings: what differs from 17 in case only is in our table."""
    found = spellings(postgres_installation)
    respelled = 0
    for wait in RESPELLED_WAITS:
        old = found.get(wait.event.lower(), set()) - {wait.event}
        for spelling in old:
            respelled += 1
            assert normal_wait(wait.type, spelling) == wait
        assert wait.event not in found.get(wait.event.lower(), set())
    assert respelled >= 38  # 14 lacks three of them: their waits came later


@pytest.mark.postgres(until=16)
def test_no_old_spelling_is_missing(
    postgres_installation: Installation, names_of_17: list[Wait]
) -> None:
    found = spellings(postgres_installation)
    for wait in names_of_17:
        if wait.type in ("Lock", "LWLock", "Extension"):
            continue  # named by hand, and unchanged
        old = found.get(wait.event.lower(), set()) - {wait.event} - NOT_WAITS
        if old and wait.event not in found[wait.event.lower()]:
            assert wait in RESPELLED_WAITS, old


@pytest.fixture(scope="module")
def names_of_17() -> list[Wait]:
    """The wait events of the newest tested server, from 17 on."""
    newest = next((one.installation for one in candidates() if one.installation), None)
    if newest is None or newest.major < 17:
        pytest.skip("no PostgreSQL 17 or later: pip install 'howdah[server]'")
    with Server.start(newest) as server, server.connect() as connection:
        rows = connection.execute("SELECT type, name FROM pg_wait_events").fetchall()
    return [Wait(*row) for row in rows]


def test_a_real_wait(server: Server) -> None:
    query = "SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE pid = %s"
    with server.connect() as sleeper, server.connect() as watcher:
        pid = sleeper.info.backend_pid

        def waits() -> bool:
            row = watcher.execute(query, (pid,)).fetchone()
            assert row is not None
            return None not in row and normal_wait(*row) == Wait("Client", "ClientRead")

        wait_until(waits)


def test_slru_names_of_this_server(server: Server) -> None:
    with server.connect() as connection:
        rows = connection.execute("SELECT name FROM pg_stat_slru").fetchall()
    assert {normal_slru(name) for (name,) in rows} == set(SLRU_NAMES.values())
