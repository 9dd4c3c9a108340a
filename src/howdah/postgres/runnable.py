"""An installation that the server's account can execute.

Owns the copy that is made where that account cannot reach the original: a virtual environment
under a home folder that only root may enter, say. Must never open up a folder of the caller's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import msgspec

from howdah.errors import CouldNot
from howdah.postgres.account import Account
from howdah.postgres.folders import cache, locked
from howdah.postgres.installations import Installation


def runnable(installation: Installation, account: Account) -> Installation:
    """The installation itself where `account` can run it, else a copy of it in the cache."""
    if not account.switched or _works(installation, account):
        return installation
    home = cache(account) / "installations"
    home.mkdir(exist_ok=True)
    copy = home / f"{installation.version}-{fingerprint(installation)}"
    with locked(home / ".lock"):
        if not copy.exists():
            _copy(installation, copy)
    moved = msgspec.structs.replace(installation, bindir=copy / "package" / "install" / "bin")
    if not _works(moved, account):
        raise CouldNot(
            f"{account.name} cannot run PostgreSQL {installation.version}",
            detail=f"Neither {installation.bindir} nor its copy in {copy} can be executed.",
            hint="install PostgreSQL where every user can execute it, or run as another user",
        )
    return moved


def fingerprint(installation: Installation) -> str:
    """A short name for one build: where it is and when its server program was written."""
    server = installation.bindir / "postgres"
    text = f"{server.resolve()} {server.stat().st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _works(installation: Installation, account: Account) -> bool:
    try:
        return all(
            account.run([installation.bindir / name, "--version"]).returncode == 0
            for name in ("postgres", "initdb")
        )
    except CouldNot:
        return False


def _copy(installation: Installation, copy: Path) -> None:
    """Copy the prefix, and the shared libraries that a wheel keeps beside its package.

    A repaired wheel's programs look for `../../../<package>.libs` from where they are, so the copy
    has the same depth.
    """
    prefix = installation.bindir.resolve().parent
    building = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(prefix, building / "package" / "install", symlinks=True)
    libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, building / libraries.name, symlinks=True)
    for folder in (building, building / "package"):
        folder.chmod(0o755)
    building.rename(copy)
