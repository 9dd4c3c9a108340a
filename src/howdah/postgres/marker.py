"""The marker: how a folder says that Howdah made it and may break it.

Owns the file's name, content and the refusal. Must never mark a folder that Howdah did not create
or fill itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from howdah.clock import Clock
from howdah.errors import NotASandbox
from howdah.postgres.guardian import MARKER


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says: who made the folder, when (ISO 8601, UTC), and with which server."""

    owner_pid: int
    created: str
    version: str
    what: str = "a PostgreSQL server owned by Howdah: it may be stopped, changed and deleted"


def write(folder: Path, *, version: str, clock: Clock) -> None:
    """Mark `folder`, which was just created for a server of `version`."""
    marker = Marker(owner_pid=os.getpid(), created=clock.now().isoformat(), version=version)
    (folder / MARKER).write_bytes(msgspec.json.format(msgspec.json.encode(marker)) + b"\n")


def read(folder: Path) -> Marker | None:
    """The marker of a folder; None where there is none, or where it cannot be understood."""
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=Marker)
    except (OSError, msgspec.DecodeError):
        return None


def require(folder: Path) -> Marker:
    """The marker of a folder; `NotASandbox` where there is none."""
    marker = read(folder)
    if marker is None:
        raise NotASandbox(
            f"{folder} is not a data folder of Howdah's",
            detail=f"It carries no {MARKER}, so Howdah neither starts, stops nor deletes it.",
            hint="name a folder that does not exist yet, or is empty; or pass a DSN instead",
        )
    return marker
