"""The process that stands between us and one server: its parent, and its undertaker.

Runs alone, as `python -I -S guardian.py SETTINGS`, with the standard library only, so that it
starts in milliseconds and outlives any accident of the process that asked for it. Owns the server's
processes, the lock on its folder and the removal of that folder. Must never end while its server
runs. There are two kinds of server. Of PostgreSQL it must never touch a folder without the marker
file; a broker of a test has no data worth keeping, but may have helpers that leave its group.

Orders come as JSON lines on standard input, one answer each goes to standard output. The order
`end`, the end of the input, the death of the process that started us, or SIGTERM mean: stop the
server, remove its folder, go. `howdah.clock` is out of reach here, so this file asks the system
for the time itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, ClassVar

MARKER = "howdah-server.json"
LOCK = "guardian.lock"
GRACE_SECONDS = 10.0
"""How long a stopping postmaster may take before it is killed."""

POSTMASTER, BROKER = "postmaster", "broker"
"""The kinds of server."""

_NAP_SECONDS = 0.005
# prctl(2): orphans of ours become our children; a child is told when its parent dies.
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36


class Guardian:
    """The main process of a server, and what every kind of guardian does with it."""

    VERBS: ClassVar[frozenset[str]]
    """Its methods that may be ordered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid = 0
        self.status: int | None = None

    def running(self) -> bool:
        """Whether the main process lives; collects its exit status when it does not."""
        raise NotImplementedError

    def end(self) -> None:
        """Leave nothing behind."""
        raise NotImplementedError

    def wait(self) -> None:
        """Until the main process has ended by itself, for as long as that may take."""
        deadline = time.monotonic() + GRACE_SECONDS
        while self.running() and time.monotonic() < deadline:
            time.sleep(_NAP_SECONDS)


class PostmasterGuardian(Guardian):
    """One postmaster at a time, and what is left to clean up after it."""

    VERBS = frozenset({"start", "signal", "kill"})

    def __init__(self, folder: Path, *, keeps_data: bool) -> None:
        super().__init__(folder)
        self.keeps_data = keeps_data
        self.data = folder
        self.shared_memory: set[Path] = set()

    def start(
        self,
        argv: list[str],
        data: str,
        log: str,
        environment: dict[str, str],
        ids: tuple[int, int] | None,
    ) -> dict[str, Any]:
        """Fork and execute the postmaster, as user and group `ids` if given."""
        if self.running():
            return {"error": "a postmaster is running already"}
        if not (Path(data) / MARKER).is_file():
            return {"error": f"{data} carries no marker"}
        self.data = Path(data)
        self.status = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(argv, data, log, environment, ids)
        return {"pid": self.pid}

    def running(self) -> bool:
        """Whether the postmaster lives; collects its exit status when it does not."""
        if self.pid and self.status is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.status = os.waitstatus_to_exitcode(status)
        return bool(self.pid) and self.status is None

    def signal(self, name: str) -> dict[str, Any]:
        """Send the named signal to the postmaster if it lives."""
        if self.running():
            os.kill(self.pid, signal.Signals[name])
        return {}

    def kill(self) -> dict[str, Any]:
        """Crash the server: SIGKILL to the postmaster and all its children, and wait for them."""
        if self.running():
            self.shared_memory |= crash(self.pid)
            os.waitpid(self.pid, 0)
            self.status = -signal.SIGKILL
        return {}

    def end(self) -> None:
        """Stop the postmaster, then remove the folder.

        Data that is removed at once needs no shutdown checkpoint; data that stays gets one.
        """
        if self.running():
            self.signal("SIGINT" if self.keeps_data else "SIGQUIT")
            self.wait()
            self.kill()
        if not self.keeps_data:
            release_shared_memory(self.data, self.shared_memory)
        remove(self.folder)


class BrokerGuardian(Guardian):
    """The processes of one broker, whoever forked them; the last one started is the broker."""

    VERBS = frozenset({"start", "signal", "stop", "kill"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _prctl(_SET_CHILD_SUBREAPER, 1)

    def start(
        self,
        argv: list[str],
        log: str,
        environment: dict[str, str],
        ids: tuple[int, int] | None,
    ) -> dict[str, Any]:
        """Fork and execute one process, as user and group `ids` if given."""
        child = os.fork()
        if child == 0:
            _become(argv, str(self.folder), log, environment, ids, goes_with_us=True)
        self.pid = child
        return {"pid": child}

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
        self.wait()
        return self.kill()

    def kill(self) -> dict[str, Any]:
        """SIGKILL to everything below us, until nothing is left."""
        while not self.reap():
            for pid in family(os.getpid()):
                _send(pid, signal.SIGKILL)
            time.sleep(_NAP_SECONDS)
        return {}

    def end(self) -> None:
        """Kill everything, then remove the folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _prctl(option: int, value: int) -> None:
    import ctypes  # only brokers need it, and it takes as long to load as all else here

    ctypes.CDLL(None, use_errno=True).prctl(option, value)


def _become(
    argv: list[str],
    folder: str,
    log: str,
    environment: dict[str, str],
    ids: tuple[int, int] | None,
    *,
    goes_with_us: bool = False,
) -> None:
    """Turn this forked child into a process of the server; never returns."""
    try:
        for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGPIPE", "SIGXFSZ"):
            signal.signal(signal.Signals[name], signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 256)
        # A session of its own: what a terminal sends to us is not meant for the server.
        os.setsid()
        if ids is not None:
            os.setgroups([])
            os.setgid(ids[1])
            os.setuid(ids[0])
        os.umask(0o077)
        os.chdir(folder)
        if goes_with_us:  # should even the guardian be killed; a change of user resets this
            _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        os.execve(argv[0], argv, environment)
    finally:
        # Only an error leads here; 127 is what a shell answers for a program that will not start.
        traceback.print_exc()
        os._exit(127)


def family(ancestor: int) -> list[int]:
    """All living descendants of a process, from /proc."""
    parents = {
        int(entry.name): _stat(entry.name)[1]
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and _alive(entry.name)
    }
    found: list[int] = []
    above = {ancestor}
    while above:
        above = {pid for pid, parent in parents.items() if parent in above}
        found += above
    return found


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


def children(parent: int) -> list[int]:
    """The processes whose parent is `parent`, from /proc."""
    return [
        int(entry.name)
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and _stat(entry.name)[1] == parent
    ]


def _stat(pid: int | str) -> tuple[bytes, int]:
    """State and parent of a process, X and 0 once it is gone: after `pid (name)` in its stat."""
    try:
        with Path(f"/proc/{pid}/stat").open("rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return b"X", 0
    return state, int(parent)


def crash(postmaster: int) -> set[Path]:
    """SIGKILL a postmaster and its children; returns the shared memory files they leave behind.

    The postmaster is stopped first, so that it can neither fork nor tidy up meanwhile. Waits until
    the children are gone, because the next start would refuse while one holds the shared memory.
    """
    os.kill(postmaster, signal.SIGSTOP)
    family = children(postmaster)
    left = {file for pid in (postmaster, *family) for file in shared_memory_of(pid)}
    for pid in (postmaster, *family):
        _send(pid, signal.SIGKILL)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(_alive(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(_NAP_SECONDS)
    return left


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself meanwhile, which is what was wanted


def _alive(pid: int | str) -> bool:
    """Whether the process exists and is not a corpse that waits for its parent."""
    return _stat(pid)[0] not in (b"Z", b"X")


def shared_memory_of(pid: int) -> set[Path]:
    """The POSIX shared memory files of PostgreSQL that a process has mapped."""
    try:
        with Path(f"/proc/{pid}/maps").open(encoding="utf-8", errors="replace") as file:
            names = {line.rpartition(" ")[2].strip() for line in file if "/dev/shm/" in line}
    except OSError:
        return set()
    return {Path(name) for name in names if name.startswith("/dev/shm/PostgreSQL.")}


def release_shared_memory(data: Path, files: set[Path]) -> None:
    """Free what a killed server cannot: its POSIX files, and the System V segment that it named.

    The seventh line of postmaster.pid is the key and the id of that segment; PostgreSQL removes
    the file when it stops by itself, so its presence tells that something is left.
    """
    for file in files:
        file.unlink(missing_ok=True)
    try:
        lines = (data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        segment = lines[6].split()[1]
    except (OSError, IndexError):
        return
    removal = shutil.which("ipcrm")
    if removal and segment.isdigit():
        quiet = os.open(os.devnull, os.O_WRONLY)
        actions = [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
        child = os.posix_spawn(removal, ["ipcrm", "-m", segment], {}, file_actions=actions)
        os.waitpid(child, 0)
        os.close(quiet)


def remove(folder: Path) -> None:
    """Remove a server's folder, if and only if it carries the marker.

    The marker goes last, so that a removal that was interrupted can be finished by the next sweep.
    """
    if not (folder / MARKER).is_file():
        return
    for entry in sorted(folder.iterdir(), key=lambda path: path.name in (MARKER, LOCK)):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


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
        answer = getattr(guardian, verb)(**order) if verb in guardian.VERBS else {}
    except OSError as error:
        answer = {"error": str(error)}
    answer |= {"running": guardian.running(), "status": guardian.status}
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


def guardian_of(kind: str, folder: Path, keeps_data: bool) -> Guardian:
    """The guardian for a kind of server."""
    return (
        PostmasterGuardian(folder, keeps_data=keeps_data)
        if kind == POSTMASTER
        else BrokerGuardian(folder)
    )


def main() -> None:
    """Read the settings from the command line, serve, and clean up whatever happens."""
    settings = json.loads(sys.argv[1])
    guardian = guardian_of(settings["kind"], Path(settings["folder"]), settings["keeps_data"])
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        # Both mean that nobody is left to obey.
        with contextlib.suppress(_Ended, BrokenPipeError):
            serve(guardian, settings["owner"])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        guardian.end()


if __name__ == "__main__":
    main()
