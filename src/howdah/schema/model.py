"""What can be installed, what is there, and what is to be done: frozen values.

Owns the words: component, migration, phase, step, plan. Must never hold a connection.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

import msgspec

ROLES = ("howdah_owner", "howdah_worker", "howdah_producer", "howdah_reader")
"""Cluster-wide, without login, made when the installing role may. README.md has their rights."""
OWNER_ROLE = "howdah_owner"

_NAME = re.compile(r"[a-z][a-z0-9]*")


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part of Howdah that keeps something in the database.

    Its package holds `sql/schema.sql` (whole, at `version`), from version 2 on also
    `sql/migrations/NNNN_<what>.sql` (0001 is the first schema, NNNN leads from NNNN-1 to NNNN) and,
    if it has something to grant, `sql/grants.sql`. What it makes while it runs is named
    `howdah.<name>_...`, which is how uninstalling recognises it.
    """

    name: str
    version: int
    package: str
    requires: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a component's name is one lower-case word, not {self.name!r}")
        if self.version < 1:
            raise ValueError(f"{self.name}: versions count from 1, not {self.version}")


LEDGER = Component(name="schema", version=1, package="howdah.schema")
"""The ledger itself, `howdah.installed`: every component needs it, so nobody has to name it."""


class Phase(enum.StrEnum):
    """What a migration does to workers of the versions before it."""

    EXPAND = "expand"  # only adds: workers of the previous version go on
    CONTRACT = "contract"  # removes: only workers that know this migration may run afterwards


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """The way from `version - 1` to `version`."""

    version: int
    phase: Phase
    what: str
    """The file's name."""
    text: str


Applied = Mapping[str, Mapping[int, Phase]]
"""What the ledger says: component, then version, then the phase of that version's migration."""


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """The database at the other end, as far as installing is concerned."""

    database: str
    user: str
    standby: bool
    read_only: bool
    superuser: bool
    may_create_roles: bool
    may_create_schema: bool
    schema_owner: str | None
    """Who owns schema `howdah`; None where there is no such schema."""
    may_be_schema_owner: bool
    occupied: bool
    """Whether anything at all is in schema `howdah`."""
    ledger: bool
    """Whether `howdah.installed` is there and has our columns."""
    roles: tuple[str, ...]
    """Those of ROLES that the cluster knows."""
    may_be_owner_role: bool
    granted: bool
    """Whether the roles were given their rights on the schema here."""


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """Something in schema `howdah`."""

    type: str
    identity: str
    """As PostgreSQL spells it, quoted where needed: `howdah.emit(pg_catalog.text)`."""
    name: str | None
    """The bare name of a relation, routine or type, without schema and quotes."""
    statement: str
    """What drops it, unless something depends on it."""
    component: str | None
    """The component whose script made it, as the ledger says."""
    of_ours: bool
    """Whether it has a name, and its owner is, or may become, the owner of the schema."""
    is_table: bool
    may_lock: bool

    def __str__(self) -> str:
        return f"{self.type} {self.identity}"


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """A table with rows that would go."""

    table: str
    rows: int
    """By the server's estimate, at least 1."""
    bytes: int

    def __str__(self) -> str:
        return f"{self.table} (about {self.rows:,} rows, {self.bytes:,} bytes)"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do, as SQL text that needs no parameters."""

    what: str
    sql: str


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What uninstalling takes away. The order of the objects is found while dropping them."""

    components: tuple[str, ...]
    objects: tuple[Object, ...]
    after: tuple[Step, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One component: what the database has and what this library knows."""

    component: str
    library: int
    installed: tuple[int, ...]
    waiting: tuple[str, ...]
    """Contractions that may be run once every worker runs this library."""
    problem: str = ""
    """Why this library cannot run on this database; empty if it can."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of one transaction; `changed` says them in words, `notes` what a person should know."""

    steps: tuple[Step, ...] = ()
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        """Whether the database is already as it should be."""
        return not self.steps
