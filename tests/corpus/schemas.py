"""Which real schemas the corpus has, where each comes from and where it is kept.

Owns the list and the folder. Must never fetch anything: that is `tests.corpus.fetch`.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

ENVIRONMENT = "HOWDAH_CORPUS"
FETCH = "python -m tests.corpus.fetch"


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """One application's schema: the SQL files of one package, in the order of loading."""

    name: str
    package: str
    is_wheel: bool = False  # of the Python package index; otherwise a Debian package
    files: tuple[str, ...]  # inside the package; unpacked if they end in .gz

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        return corpus_folder() / self.name

    @property
    def is_present(self) -> bool:
        """Whether it was fetched."""
        return (self.folder / "VERSION").is_file()

    @property
    def version(self) -> str:
        """The version of the package that it was taken from."""
        return (self.folder / "VERSION").read_text().strip()

    @property
    def scripts(self) -> tuple[Path, ...]:
        """Its files as they are kept: numbered, in the order of loading."""
        return tuple(sorted(self.folder.glob("*.sql")))


def corpus_folder() -> Path:
    """The folder of the corpus: `HOWDAH_CORPUS`, or one in the user's cache."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "howdah" / "corpus"


_DBCONFIG = "usr/share/dbconfig-common/data"
_SYNAPSE = "synapse/storage/schema/{}/full_schemas/72/full.sql.postgres"
_MEDIAWIKI = "usr/share/mediawiki/maintenance/postgres"

CORPUS = (
    Schema(
        name="zabbix",
        package="zabbix-server-pgsql",
        files=("usr/share/zabbix-server-pgsql/schema.sql.gz",),
    ),
    Schema(
        name="synapse",
        package="matrix-synapse",
        is_wheel=True,
        files=tuple(_SYNAPSE.format(part) for part in ("common", "main", "state")),
    ),
    Schema(
        name="icinga",
        package="icinga2-ido-pgsql",
        files=(f"{_DBCONFIG}/icinga2-ido-pgsql/install/pgsql",),
    ),
    Schema(
        name="mediawiki",
        package="mediawiki",
        files=(f"{_MEDIAWIKI}/tables-generated.sql", f"{_MEDIAWIKI}/tables.sql"),
    ),
    Schema(
        name="kea",
        package="kea-admin",
        files=("usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql",),
    ),
    Schema(
        name="bacula",
        package="bacula-director-pgsql",
        files=(f"{_DBCONFIG}/bacula-director-pgsql/install/pgsql",),
    ),
    Schema(
        name="roundcube",
        package="roundcube-core",
        files=(f"{_DBCONFIG}/roundcube/install/pgsql",),
    ),
    Schema(
        name="powerdns",
        package="pdns-backend-pgsql",
        files=("usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql",),
    ),
)
