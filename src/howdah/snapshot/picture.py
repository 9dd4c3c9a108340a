"""A snapshot with its rows joined: the lookups that every reader of it needs.

Owns derived, cached views of one snapshot. Must never judge: thresholds and verdicts belong to the
rules. All lookups are pure and total: what the snapshot does not know is None or empty, and the
caller has declared the facts that it needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from howdah.snapshot.facts.catalog import (
    Column,
    ColumnStatistics,
    Constraint,
    Database,
    Index,
    Inheritance,
    Partitioning,
    Relation,
    Row,
    Setting,
)
from howdah.snapshot.facts.counters import IndexStatistics, TableStatistics
from howdah.snapshot.model import Server, Snapshot, Window

R = TypeVar("R", bound=Row)

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
_BYTES = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
PAGE_BYTES = 8192


class Picture:
    """One snapshot, joined. Cheap to make: every view is built when it is first asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @property
    def server(self) -> Server:
        """Who was asked."""
        return self.snapshot.server

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.snapshot.server.major

    @property
    def window(self) -> Window:
        """The time over which the counters counted."""
        return self.snapshot.window

    @property
    def now(self) -> datetime:
        """The server's clock when the snapshot was taken."""
        return self.snapshot.taken_at

    # relations

    @cached_property
    def relations(self) -> dict[int, Relation]:
        """Every relation by oid, system catalogs included."""
        return {row.oid: row for row in self.snapshot.relations.rows}

    @cached_property
    def user_relations(self) -> tuple[Relation, ...]:
        """Relations outside the system schemas, temporary ones and extensions' own left out."""
        return tuple(
            row
            for row in self.snapshot.relations.rows
            if row.schema not in SYSTEM_SCHEMAS
            and row.persistence != "t"
            and not row.is_extension_member
        )

    def relation_name(self, oid: int) -> str:
        """`schema.name`, with `public` kept; the oid in words where the snapshot lacks it."""
        row = self.relations.get(oid)
        return f"{row.schema}.{row.name}" if row else f"relation {oid}"

    def pages(self, relation: int) -> int:
        """8 kB pages of a table or index: measured now where possible, else as catalogued."""
        measured = self._sizes.get(relation)
        if measured is not None:
            return measured // PAGE_BYTES
        table = self.relations.get(relation)
        if table is not None:
            return table.pages
        index = self.indexes.get(relation)
        return index.pages if index is not None else 0

    def rows(self, relation: int) -> float | None:
        """The best count of live rows: the catalog's estimate, else the counter; None if neither
        tells.

        A partitioned table's is the sum over its leaves.
        """
        row = self.relations.get(relation)
        if row is None:
            return None
        if row.kind == "p":
            leaves = [self.rows(leaf) for leaf in self.leaves(relation)]
            known = [count for count in leaves if count is not None]
            return sum(known) if known else None
        statistics = self.table_statistics.get(relation)
        if row.tuples >= 0:
            return row.tuples
        if statistics is None or (not statistics.live and self.measured_pages(relation)):
            return None  # never analysed, and a crash or a reset took the count
        return float(statistics.live)

    def is_void(self, relation: int) -> bool:
        """Whether its main file was measured and holds nothing: no row, neither live nor dead."""
        return self._sizes.get(relation) == 0

    def measured_pages(self, relation: int) -> int | None:
        """8 kB pages of a table or index as measured now; None where they were not."""
        measured = self._sizes.get(relation)
        return None if measured is None else measured // PAGE_BYTES

    @cached_property
    def _sizes(self) -> dict[int, int]:
        return {row.relation: row.bytes for row in self.snapshot.sizes.rows}

    # columns

    @cached_property
    def columns(self) -> dict[int, dict[int, Column]]:
        """Columns by relation and attnum."""
        found: dict[int, dict[int, Column]] = defaultdict(dict)
        for row in self.snapshot.columns.rows:
            found[row.relation][row.number] = row
        return dict(found)

    def column(self, relation: int, number: int) -> Column | None:
        """One column, or None where the snapshot lacks it."""
        return self.columns.get(relation, {}).get(number)

    def column_names(self, relation: int, numbers: Iterable[int]) -> tuple[str, ...]:
        """Names in the order of the numbers; `?` where unknown."""
        known = self.columns.get(relation, {})
        return tuple(known[n].name if n in known else "?" for n in numbers)

    @cached_property
    def column_statistics(self) -> dict[tuple[int, int, bool], ColumnStatistics]:
        """Column statistics by relation, attnum and whether they are the inherited ones."""
        rows = self.snapshot.column_statistics.rows
        return {(row.relation, row.column, row.inherited): row for row in rows}

    # indexes and constraints

    @cached_property
    def indexes(self) -> dict[int, Index]:
        """Every index by oid."""
        return {row.oid: row for row in self.snapshot.indexes.rows}

    @cached_property
    def indexes_of(self) -> dict[int, tuple[Index, ...]]:
        """Indexes by relation."""
        return _grouped(self.snapshot.indexes.rows, lambda row: row.relation)

    @cached_property
    def attached_indexes(self) -> dict[int, tuple[Index, ...]]:
        """Indexes of partitions by the partitioned index that they are attached to."""
        attached = [row for row in self.snapshot.indexes.rows if row.parent is not None]
        return _grouped(attached, lambda row: row.parent or 0)

    def index_name(self, oid: int) -> str:
        """`schema.name` of an index."""
        row = self.indexes.get(oid)
        return f"{row.schema}.{row.name}" if row else f"index {oid}"

    @cached_property
    def constraints(self) -> dict[int, Constraint]:
        """Every constraint by oid."""
        return {row.oid: row for row in self.snapshot.constraints.rows}

    @cached_property
    def constraints_of(self) -> dict[int, tuple[Constraint, ...]]:
        """Constraints by relation."""
        return _grouped(self.snapshot.constraints.rows, lambda row: row.relation)

    @cached_property
    def constraint_copies(self) -> dict[int, tuple[Constraint, ...]]:
        """Constraints of partitions by the parent's constraint that they were inherited from."""
        copies = [row for row in self.snapshot.constraints.rows if row.parent is not None]
        return _grouped(copies, lambda row: row.parent or 0)

    @cached_property
    def referencing(self) -> dict[int, tuple[Constraint, ...]]:
        """Foreign keys by the relation that they reference."""
        keys = [row for row in self.snapshot.constraints.rows if row.foreign_relation]
        return _grouped(keys, lambda row: row.foreign_relation or 0)

    # partitions

    @cached_property
    def partitioning(self) -> dict[int, Partitioning]:
        """How each partitioned table splits its rows."""
        return {row.relation: row for row in self.snapshot.partitioning.rows}

    @cached_property
    def parent_of(self) -> dict[int, Inheritance]:
        """The inheritance row of each partition or child."""
        return {row.child: row for row in self.snapshot.inheritance.rows}

    @cached_property
    def children_of(self) -> dict[int, tuple[Inheritance, ...]]:
        """Children by parent, one level down."""
        return _grouped(self.snapshot.inheritance.rows, lambda row: row.parent)

    def root(self, relation: int) -> int:
        """The topmost partitioned table above a partition; itself for any other relation."""
        seen = {relation}
        while (up := self.parent_of.get(relation)) and up.is_partition and up.parent not in seen:
            relation = up.parent
            seen.add(relation)
        return relation

    def leaves(self, relation: int) -> tuple[int, ...]:
        """The partitions that hold rows, below a partitioned table."""
        found: list[int] = []
        for row in self.children_of.get(relation, ()):
            child = self.relations.get(row.child)
            if row.is_partition and child is not None:
                found.extend(self.leaves(row.child) if child.kind == "p" else (row.child,))
        return tuple(found)

    # counters

    @cached_property
    def table_statistics(self) -> dict[int, TableStatistics]:
        """Counters by relation."""
        return {row.relation: row for row in self.snapshot.table_statistics.rows}

    @cached_property
    def index_statistics(self) -> dict[int, IndexStatistics]:
        """Counters by index."""
        return {row.index: row for row in self.snapshot.index_statistics.rows}

    def per_hour(self, count: float) -> float | None:
        """A counter of the window as a rate; None where the window's start is not known."""
        seconds = self.window.seconds
        return count * 3600 / seconds if seconds and seconds > 0 else None

    @cached_property
    def current_database(self) -> Database | None:
        """The row of the database that was asked."""
        return next((row for row in self.snapshot.databases.rows if row.is_current), None)

    # settings

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """Configuration parameters by name."""
        return {row.name: row for row in self.snapshot.settings.rows}

    def setting(self, name: str) -> str | None:
        """A parameter's value as text, None where this server has no such parameter."""
        row = self.settings.get(name)
        return row.value if row else None

    def setting_number(self, name: str) -> float | None:
        """A parameter as a number: bytes or seconds where it has a unit, else as it stands."""
        row = self.settings.get(name)
        if row is None:
            return None
        try:
            value = float(row.value)
        except ValueError:
            return None
        if value < 0:  # -1 means "off" or "as another parameter", whatever the unit
            return value
        unit = row.unit or ""
        return value * (_BYTES.get(unit) or _SECONDS.get(unit) or 1)

    def setting_on(self, name: str) -> bool | None:
        """A parameter as a truth value, None where this server has no such parameter."""
        value = self.setting(name)
        return None if value is None else value in ("on", "true", "yes", "1")

    def option(self, relation: Relation, name: str) -> str | None:
        """A storage parameter of one table, None where it is not set."""
        prefix = f"{name}="
        return next(
            (o.removeprefix(prefix) for o in relation.options if o.startswith(prefix)), None
        )

    def effective_number(self, relation: Relation, name: str) -> float | None:
        """A number from the table's storage parameters, else from the server's settings."""
        own = self.option(relation, name)
        return float(own) if own is not None else self.setting_number(name)


def _grouped(rows: Iterable[R], key: Callable[[R], int]) -> dict[int, tuple[R, ...]]:
    groups: dict[int, list[R]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {name: tuple(group) for name, group in groups.items()}
