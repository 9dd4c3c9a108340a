"""Processes that are killed, paused and cut off at random, and a server that crashes under them.

Owns the fleet of a chaos run and the one who attacks it. Must never touch a process that it did not
start, nor a server that is not ours.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import HowdahError, TimedOut
from howdah.postgres import Server, connect
from howdah.query import load

_QUERIES = load("howdah.testing", "sql/crashing.sql")
_PAUSE_SECONDS = (0.05, 0.6)


class Fleet:
    """Named processes, each a Python module with arguments; those that died are started again.

    They must end by themselves, with exit code 0, once `folder / "stop"` exists.
    """

    def __init__(self, folder: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._folder = folder
        self._clock = clock
        self._commands: dict[str, Sequence[str]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def add(self, name: str, module: str, *arguments: str) -> None:
        """Start `python -m module arguments` under that name."""
        self._commands[name] = [sys.executable, "-m", module, *arguments]
        self._start(name)

    def tend(self) -> None:
        """Start again whoever died."""
        for name, process in self._running.items():
            if process.poll() is not None:
                self._start(name)

    def finish(self, *, seconds: float = 60.0) -> None:
        """Ask everybody to end and wait; `HowdahError` with its output for one that failed.

        Whoever was killed before is started once more first, so that it can finish its work.
        """
        self.tend()
        (self._folder / "stop").touch()
        deadline = self._clock.monotonic() + seconds
        for name, process in self._running.items():
            try:
                code = process.wait(max(0.1, deadline - self._clock.monotonic()))
            except subprocess.TimeoutExpired:
                raise TimedOut(f"{name} does not end", detail=self._said(name)) from None
            if code != 0:
                raise HowdahError(f"{name} ended with {code}", detail=self._said(name))

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._running[name].kill()
        self._running[name].wait()

    def pause(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            self._clock.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody, dead or alive."""
        return tuple(self._commands)

    def _start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._commands[name], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")[-4000:]


class Nemesis:
    """Attacks a fleet and its server, one blow at a time, by a seed that can be repeated."""

    def __init__(
        self,
        fleet: Fleet,
        server: Server,
        dsn: str,
        *,
        seed: int,
        more: Mapping[str, Callable[[], None]] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._fleet = fleet
        self._server = server
        self._dsn = dsn
        self._random = random.Random(seed)
        self._clock = clock
        self.blows: list[str] = []
        self._acts: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "pause": self._pause,
            "terminate": self._terminate,
            "restart": self._restart,
            **(more or {}),
        }

    def rage(self, seconds: float, *, between_seconds: float = 0.3) -> None:
        """Strike until the time is over; the dead are brought back after every blow."""
        deadline = self._clock.monotonic() + seconds
        while self._clock.monotonic() < deadline:
            self._clock.sleep(self._random.uniform(0, 2 * between_seconds))
            name = self._random.choice(sorted(self._acts))
            self.blows.append(name)
            self._acts[name]()
            self._fleet.tend()

    def _victim(self) -> str:
        return self._random.choice(self._fleet.names)

    def _kill(self) -> None:
        self._fleet.kill(self._victim())

    def _pause(self) -> None:
        self._fleet.pause(self._victim(), self._random.uniform(*_PAUSE_SECONDS))

    def _terminate(self) -> None:
        with closing(connect(self._dsn)) as connection:
            connection.execute(_QUERIES.text("terminate_any"))

    def _restart(self) -> None:
        self._server.stop("immediate")
        self._server.restart()


def persistently(
    dsn: str,
    work: Callable[[psycopg.Connection], bool],
    *,
    seconds: float = 60.0,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Call `work` on a connection until it returns True, reconnecting after every retryable error.

    What a process of a fleet runs its work in; `TimedOut` when nothing succeeds for `seconds`.
    """
    deadline = clock.monotonic() + seconds
    while True:
        try:
            with closing(connect(dsn)) as connection:
                while not work(connection):
                    deadline = clock.monotonic() + seconds
            return
        except (HowdahError, psycopg.Error) as error:
            retryable = isinstance(error, psycopg.OperationalError) or (
                isinstance(error, HowdahError) and error.retryable
            )
            if not retryable:
                raise
            if clock.monotonic() > deadline:
                raise TimedOut("nothing succeeds any more", detail=str(error)) from error
        clock.sleep(0.02)
