"""Composing the statements of remedies: a template, and names that are quoted as the server does.

Owns the one call that turns names into SQL text for rules. Must never take a name as raw text: a
plain string is always an identifier.
"""

from __future__ import annotations

from psycopg import sql


def composed(template: str, **parts: str | tuple[str, ...] | sql.Composable) -> str:
    """The template with each part put in: a string or a tuple of strings as an identifier.

    >>> composed("DROP TABLE {t}", t=("public", "Orders"))
    'DROP TABLE "public"."Orders"'
    """
    named = {key: _composable(part) for key, part in parts.items()}
    return sql.SQL(template).format(**named).as_string(None)


def raw(text: str) -> sql.SQL:
    """Text that the server printed, or a keyword or number of ours: put in as it stands."""
    return sql.SQL(text)


def literal(value: str) -> sql.Literal:
    """A value, quoted as a string."""
    return sql.Literal(value)


def _composable(part: str | tuple[str, ...] | sql.Composable) -> sql.Composable:
    if isinstance(part, sql.Composable):
        return part
    return sql.Identifier(*((part,) if isinstance(part, str) else part))
