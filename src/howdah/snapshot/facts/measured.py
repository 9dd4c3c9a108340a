"""What was measured on the objects themselves, within a budget.

Owns the shapes of measurements. An object that the budget did not reach has no row; the fact's
`left_out` counts it.
"""

from __future__ import annotations

from howdah.snapshot.facts.catalog import Row


class Size(Row, frozen=True, kw_only=True):
    """Bytes of a relation's main fork now (the catalog's pages may be old)."""

    relation: int  # table or index
    bytes: int


class TableSpace(Row, frozen=True, kw_only=True):
    """pgstattuple_approx of one table; fractions of the table's bytes."""

    relation: int
    bytes: int
    scanned_fraction: float
    dead_tuple_fraction: float
    free_fraction: float


class IndexSpace(Row, frozen=True, kw_only=True):
    """pgstatindex of one B-tree."""

    index: int
    bytes: int
    leaf_pages: int
    empty_pages: int
    deleted_pages: int
    internal_pages: int
    leaf_density: float  # 0..1
    fragmentation: float  # 0..1


class PendingList(Row, frozen=True, kw_only=True):
    """pgstatginindex of one GIN index."""

    index: int
    pages: int
    tuples: int


class MultixactSample(Row, frozen=True, kw_only=True):
    """MultiXact members, estimated by sampling the living range.

    `members` is the estimate; `standard_error` is relative (0.01 is one percent).
    """

    oldest: int
    next: int
    count: int
    sampled: int
    members_per_multixact: float
    members: int
    standard_error: float
    seconds_since_checkpoint: float
