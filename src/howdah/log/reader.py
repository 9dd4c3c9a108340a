"""One instance of a consumer on its way through a log.

Owns the state between two pages. Must never commit by itself: the caller says what is done.

Two instances of one consumer may run at once; only one of them can commit. `take_over` makes this
instance the one, and every later commit of the other fails with `Superseded`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from howdah.driver import Steps
from howdah.errors import Moved, StatementFailed
from howdah.log import decide, store
from howdah.log.model import Cursor, Page, Peek, Position


class Reader:
    """Reads pages and commits positions, as steps; see `howdah.log.api` for who runs them.

    Reading may run ahead of committing by any number of pages. After an error, and on another
    connection, open it anew: a server that went back in time knows nothing of what was read.
    """

    def __init__(
        self, log: str, consumer: str, *, payload_budget_bytes: int = decide.PAGE_BYTES
    ) -> None:
        self.log = log
        self.consumer = consumer
        self._budget = payload_budget_bytes
        self._cursor: Cursor | None = None
        self._position: Position | None = None
        self.peeked: Peek | None = None  # the last look; its `lsn` gates publication

    @property
    def cursor(self) -> Cursor:
        """The newest committed position that this instance knows of."""
        assert self._cursor is not None, "open the reader first"
        return self._cursor

    @property
    def position(self) -> Position:
        """Where the next page begins."""
        assert self._position is not None, "open the reader first"
        return self._position

    def open(self, *, take_over: bool = False) -> Steps[Cursor]:
        """Start from the committed position; with `take_over`, as its only owner.

        Raises `PositionLost` where the position cannot be continued from.
        """
        if take_over:
            self._cursor = yield from store.take_over(self.log, self.consumer)
        else:
            self._cursor = yield from store.newest_cursor(self.log, self.consumer)
        self._position = self._cursor.position
        return self._cursor

    def next_page(self, max_rows: int | None = None) -> Steps[Page | None]:
        """The next records in order, or None when there is nothing new.

        Finding nothing takes no transaction id and writes nothing.
        """
        rows = min(max_rows or decide.PAGE_ROWS, decide.PAGE_ROWS)
        while True:
            if self.position.upto is None:
                peek = yield from _unmoved(store.peek, self.log, self.position.seen)
                self.peeked = peek
                self._position = decide.peeked(self.position, peek)
                if not peek.waiting:
                    return None
            page = yield from _unmoved(store.page, self.log, self.position, rows, self._budget)
            self._position = decide.paged(page)
            if page.records:
                return page

    def commit(self, position: Position, *, note: str | None = None) -> Steps[Cursor]:
        """Append a position to the ledger; `Superseded` when another instance has taken over."""
        advanced = store.advance(self.log, self.consumer, self.cursor, position, note=note)
        self._cursor = yield from advanced
        return self._cursor


P = ParamSpec("P")
T = TypeVar("T")


def _unmoved(look: Callable[P, Steps[T]], *what: P.args, **how: P.kwargs) -> Steps[T]:
    """Look again when the log's tables were replaced at that moment; it happens rarely.

    Inside a transaction that is aborted by then, the caller is told the reason and repeats it.
    """
    try:
        return (yield from look(*what, **how))
    except Moved as moved:
        try:
            return (yield from look(*what, **how))
        except StatementFailed:
            raise moved from None
