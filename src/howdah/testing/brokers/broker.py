"""What all brokers of a test have in common: a process of ours that may be broken on purpose.

Owns the life of one broker: its folder, its port, its guardian. Must never listen on anything but
loopback, and must never outlive the process that started it.
"""

from __future__ import annotations

import abc
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import msgspec

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import Cannot, CouldNot, TimedOut, Unsupported
from howdah.postgres import guardian

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.01
_LOG_TAIL_LINES = 15
# Below the range from which the kernel takes ports for outgoing connections, so that a broker that
# is down for a while finds its port free again.
_PORTS = range(20_000, 32_000)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a broker: its words, and what is added to its environment."""

    argv: Sequence[str]
    environment: dict[str, str] = msgspec.field(default_factory=dict)


class Broker(abc.ABC):
    """One broker of ours. Use `start`; as a context manager it is removed at the end.

    `stop` and `kill` end it, `restart` brings it back at the same address with the data it had.
    `close`, the end of the `with` block and the end of this process in whatever way remove
    it with its folder.
    """

    name: ClassVar[str]
    start_seconds: ClassVar[float] = 30.0
    ids: tuple[int, int] | None = None

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        reason = self.missing()
        if reason:
            raise Unsupported(f"{self.name} is not here", hint=reason)
        self._clock = clock
        self._lock = threading.RLock()
        self.folder = Path(tempfile.mkdtemp(prefix=f"howdah-{self.name}-"))
        self.log = self.folder / "broker.log"
        self.port = free_port()
        settings = json.dumps(
            {
                "kind": guardian.BROKER,
                "folder": str(self.folder),
                "owner": os.getpid(),
                "keeps_data": False,
            }
        )
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is meant for us
            cwd="/",
        )

    @classmethod
    def start(cls) -> Self:
        """Start one and wait until it takes connections.

        Raises `Unsupported` with what to install where the broker's program is absent, `Cannot`
        with the end of its log where it ends instead of starting.
        """
        return cls()._launched()

    def _launched(self) -> Self:
        try:
            self._launch()
        except BaseException:
            self.close()
            raise
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @classmethod
    @abc.abstractmethod
    def missing(cls) -> str:
        """What to install so that this broker can run here; empty where it can."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where a client connects to."""

    @abc.abstractmethod
    def programs(self) -> Sequence[Program]:
        """The processes to start, the broker itself last."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Whether a client would be served now."""

    @property
    def running(self) -> bool:
        """Whether the broker's process lives; a paused one does."""
        return not self.closed and bool(self._order(do="status")["running"])

    @property
    def closed(self) -> bool:
        """Whether it was told to go."""
        return self._guardian.stdin is None or self._guardian.stdin.closed

    def stop(self) -> None:
        """End it as an operator would, and wait for that."""
        self._order(do="stop")

    def kill(self) -> None:
        """SIGKILL to it and to all that it forked; returns when they are gone."""
        self._order(do="kill")

    def pause(self) -> None:
        """Freeze it: connections stay open, and nobody answers."""
        self._order(do="signal", name="SIGSTOP")

    def resume(self) -> None:
        """Undo `pause`."""
        self._order(do="signal", name="SIGCONT")

    def restart(self) -> None:
        """Stop it if it runs, start it again at the same address and wait for it."""
        if self.running:
            self.stop()
        self._launch()

    def close(self) -> None:
        """Kill it and remove its folder. Harmless twice."""
        with self._lock:
            if self._guardian.stdin is None or self._guardian.stdout is None or self.closed:
                return
            try:
                self._guardian.stdin.write(b'{"do": "end"}\n')
                self._guardian.stdin.close()
            except BrokenPipeError:
                self._guardian.kill()
            self._guardian.wait()
            self._guardian.stdout.close()

    def _launch(self) -> None:
        for program in self.programs():
            self._order(
                do="start",
                argv=list(program.argv),
                environment={"PATH": "/usr/local/bin:/usr/bin:/bin", **program.environment},
                log=str(self.log),
                ids=self.ids,
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline = self._clock.monotonic() + self.start_seconds
        while not self.is_ready():
            if not self.running:
                raise Cannot(f"{self.name} ended while it started", detail=self._log_tail())
            if self._clock.monotonic() > deadline:
                raise TimedOut(
                    f"{self.name} is not ready after {self.start_seconds:g} s",
                    detail=self._log_tail(),
                )
            self._clock.sleep(_POLL_SECONDS)

    def _log_tail(self) -> str:
        if not self.log.exists():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _order(self, **order: Any) -> dict[str, Any]:
        with self._lock:
            if self._guardian.stdin is None or self._guardian.stdout is None or self.closed:
                raise CouldNot(f"this {self.name} is closed", hint="start a new one")
            self._guardian.stdin.write(json.dumps(order).encode() + b"\n")
            self._guardian.stdin.flush()
            answer = json.loads(self._guardian.stdout.readline() or b'{"error": "guardian gone"}')
        if "error" in answer:
            raise CouldNot(f"could not {order['do']} {self.name}", detail=answer["error"])
        return dict(answer)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            # As servers do; else connections of an earlier broker in TIME_WAIT would be in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def converse(port: int, said: bytes, answer: bytes, *, seconds: float = 1.0) -> bool:
    """Whether the first answer to `said` on a port of loopback contains `answer`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=seconds) as connection:
            connection.sendall(said)
            return answer in connection.recv(4096)
    except OSError:
        return False
