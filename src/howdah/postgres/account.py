"""Which operating-system user a server runs as, and what that user can reach.

Owns the choice of an unprivileged account when the caller is root. Must never run PostgreSQL as
root, which it refuses anyway, nor change the rights of a folder that is not ours.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from howdah.errors import CouldNot, Unsupported

_PREFERRED = ("postgres", "nobody")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs the server; `switched` where that is not the caller."""

    name: str
    uid: int
    gid: int
    switched: bool

    @property
    def ids(self) -> tuple[int, int] | None:
        """User and group to switch to; None where the caller runs the server itself."""
        return (self.uid, self.gid) if self.switched else None

    def give(self, path: Path) -> None:
        """Make the account own one file or folder, links not followed."""
        if self.switched:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, without our environment; the caller reads the result."""
        try:
            return subprocess.run(
                [str(word) for word in command],
                user=self.uid if self.switched else None,
                group=self.gid if self.switched else None,
                extra_groups=[] if self.switched else None,
                env=dict(ENVIRONMENT),
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise CouldNot(f"could not run {command[0]}", detail=str(error)) from error


ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""The whole environment of a server: no PG* variable and no locale of the caller leaks into it."""


def current() -> Account:
    """The caller, or an unprivileged account where the caller is root."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return Account(name=entry.pw_name, uid=os.geteuid(), gid=os.getegid(), switched=False)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, switched=True)
    raise Unsupported(
        "PostgreSQL does not run as root, and there is no unprivileged user to run it as",
        hint="useradd --system postgres",
    )


def passable(folder: Path) -> bool:
    """Whether every user may pass through `folder` and all folders above it."""
    return all(
        stat.S_IMODE(above.stat().st_mode) & stat.S_IXOTH
        for above in (folder, *folder.parents)
        if above.exists()
    )
