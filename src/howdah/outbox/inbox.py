"""What a consumer has seen: duplicates removed in the consumer's own transaction.

Owns the handle of an inbox. Must never commit: an event counts as seen when the caller's
transaction commits, together with what the caller did because of it.

    inbox = Inbox("billing")
    with connection.transaction():
        if inbox.first_time(connection, message.headers["howdah-uid"]):
            charge(connection, message)

The window: a uid is remembered for at least `window_seconds` after it last came, and at most
`rings / (rings - 1)` times as long; it is forgotten whole rings at a time by TRUNCATE. Nothing is
forgotten unless somebody calls `maintain` now and then. What is delivered again later than the
window counts as new: make it longer than any broker or person replays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from howdah import query
from howdah.driver import Steps, run, run_async, statement

WINDOW_SECONDS = 7 * 86400.0
RINGS = 4
PARTITIONS = 4

_QUERIES = query.load("howdah.outbox", "sql/inbox.sql")
_CREATE = statement(_QUERIES, "create")
_DROP = statement(_QUERIES, "drop")
_FIRST = statement(_QUERIES, "first")
_MAINTAIN = statement(_QUERIES, "maintain")


class Inbox:
    """An inbox by its name; methods that begin with `a` are for asynchronous connections."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(
        self,
        connection: Any,
        *,
        window_seconds: float = WINDOW_SECONDS,
        rings: int = RINGS,
        partitions: int = PARTITIONS,
    ) -> bool:
        """Make it unless it is there; whether it is new. `partitions` hash each ring's uids."""
        return run(connection, self._create(window_seconds, rings, partitions))

    async def acreate(
        self,
        connection: Any,
        *,
        window_seconds: float = WINDOW_SECONDS,
        rings: int = RINGS,
        partitions: int = PARTITIONS,
    ) -> bool:
        """Make it unless it is there; whether it is new."""
        return await run_async(connection, self._create(window_seconds, rings, partitions))

    def drop(self, connection: Any) -> None:
        """Remove it with everything that it remembers."""
        run(connection, self._drop())

    def first_time(self, connection: Any, event_uid: str) -> bool:
        """Whether the uid comes for the first time.

        While another open transaction has brought the same uid, this waits for its end.
        """
        return bool(run(connection, self._first((event_uid,))))

    async def afirst_time(self, connection: Any, event_uid: str) -> bool:
        """Whether the uid comes for the first time."""
        return bool(await run_async(connection, self._first((event_uid,))))

    def first_times(self, connection: Any, event_uids: Sequence[str]) -> set[str]:
        """Those of the uids that come for the first time, in one statement."""
        return run(connection, self._first(event_uids))

    async def afirst_times(self, connection: Any, event_uids: Sequence[str]) -> set[str]:
        """Those of the uids that come for the first time, in one statement."""
        return await run_async(connection, self._first(event_uids))

    def maintain(self, connection: Any) -> str | None:
        """Forget what is past the window, if there is any: `turned`, `busy`, or None.

        Waits for transactions that use the inbox, at most a twentieth of a second; call it from a
        timer, in a transaction of its own.
        """
        return run(connection, self._maintain())

    async def amaintain(self, connection: Any) -> str | None:
        """Forget what is past the window, if there is any: `turned`, `busy`, or None."""
        return await run_async(connection, self._maintain())

    def _create(self, window_seconds: float, rings: int, partitions: int) -> Steps[bool]:
        ((new,),) = yield _CREATE(
            inbox=self.name, window_seconds=window_seconds, rings=rings, partitions=partitions
        )
        return bool(new)

    def _drop(self) -> Steps[None]:
        yield _DROP(inbox=self.name)

    def _first(self, uids: Sequence[str]) -> Steps[set[str]]:
        rows = yield _FIRST(inbox=self.name, uids=list(uids))
        return {row[0] for row in rows}

    def _maintain(self) -> Steps[str | None]:
        ((action,),) = yield _MAINTAIN(inbox=self.name)
        return None if action is None else str(action)
