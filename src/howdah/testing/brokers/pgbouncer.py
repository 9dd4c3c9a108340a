"""A PgBouncer in front of a PostgreSQL of ours, in transaction mode.

Owns its configuration. Must never be reached by another machine, and must never lead to a server
that a test did not start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.postgres import account
from howdah.testing.brokers.broker import LOOPBACK, Broker, Program, converse

_PROGRAM = Path("/usr/sbin/pgbouncer")
"""Debian's."""
_CONFIGURATION = """\
[databases]
* = host={host} port={server_port} user={user}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
# Else an idle client gets the same session again, and what it left there.
server_round_robin = 1
default_pool_size = {size}
max_client_conn = 200
"""
_TLS_WANTED = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # SSLRequest of the protocol; N says no


class PgbouncerBroker(Broker):
    """One pooler: many clients share `size` sessions, a transaction at a time. Use `before`."""

    name = "pgbouncer"

    def __init__(self, server_dsn: str = "", *, size: int = 3, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock=clock)
        self._given = conninfo_to_dict(server_dsn)
        runner = account.current()  # it refuses to be root
        self.ids = runner.ids
        settings = _CONFIGURATION.format(
            host=self._given.get("host", LOOPBACK),
            server_port=self._given.get("port", 5432),
            user=self._given.get("user", runner.name),
            address=LOOPBACK,
            port=self.port,
            size=size,
        )
        (self.folder / "pgbouncer.ini").write_text(settings, encoding="utf-8")
        for path in (self.folder, *self.folder.iterdir()):
            runner.give(path)

    @classmethod
    def before(cls, server_dsn: str, *, size: int = 3) -> Self:
        """Start one in front of the server that this DSN leads to."""
        return cls(server_dsn, size=size)._launched()

    @classmethod
    def missing(cls) -> str:
        """Debian's package; there is no wheel."""
        installed = _PROGRAM.is_file()
        return "" if installed else "apt-get install --no-install-recommends pgbouncer"

    @property
    def url(self) -> str:
        """The DSN of the same database, through the pooler."""
        return self.dsn(str(self._given.get("dbname", "postgres")))

    def dsn(self, database: str) -> str:
        """The DSN of a database, through the pooler."""
        user = str(self._given.get("user", "postgres"))
        return make_conninfo("", host=LOOPBACK, port=self.port, user=user, dbname=database)

    def programs(self) -> Sequence[Program]:
        """One process."""
        return [Program(argv=[str(_PROGRAM), str(self.folder / "pgbouncer.ini")])]

    def is_ready(self) -> bool:
        """It answers the question for TLS."""
        return converse(self.port, _TLS_WANTED, b"N")
