"""Where our files are: a cache that stays, and one short-lived folder per running server.

Owns the choice of both places, their rights, and the sweep of what crashed processes left behind.
Must never remove a folder that lacks the marker or whose guardian lives.

A server's folder holds its socket, and the path of a unix socket is limited to 107 bytes
(`sun_path` in `unix(7)`), which is why it is not put under a home or a build folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from howdah.clock import Clock
from howdah.errors import CouldNot
from howdah.postgres import guardian, marker
from howdah.postgres.account import Account, passable

_SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET_NAME = "/1234567890ab/.s.PGSQL.65535.lock"
_OPEN = 0o755
_PRIVATE = 0o700


class RunFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A new marked folder, and the descriptor that holds its guardian's lock."""

    path: Path
    lock: int


def cache(account: Account) -> Path:
    """The folder for what is worth keeping between runs; `HOWDAH_CACHE_DIR` moves it.

    Where the account is not the caller, it must be able to read what lies here.
    """
    wanted = os.environ.get("HOWDAH_CACHE_DIR")
    if wanted:
        places = [Path(wanted).absolute()]
    elif account.switched:
        places = [Path("/var/cache/howdah")]
    else:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        places = [Path(home).expanduser() / "howdah"]
    places.append(Path(tempfile.gettempdir()) / f"howdah-cache-{os.geteuid()}")
    return _first_usable(places, account)


def runs(account: Account) -> Path:
    """The folder of the running servers' folders; `HOWDAH_RUN_DIR` moves it."""
    name = f"howdah-{os.geteuid()}"
    wanted = os.environ.get("HOWDAH_RUN_DIR")
    places = [Path(wanted).absolute()] if wanted else []
    places += [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]
    short = [
        place
        for place in places
        if len(os.fsencode(place)) + len(_LONGEST_SOCKET_NAME) <= _SOCKET_PATH_LIMIT
    ]
    return _first_usable(short, account)


def _first_usable(places: list[Path], account: Account) -> Path:
    problems = []
    for place in places:
        problem = _prepare(place, account)
        if not problem:
            return place
        problems.append(f"{place}: {problem}")
    raise CouldNot(
        "there is no folder to put servers in",
        detail="\n".join(problems),
        hint="set HOWDAH_CACHE_DIR and HOWDAH_RUN_DIR to folders that you may write",
    )


def _prepare(place: Path, account: Account) -> str:
    """Create the folder if need be; returns why it cannot be used, or nothing.

    Others must not be able to write into it, or they could lead us astray with links.
    """
    try:
        place.mkdir(mode=_OPEN if account.switched else _PRIVATE, parents=True, exist_ok=True)
        found = place.lstat()
        if account.switched and found.st_uid == os.geteuid():
            place.chmod(_OPEN)
    except OSError as error:
        return str(error)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return "not a folder of ours"
    if stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write into it"
    if not os.access(place, os.W_OK):
        return "not writable"
    if account.switched and not passable(place):
        return f"{account.name} cannot pass through the folders above it"
    return ""


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes on `file`, which is created if need be."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create_run(base: Path, *, version: str, clock: Clock) -> RunFolder:
    """Create, mark and lock a server's folder.

    The base's lock closes the gap in which a sweep could see the folder before its own lock.
    """
    with locked(base / ".lock"):
        path = base / secrets.token_hex(5)
        path.mkdir(mode=_PRIVATE)
        marker.write(path, version=version, clock=clock)
        lock = os.open(path / guardian.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return RunFolder(path=path, lock=lock)


def sweep(base: Path) -> tuple[Path, ...]:
    """Remove the folders whose guardian is dead, stopping their servers; returns them."""
    with contextlib.ExitStack() as held:
        with locked(base / ".lock"):
            stale = tuple(folder for folder in sorted(base.iterdir()) if _take_over(folder, held))
        for folder in stale:
            _bury(folder)
    return stale


def _take_over(folder: Path, held: contextlib.ExitStack) -> bool:
    """Whether the folder is marked and its lock was free; the lock is ours from then on."""
    if folder.is_symlink() or not (folder / guardian.MARKER).is_file():
        return False
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(folder / guardian.LOCK, flags, 0o600)
    except OSError:
        return False  # removed between the listing and now
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    held.callback(os.close, lock)
    return True


def _bury(folder: Path) -> None:
    data = folder / "data"
    left: set[Path] = set()
    postmaster = running_postmaster(data)
    if postmaster:
        left = guardian.crash(postmaster)
    guardian.release_shared_memory(data, left)
    guardian.remove(folder)


def running_postmaster(data: Path) -> int:
    """The process id of the postmaster that serves a data folder, 0 if there is none.

    The number in postmaster.pid may be stale and belong to somebody else by now; a postmaster's
    working folder is its data folder.
    """
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        return pid if Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve() else 0
    except (OSError, ValueError):
        return 0
