"""What a contender is: one system that carries items from a producer to a handler.

Owns the shape that every file of `contenders/` has, and what they are given. Must never measure:
the same phases run on every contender, ours included.

Durability is equal by rule: every contender runs at the server's own fsync and synchronous_commit,
uses logged tables, and acknowledges in the database what its handler has done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib import metadata
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from howdah.bench.model import Absent, Bench
from howdah.bench.tally import Batch, Tally

OWN_SCHEMA = "howdah_bench"
"""Where systems that put their tables into the search path are installed."""
INSTALL = "pip install 'howdah[bench]'"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a contender works."""

    dsn: str  # its search_path is OWN_SCHEMA, then pg_catalog
    bench: Bench
    queue: str = "bench"
    processes: int = 1
    scripts: dict[str, str] = {}  # installation scripts given by the user, by contender

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        """A connection of psycopg."""
        return psycopg.connect(self.dsn, autocommit=autocommit)

    @property
    def uri(self) -> str:
        """The DSN as a URI, for drivers that take no other form."""
        parts = {key: str(value) for key, value in conninfo_to_dict(self.dsn).items() if value}
        database = parts.pop("dbname", "postgres")
        return f"postgresql:///{database}?{urlencode(parts, quote_via=quote)}"


class Contender(ABC):
    """One system. An instance holds no state: each phase runs in processes of its own."""

    name: ClassVar[str]
    what: ClassVar[str]  # one line: how it carries an item
    benches: ClassVar[frozenset[Bench]]
    distributions: ClassVar[tuple[str, ...]] = ()  # packages it needs, the main one first
    schemas: ClassVar[tuple[str, ...]] = (OWN_SCHEMA,)  # all that it makes, and what is dropped
    roles: ClassVar[tuple[str, ...]] = ()  # made by its own installer; dropped if we made them
    ways: ClassVar[tuple[str, ...]] = ("bulk",)  # of producing; the first is the usual bulk one
    bulk_items: ClassVar[int] = 1000  # of a batch
    single_consumer: ClassVar[bool] = False  # where a second consuming process makes no sense
    settings: ClassVar[dict[str, str]] = {}  # everything that is not this system's default

    def absent(self, scripts: dict[str, str]) -> Absent | None:
        """Why it cannot take part here, or None."""
        del scripts
        for distribution in self.distributions:
            try:
                metadata.version(distribution)
            except metadata.PackageNotFoundError:
                why = f"the package {distribution} is not installed"
                return Absent(name=self.name, why=why, install=INSTALL)
        return None

    def version(self) -> str:
        """The version of the system as installed here."""
        return metadata.version(self.distributions[0]) if self.distributions else ""

    @abstractmethod
    def prepare(self, place: Place) -> None:
        """Install into an empty place; OWN_SCHEMA exists already."""

    @abstractmethod
    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        """Emit every batch; each is committed before the next one is taken."""

    @abstractmethod
    def consume(self, place: Place, tally: Tally) -> None:
        """Hand every item to the tally and acknowledge it, until `tally.stopped`."""

    @abstractmethod
    def unfinished(self, place: Place) -> int:
        """How many items are not acknowledged."""

    def sql(self) -> Sequence[str]:
        """Our own statements that `prepare` runs, for --show-sql."""
        return ()


def count(place: Place, statement: str, parameters: dict[str, Any] | None = None) -> int:
    """The one number that a statement returns."""
    with closing(place.connect()) as connection:
        row = connection.execute(statement.encode(), parameters).fetchone()
    return int(row[0]) if row else 0
