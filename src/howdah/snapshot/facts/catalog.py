"""What the catalogs say exists: relations, columns, indexes, constraints, sequences and their kin.

Owns the shapes of catalog rows. Ages are in transactions (`age`, and `mxid_age` for MultiXacts),
computed by the server; an age that has no meaning for a relation is None, never 2147483647.
Pages are 8 kB blocks as the catalog last recorded them. `oid`s join rows inside one snapshot only.
"""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """The base of all rows: frozen, built by keyword.

    Encoded as an array in the order of the fields, which is the order of the query's columns: a
    hundred thousand rows are built without a Python step for each.
    """


class Database(Row, frozen=True, kw_only=True):
    """One database of the server, with its counters since `stats_reset`."""

    oid: int
    name: str
    is_current: bool
    allows_connections: bool
    is_template: bool
    xid_age: int  # age(datfrozenxid)
    mxid_age: int  # mxid_age(datminmxid)
    collation_provider: str  # c = libc, i = ICU, b = builtin
    collation_version: str | None  # as recorded; None before 15 or where it has no version
    collation_version_actual: str | None  # as the operating system has it now
    connections: int
    commits: int
    rollbacks: int
    blocks_read: int
    blocks_hit: int
    temp_files: int
    temp_bytes: int
    deadlocks: int
    checksum_failures: int | None  # None: checksums are off
    sessions: int
    active_milliseconds: float
    stats_reset: str | None  # ISO 8601; None is also what a crash leaves behind


class Setting(Row, frozen=True, kw_only=True):
    """One configuration parameter as the server runs it."""

    name: str
    value: str  # in `unit`
    unit: str | None
    source: str  # 'default', 'configuration file', 'database', ...
    default: str | None  # boot value, in `unit`
    pending_restart: bool
    kind: str  # bool, integer, real, enum, string
    context: str  # postmaster, sighup, user, ...


class Relation(Row, frozen=True, kw_only=True):
    """A table, partitioned table, materialised view or foreign table, system catalogs included.

    Its TOAST table is folded in: `toast_*`.
    """

    oid: int
    schema: str
    name: str
    kind: str  # r table, p partitioned, m materialised view, f foreign table
    persistence: str  # p permanent, u unlogged, t temporary
    is_partition: bool
    is_extension_member: bool
    is_populated: bool  # False for a materialised view WITH NO DATA
    is_locked: bool  # behind ACCESS EXCLUSIVE: its indexes and some constraints are left out
    access_method: str | None
    tuples: float  # reltuples; -1: never vacuumed or analysed
    pages: int
    all_visible_pages: int
    all_frozen_pages: int | None  # 18 and later
    xid_age: int | None
    mxid_age: int | None
    toast_oid: int | None
    toast_pages: int
    toast_xid_age: int | None
    toast_mxid_age: int | None
    replica_identity: str  # d default, n nothing, f full, i index
    options: tuple[str, ...]  # 'autovacuum_enabled=false', ...
    toast_options: tuple[str, ...]
    temp_session_alive: bool | None  # for temporary tables: whether their session is connected


class Column(Row, frozen=True, kw_only=True):
    """One column of a user's relation."""

    relation: int
    number: int  # attnum
    name: str
    type: str  # format_type, such as 'character varying(20)'
    base_type: str  # pg_type.typname below domains and without modifiers: 'int4', '_text', ...
    type_schema: str
    not_null: bool
    has_default: bool
    default: str | None = None  # the expression as the server prints it
    identity: str  # '' none, a always, d by default
    generated: str  # '' no, s stored, v virtual
    collation: int  # 0: the type has none
    statistics_target: int  # -1: the server's default
    options: tuple[str, ...]  # 'n_distinct=-0.5', ...


class Index(Row, frozen=True, kw_only=True):
    """One index. Arrays run over the key columns first, then over the INCLUDE columns."""

    oid: int
    relation: int
    schema: str
    name: str
    method: str  # btree, gin, gist, spgist, brin, hash, bloom, ...
    columns: tuple[int, ...]  # attnums; 0 for an expression
    column_definitions: tuple[str, ...]  # pg_get_indexdef per column: name or expression
    key_count: int  # how many of `columns` are key columns
    operator_classes: tuple[str, ...]  # 'schema.name' per key column, with options
    collations: tuple[int, ...]  # per key column; 0 for none
    column_options: tuple[int, ...]  # per key column: 1 DESC, 2 NULLS FIRST
    is_unique: bool
    is_primary: bool
    is_exclusion: bool
    is_immediate: bool
    nulls_not_distinct: bool
    is_valid: bool
    is_ready: bool
    is_live: bool
    is_clustered: bool
    is_replica_identity: bool
    is_partitioned: bool  # relkind I
    is_extension_member: bool
    predicate: str | None
    definition: str  # CREATE INDEX ...
    constraint: str | None  # name of the PRIMARY KEY, UNIQUE or EXCLUDE constraint it backs
    foreign_keys_served: int  # FOREIGN KEYs elsewhere that reference this index as their target
    parent: int | None  # the partitioned index that it is attached to
    tuples: float
    pages: int
    options: tuple[str, ...]
    xid_age: int | None = None  # age(pg_class.xmin): transactions since its entry last changed


class Constraint(Row, frozen=True, kw_only=True):
    """One constraint of a user's table."""

    oid: int
    relation: int
    name: str
    kind: str  # p primary key, u unique, f foreign key, c check, x exclusion, n not null, t trigger
    columns: tuple[int, ...]
    foreign_relation: int | None
    foreign_columns: tuple[int, ...]
    is_validated: bool
    is_enforced: bool  # always True before 18
    is_deferrable: bool
    on_delete: str  # a no action, r restrict, c cascade, n set null, d set default; '' if not a FK
    on_update: str
    index: int | None  # the index that it is backed by, or that a FK references
    parent: int | None  # the parent table's constraint that it was inherited from
    definition: str


class Sequence(Row, frozen=True, kw_only=True):
    """One sequence. `last_value` None with `is_readable` means never used."""

    oid: int
    schema: str
    name: str
    data_type: str  # int2, int4, int8
    start: int
    minimum: int
    maximum: int
    increment: int
    cycles: bool
    cache: int
    is_readable: bool
    last_value: int | None
    fed_relations: tuple[int, ...]  # columns whose default or identity draws from it, pairwise
    fed_columns: tuple[int, ...]
    owned_by_extension: bool


class Inheritance(Row, frozen=True, kw_only=True):
    """One child of one parent."""

    parent: int
    child: int
    is_partition: bool
    bound: str | None  # 'FOR VALUES FROM (...) TO (...)', 'DEFAULT'
    detach_pending: bool


class Partitioning(Row, frozen=True, kw_only=True):
    """How a partitioned table splits its rows."""

    relation: int
    strategy: str  # l list, r range, h hash
    key: str  # 'RANGE (created_at)'
    columns: tuple[int, ...]  # 0 for an expression
    default_partition: int | None


class Publication(Row, frozen=True, kw_only=True):
    """One table of one publication (a leaf where `via_root` is false)."""

    name: str
    relation: int
    publishes_updates: bool
    publishes_deletes: bool
    via_root: bool
    columns: tuple[int, ...]  # the column list (15 and later); empty: every column
    row_filter: str | None  # 15 and later, as the server prints it


class ForeignTable(Row, frozen=True, kw_only=True):
    """One foreign table and its wrapper."""

    relation: int
    server: str
    wrapper: str


class Extension(Row, frozen=True, kw_only=True):
    """One installed extension."""

    name: str
    version: str
    schema: str


class OperatorOverlap(Row, frozen=True, kw_only=True):
    """An extension's operator that wins over a polymorphic built-in of the same name."""

    name: str
    left_type: str
    right_type: str
    schema: str
    extension: str | None
    is_visible: bool  # reachable unqualified on the role's search_path


class Collation(Row, frozen=True, kw_only=True):
    """A collation whose recorded version differs from the operating system's, and its indexes."""

    oid: int
    schema: str = "pg_catalog"
    name: str
    provider: str
    version: str | None
    version_actual: str | None


class ColumnStatistics(Row, frozen=True, kw_only=True):
    """What ANALYZE recorded about a column: shape only, no value of any row."""

    relation: int
    column: int
    inherited: bool
    null_fraction: float
    average_width: int
    distinct: float  # n_distinct: negative is a fraction of the rows
    correlation: float | None
    most_common_count: int
    most_common_total: float  # summed frequency of the most common values
    histogram_bounds: int
    most_common_values: str | None  # with --values only
    last_bound: str | None  # with --values only
    beyond_last_bound: float | None  # how far a feeding sequence, or now, is past the last bound,
    # in spans between the first and the last bound; None where it cannot be told


class ExtendedStatistics(Row, frozen=True, kw_only=True):
    """One CREATE STATISTICS object."""

    schema: str
    name: str
    relation: int
    kinds: tuple[str, ...]
    columns: tuple[int, ...]
