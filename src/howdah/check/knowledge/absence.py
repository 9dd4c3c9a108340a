"""What a missing fact cannot hide: properties of objects that the database does not have.

Owns, by fact, the objects that it describes. Must never turn a fact that might hold something into
an absence: the catalog must be known, and must have none of the objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from howdah.check.model import Rule
from howdah.snapshot.facts import Status
from howdah.snapshot.picture import Picture

NO_STATEMENTS = (
    "statements: none is recorded yet (new, reset, or lost in a crash). "
    "Try: look again after the usual traffic"
)


def nothing_described(picture: Picture, rule: Rule, fact: str) -> str:
    """Why a rule that lacks this fact has nothing to examine anyhow; '' where it may have."""
    describes = _DESCRIBES.get(fact)
    return describes(picture, rule) if describes else ""


def nothing_recorded(picture: Picture, fact: str) -> str:
    """Why an empty fact says nothing about its absence; '' where empty means that there is none.

    Statements come only with traffic, and a crash or a reset takes them all.
    """
    if fact == "statements" and picture.snapshot.statements.status is Status.EMPTY:
        return NO_STATEMENTS
    return ""


def _no_tables(picture: Picture, rule: Rule) -> str:
    relations = picture.snapshot.relations
    whole = relations.known and not relations.left_out and "relations" in rule.needs
    kinds = {row.kind for row in picture.user_relations}
    return "" if not whole or kinds & set("rpmf") else "there are no tables"


def _no_indexes(picture: Picture, *methods: str) -> bool:
    indexes = picture.snapshot.indexes
    whole = indexes.known and not indexes.left_out
    return whole and not any(row.method in methods for row in indexes.rows)


def _no_btrees(picture: Picture, _: Rule) -> str:
    return "there are no B-tree indexes" if _no_indexes(picture, "btree") else ""


def _no_gins(picture: Picture, _: Rule) -> str:
    return "there are no GIN indexes" if _no_indexes(picture, "gin") else ""


_DESCRIBES: Mapping[str, Callable[[Picture, Rule], str]] = {
    "statements": _no_tables,
    "column_statistics": _no_tables,
    "table_space": _no_tables,
    "index_space": _no_btrees,
    "pending_lists": _no_gins,
}
