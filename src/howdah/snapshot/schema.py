"""The schema of a database as a value: what pg_dump writes, without rows.

Owns its shape, so that a snapshot file can carry it. Must never hold rows; running pg_dump is the
work of `howdah.sandbox.schema`.
"""

from __future__ import annotations

import msgspec


class Locale(msgspec.Struct, frozen=True, kw_only=True):
    """How a database compares and encodes text."""

    version: int
    """`server_version_num` of the database."""
    encoding: str = "UTF8"
    provider: str = "c"
    """`pg_database.datlocprovider`: c libc, i ICU, b builtin."""
    collate: str = "C.UTF-8"
    ctype: str = "C.UTF-8"
    locale: str | None = None
    """The locale of ICU or of the builtin provider."""
    search_path: str | None = None
    """What `ALTER DATABASE ... SET search_path` says."""

    @property
    def bytewise(self) -> bool:
        """Whether text is ordered by its bytes, so that a plain index serves LIKE 'x%'."""
        return self.collate in ("C", "POSIX") if self.provider == "c" else self.provider == "b"


class SchemaDump(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of one database."""

    text: str
    origin: Locale
    pg_dump: str
    """What wrote the text, such as `pg_dump (PostgreSQL) 18.6`."""

    @property
    def major(self) -> int:
        """The major version of the database."""
        return self.origin.version // 10000
