"""The process that stands between us and one broker: its parent, and its undertaker.

Runs alone, as `python -I -S guardian.py SETTINGS`, with the standard library only. Owns the
broker's processes, whoever forked them, and the removal of the broker's folder. Must never end
while one of them runs, and must never remove a folder that it was not started for.

Orders come as JSON lines on standard input, one answer each goes to standard output. The order
`end`, the end of the input, the death of the process that started us, or SIGTERM mean: kill the
broker, remove its folder, go. `howdah.clock` is out of reach here, so this file asks the system for
the time itself. It is a sibling of PostgreSQL's guardian: a broker has no shared memory to
free and no data worth keeping, but may have helpers that leave its process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

GRACE_SECONDS = 10.0
"""How long a stopping broker may take before it is killed."""

_NAP_SECONDS = 0.005
# prctl(2): orphans of ours become our children; a child is told when its parent dies.
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Guardian:
    """The processes of one broker, the last one started being the broker itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid = 0

    def start(
        self,
        argv: list[str],
        environment: dict[str, str],
        log: str,
        ids: tuple[int, int] | None,
    ) -> dict[str, Any]:
        """Fork and execute one process, as user and group `ids` if given."""
        child = os.fork()
        if child == 0:
            _become(argv, environment, log, ids, self.folder)
        self.pid = child
        return {"pid": child}

    def verb(self, name: str) -> Callable[..., dict[str, Any]]:
        """What an order asks for."""
        verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "start": self.start,
            "signal": self.signal,
            "stop": self.stop,
            "kill": self.kill,
            "status": dict,
        }
        return verbs[name]

    def reap(self) -> bool:
        """Collect what has ended, and say whether nothing is left; pid 0 is the broker's end.

        A process whose first thread is a corpse may have others that still die; only waiting for
        it, which finds it when all of them are gone, tells that its ports are free.
        """
        try:
            while True:
                found, _ = os.waitpid(-1, os.WNOHANG)
                if not found:
                    return False
                if found == self.pid:
                    self.pid = 0
        except ChildProcessError:
            return True

    def running(self) -> bool:
        """Whether the broker lives."""
        self.reap()
        return bool(self.pid)

    def signal(self, name: str) -> dict[str, Any]:
        """Send the named signal to the broker and to all that it forked; a stop is waited for."""
        alive = family(os.getpid())
        for pid in alive:
            _send(pid, signal.Signals[name])
        deadline = time.monotonic() + GRACE_SECONDS
        while name == "SIGSTOP" and time.monotonic() < deadline and not all(map(_frozen, alive)):
            time.sleep(_NAP_SECONDS)
        return {}

    def stop(self) -> dict[str, Any]:
        """Ask the broker to end, wait for it, and kill what is left."""
        if self.running():
            _send(self.pid, signal.SIGCONT)
            _send(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while self.running() and time.monotonic() < deadline:
            time.sleep(_NAP_SECONDS)
        return self.kill()

    def kill(self) -> dict[str, Any]:
        """SIGKILL to everything below us, until nothing is left."""
        while not self.reap():
            for pid in family(os.getpid()):
                _send(pid, signal.SIGKILL)
            time.sleep(_NAP_SECONDS)
        return {}


def _become(
    argv: list[str],
    environment: dict[str, str],
    log: str,
    ids: tuple[int, int] | None,
    folder: Path,
) -> None:
    """Turn this forked child into a process of the broker; never returns."""
    try:
        for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGPIPE", "SIGXFSZ"):
            signal.signal(signal.Signals[name], signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 256)
        os.setsid()
        if ids is not None:
            os.setgroups([])
            os.setgid(ids[1])
            os.setuid(ids[0])
        os.umask(0o077)
        os.chdir(folder)
        # Should even the guardian be killed, the broker goes with it. A change of user resets this.
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        os.execve(argv[0], argv, environment)
    finally:
        # Only an error leads here; 127 is what a shell answers for a program that will not start.
        traceback.print_exc()
        os._exit(127)


def family(ancestor: int) -> list[int]:
    """All living descendants of a process, from /proc."""
    parents = {
        int(entry.name): parent
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and (parent := _living_parent(entry.name))
    }
    found: list[int] = []
    above = {ancestor}
    while above:
        above = {pid for pid, parent in parents.items() if parent in above}
        found += above
    return found


def _living_parent(pid: str) -> int:
    """The parent of a process, 0 for one that is gone or a corpse. `pid (name) state parent`."""
    try:
        with Path(f"/proc/{pid}/stat").open("rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return 0
    return 0 if state in (b"Z", b"X") else int(parent)


def _frozen(pid: int) -> bool:
    """Whether no thread of the process runs any more: each stops when it next leaves the kernel."""
    try:
        states = [
            (Path(thread.path) / "stat").read_bytes().rpartition(b")")[2].split()[0]
            for thread in os.scandir(f"/proc/{pid}/task")
        ]
    except (OSError, IndexError):
        return True  # it ended meanwhile
    return all(state in (b"T", b"t", b"Z", b"X") for state in states)


def _send(pid: int, number: signal.Signals) -> None:
    # It may have ended by itself meanwhile.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class _Ended(Exception):
    pass


def _end(_number: int, _frame: object) -> None:
    raise _Ended


def obey(guardian: Guardian, line: bytes) -> bytes:
    """Carry out one order and return the answer; an impossible order is answered, not raised."""
    order = json.loads(line)
    verb = order.pop("do")
    if verb == "end":
        raise _Ended
    try:
        answer = guardian.verb(verb)(**order)
    except OSError as error:
        answer = {"error": str(error)}
    answer |= {"running": guardian.running()}
    return json.dumps(answer).encode() + b"\n"


def serve(guardian: Guardian, owner: int) -> None:
    """Obey orders until the input ends, the owner dies or a SIGTERM comes."""
    orders = select.poll()
    orders.register(0, select.POLLIN | select.POLLHUP)
    # Without pidfd, or when the owner is dead already, the pipe's end alone tells.
    with contextlib.suppress(OSError):
        orders.register(os.pidfd_open(owner), select.POLLIN)
    received = b""
    while True:
        ready = [descriptor for descriptor, _ in orders.poll()]
        if 0 not in ready:
            return
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, received = (received + chunk).split(b"\n")
        for line in lines:
            os.write(1, obey(guardian, line))


def main() -> None:
    """Read the settings from the command line, serve, and clean up whatever happens."""
    settings = json.loads(sys.argv[1])
    guardian = Guardian(Path(settings["folder"]))
    _prctl(_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        # Both mean that nobody is left to obey.
        with contextlib.suppress(_Ended, BrokenPipeError):
            serve(guardian, settings["owner"])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        guardian.kill()
        shutil.rmtree(guardian.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
