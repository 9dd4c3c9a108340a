"""Statements whose text nobody could read, and what that leaves unsaid.

Owns the honesty of rules that recognise things by their statements: what was not read may hold one
more of them, so nothing is *not applicable* or completely examined beside it.
"""

from __future__ import annotations

import msgspec

from howdah.check.knowledge.parsing import parsed
from howdah.check.model import Examination
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture
from howdah.snapshot.texts import HIDDEN, WITHHELD

_CONDITIONAL = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"})


def is_hidden(statement: Statement) -> bool:
    """Whether the server, or the collector, keeps the text from us."""
    return statement.text in (HIDDEN, WITHHELD)


def is_cut(statement: Statement) -> bool:
    """Whether it should have conditions and does not parse; `SAVEPOINT $1` has none."""
    first = statement.text.lstrip("( \n\t").partition(" ")[0].upper()
    return first in _CONDITIONAL and bool(parsed(statement.text).reason)


def unread(picture: Picture) -> str:
    """How many statements could not be read, in words; '' where all could."""
    rows = picture.snapshot.statements.rows
    hidden, cut = sum(map(is_hidden, rows)), sum(map(is_cut, rows))
    parts = [f"{hidden} statements are hidden from the role"] if hidden else []
    parts += [f"{cut} normalised texts do not parse"] if cut else []
    return " and ".join(parts)


def as_far_as_read(picture: Picture, seen: Examination) -> Examination:
    """The examination, with what unread statements may hold counted as one object more."""
    reason = unread(picture)
    if not reason:
        return seen
    reasons = [seen.unknown] if seen.unknown and seen.examined < seen.of else []
    return msgspec.structs.replace(
        seen, of=seen.of + 1, unknown="; ".join([*reasons, reason]), not_applicable=""
    )
