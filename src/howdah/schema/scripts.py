"""The SQL files of a component: read, checked and kept.

Owns the folder's form: `sql/schema.sql`, `sql/migrations/NNNN_<what>.sql`, `sql/grants.sql`. Must
never connect to anything.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

import msgspec

from howdah.schema.model import Component, Migration, Phase

_FILE = re.compile(r"(?P<version>\d{4})_[a-z0-9_]+\.sql")
_PHASE = re.compile(r"-- phase: (?P<phase>expand|contract)\n")


class Scripts(msgspec.Struct, frozen=True, kw_only=True):
    """What a component's package holds. `migrations` are all versions from 1 on, in order."""

    whole: str
    migrations: tuple[Migration, ...]
    grants: str

    @property
    def needed(self) -> frozenset[int]:
        """The versions without which this library cannot run: everything that was added."""
        return frozenset(m.version for m in self.migrations if m.phase is Phase.EXPAND)


@functools.cache
def scripts(component: Component) -> Scripts:
    """The files of a component; `ValueError` says which of them is missing or malformed."""
    folder = resources.files(component.package).joinpath("sql")
    whole = folder.joinpath("schema.sql").read_text(encoding="utf-8")
    grants = folder.joinpath("grants.sql")
    migrations = folder.joinpath("migrations")
    files = {}
    if migrations.is_dir():
        files = {
            entry.name: entry.read_text(encoding="utf-8")
            for entry in migrations.iterdir()
            if entry.name.endswith(".sql")
        }
    return Scripts(
        whole=whole,
        migrations=_in_order(component, files, whole),
        grants=grants.read_text(encoding="utf-8") if grants.is_file() else "",
    )


def _in_order(component: Component, files: dict[str, str], whole: str) -> tuple[Migration, ...]:
    if not files and component.version == 1:
        return (Migration(version=1, phase=Phase.EXPAND, what="schema.sql", text=whole),)
    found = tuple(_migration(component, name, files[name]) for name in sorted(files))
    versions = [migration.version for migration in found]
    if versions != list(range(1, component.version + 1)):
        raise ValueError(
            f"{component.package}: version {component.version} needs one migration for each of"
            f" 1 to {component.version}, found {versions}"
        )
    if found[0].phase is not Phase.EXPAND:
        raise ValueError(f"{component.package}: the first schema is an expansion")
    return found


def _migration(component: Component, name: str, text: str) -> Migration:
    file = _FILE.fullmatch(name)
    phase = _PHASE.match(text)
    if file is None:
        raise ValueError(f"{component.package}: {name} is not named NNNN_<what>.sql")
    if phase is None:
        raise ValueError(
            f"{component.package}: the first line of {name} must be '-- phase: expand' or"
            " '-- phase: contract'"
        )
    return Migration(
        version=int(file["version"]), phase=Phase(phase["phase"]), what=name, text=text
    )
