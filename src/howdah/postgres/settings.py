"""The settings that a server of ours starts with.

Owns the defaults and the file they are written to. Must never be used for a database that is not
ours: fsync is off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from howdah.errors import BadInput

FILE = "howdah.conf"
PORT = 5432

SANDBOX: Mapping[str, str] = {
    # Nothing of ours must survive a power failure, and a crash of the server alone loses nothing.
    "fsync": "off",
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "60",
    "shared_buffers": "32MB",
    # A standby and a clone read WAL that was written before they connect.
    "wal_keep_size": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %q%a@%d ",
}
"""Everything else stays as PostgreSQL has it, so that it plans and writes as in production."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


def render(settings: Mapping[str, str]) -> str:
    """The content of a configuration file; `BadInput` for what cannot be in one.

    >>> print(render({"work_mem": "4MB", "search_path": "a, 'b'"}), end="")
    work_mem = '4MB'
    search_path = 'a, ''b'''
    """
    lines = []
    for name, value in settings.items():
        if not _NAME.fullmatch(name):
            raise BadInput(f"{name!r} is not the name of a setting")
        if "\n" in value or "\0" in value:
            raise BadInput(f"the value of {name} must be one line")
        quoted = value.replace("\\", "\\\\").replace("'", "''")
        lines.append(f"{name} = '{quoted}'\n")
    return "".join(lines)


def include(data: Path) -> None:
    """Make a fresh data folder read our file after its own defaults."""
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"\ninclude_if_exists = '{FILE}'\n")
