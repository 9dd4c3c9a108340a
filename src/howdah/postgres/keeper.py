"""Our end of the pipe to a guardian.

Owns the guardian's process, the pipe, and what a forked child of ours may not do with it. Must
never let the pipe's writing end leak: its closing is how the guardian learns that we are gone.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

from howdah.errors import CouldNot
from howdah.postgres import guardian
from howdah.postgres.account import ENVIRONMENT, Account
from howdah.postgres.folders import RunFolder


class Keeper:
    """Gives orders to one guardian; `close` ends it, its server and its folder."""

    def __init__(self, folder: RunFolder, *, keeps_data: bool) -> None:
        self._lock = threading.RLock()
        self._folder = folder.path
        arguments = {
            "kind": guardian.POSTMASTER,
            "folder": str(folder.path),
            "owner": os.getpid(),
            "keeps_data": keeps_data,
        }
        with (folder.path / "guardian.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # The guardian inherits the lock; ours is closed, so that it dies with the guardian.
                pass_fds=(folder.lock,),
                # Ctrl-C is meant for us; what happens to the server then is our decision.
                start_new_session=True,
                env=dict(ENVIRONMENT),
                cwd="/",
            )
        os.close(folder.lock)
        _keepers.add(self)

    def start(self, argv: list[str], *, data: Path, log: Path, account: Account) -> int:
        """Start the postmaster and return its process id; it is not ready yet."""
        answer = self._order(
            do="start",
            argv=argv,
            data=str(data),
            log=str(log),
            environment=ENVIRONMENT,
            ids=account.ids,
        )
        return int(answer["pid"])

    def signal(self, name: str) -> None:
        """Send the postmaster the named signal, such as SIGINT."""
        self._order(do="signal", name=name)

    def kill(self) -> None:
        """SIGKILL the postmaster and its children; returns when they are gone."""
        self._order(do="kill")

    def running(self) -> bool:
        """Whether the postmaster lives."""
        if self.closed or self._process.poll() is not None:
            return False
        return bool(self._order(do="status")["running"])

    @property
    def closed(self) -> bool:
        """Whether the guardian was told to end."""
        return self._process.stdin is None or self._process.stdin.closed

    def close(self) -> None:
        """End the guardian: it stops the server, removes the folder and goes. Harmless twice."""
        with self._lock:
            self.release()
            self._process.wait()
            if self._process.stdout and not self._process.stdout.closed:
                self._process.stdout.close()
            _keepers.discard(self)

    def release(self) -> None:
        """Close the pipe without waiting for what that causes."""
        if self._process.stdin and not self.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                return  # the guardian is gone already

    def forget(self) -> None:
        """In a forked child: let go of the pipe; the server stays our parent's."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                pipe.close()
        # The child is not the guardian's parent: an exit status is not its to wait for.
        self._process.returncode = 0

    def _order(self, **order: Any) -> dict[str, Any]:
        with self._lock:
            answer = self._exchange(json.dumps(order).encode() + b"\n")
        if "error" in answer:
            raise CouldNot(f"could not {order['do']} the server", detail=str(answer["error"]))
        return answer

    def _exchange(self, order: bytes) -> dict[str, Any]:
        pipe, answers = self._process.stdin, self._process.stdout
        if pipe is None or answers is None or pipe.closed:
            raise CouldNot("this server is closed", hint="start a new one")
        try:
            pipe.write(order)
            pipe.flush()
            answer = answers.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise CouldNot("the server's guardian is gone", hint="start a new server")
        return dict(json.loads(answer))


_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


def _forget_all() -> None:
    for keeper in list(_keepers):
        keeper.forget()
    _keepers.clear()


def _close_all() -> None:
    """At exit: end all guardians at once, then wait, so that nothing of ours outlives us."""
    for keeper in list(_keepers):
        keeper.release()
    for keeper in list(_keepers):
        keeper.close()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)
