"""Every error that Howdah raises, sorted by what the caller can do about it.

Owns the root class, its subclasses and the translation of SQLSTATEs into them.
Must never look at the text of a server's message: texts are translated and change, codes do not.

*Could not* means that the same call may succeed later; *cannot* means that it never will as asked.
"""

from __future__ import annotations

import re
from typing import ClassVar

import psycopg


class HowdahError(Exception):
    """The root: a short factual message, a detail with the mechanics, a hint with the remedy."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.message]
        if self.detail:
            parts.append(self.detail)
        if self.hint:
            parts.append(f"Try: {self.hint}")
        return "\n".join(parts)


class CouldNot(HowdahError):
    """A passing condition stopped the work; the same call may succeed later."""

    retryable = True


class Unreachable(CouldNot):
    """No connection: the host, the port, the socket or the server behind it does not answer."""


class TimedOut(CouldNot):
    """A limit that we set ran out before the work was done: a lock, a statement, a budget."""


class Moved(CouldNot):
    """What the work relied on was replaced meanwhile; look again and repeat."""


class Cannot(HowdahError):
    """The same call will never succeed as asked; something must be changed first."""


class BadInput(Cannot):
    """What was given is wrong: an option, a name, a value."""


class BadFile(Cannot):
    """A file is missing, truncated, damaged, or of a version that this Howdah does not read."""


class Denied(Cannot):
    """The role may not do this."""


class Unsupported(Cannot):
    """The server, or this machine, lacks what the work needs: version, extension, program."""


class NotASandbox(Cannot):
    """Destructive work was aimed at something that does not carry our marker."""


class Superseded(Cannot):
    """Another instance has taken over; this one must stop and write no more."""


class PositionLost(Cannot):
    """A position cannot be continued from: the database is another one, or went back in time."""


class StatementFailed(Cannot):
    """The server refused a statement for a reason that none of the other classes names."""


# SQLSTATE classes and codes: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
_BY_CODE: dict[str, type[HowdahError]] = {
    "42501": Denied,  # insufficient_privilege
    "28000": Denied,  # invalid_authorization_specification
    "28P01": Denied,  # invalid_password
    "3D000": BadInput,  # invalid_catalog_name: no such database
    "55P03": TimedOut,  # lock_not_available: lock_timeout
    "57014": TimedOut,  # query_canceled: statement_timeout
    "25P03": TimedOut,  # idle_in_transaction_session_timeout
    "0A000": Unsupported,  # feature_not_supported
    # Raised by Howdah's own SQL functions; class HD is used by nothing else.
    "HD001": Superseded,
    "HD002": PositionLost,
    "HD003": BadInput,
    "HD004": Moved,
}
_BY_CLASS: dict[str, type[HowdahError]] = {
    "08": Unreachable,  # connection exception
    "57": Unreachable,  # operator intervention: shutdown, starting up
    "40": CouldNot,  # transaction rollback: serialisation failure, deadlock
    "53": CouldNot,  # insufficient resources
}

_POOLER = "behind a pooler, prepare nothing: psycopg's prepare_threshold=None, asyncpg's"
_HINTS = dict.fromkeys(("26000", "42P05"), f"{_POOLER} statement_cache_size=0")
"""A prepared statement that is not there, or that another client has left there."""


def from_database(error: psycopg.Error) -> HowdahError:
    """Translate a driver's error by its SQLSTATE; the server's own words become message and detail.

    Without a SQLSTATE an operational error means that there is no connection.
    """
    code = error.sqlstate or ""
    diagnosis = error.diag
    message = diagnosis.message_primary or without_password(str(error).strip()) or code
    return from_sqlstate(
        code,
        message,
        detail=diagnosis.message_detail or "",
        hint=diagnosis.message_hint or "",
        unreachable=isinstance(error, psycopg.OperationalError),
    )


def from_sqlstate(
    code: str, message: str, *, detail: str = "", hint: str = "", unreachable: bool = False
) -> HowdahError:
    """The error of that SQLSTATE, whichever driver reported it.

    `unreachable` says what no SQLSTATE at all means: no connection, or a failed statement.
    """
    fallback = Unreachable if unreachable and not code else StatementFailed
    kind: type[HowdahError] = _BY_CODE.get(code) or _BY_CLASS.get(code[:2]) or fallback
    return kind(
        message,
        detail=detail or (f"SQLSTATE {code}" if code else ""),
        hint=hint or _HINTS.get(code, ""),
    )


# A URI's password may itself hold @ and /: everything up to the last @ of the word is taken.
_PASSWORD = re.compile(
    r"(?P<key>password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)|(?P<user>://[^:/@\s]*:)\S*(?=@)",
    re.IGNORECASE,
)


def without_password(text: str) -> str:
    """Blank passwords in a DSN or in a text that quotes one: both `password=x` and `user:x@host`.

    >>> without_password("postgresql://ann:secret@db/shop")
    'postgresql://ann:***@db/shop'
    >>> without_password("host=db password='a b' dbname=shop")
    'host=db password=*** dbname=shop'
    >>> without_password("postgresql://ann:p@ss/word@db/shop")
    'postgresql://ann:***@db/shop'
    """
    return _PASSWORD.sub(lambda found: f"{found['key'] or found['user']}***", text)
