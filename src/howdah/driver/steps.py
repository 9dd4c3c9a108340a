"""A store operation as a generator: it yields what to ask and is sent the rows.

Owns the two things that may be yielded. Must never know who runs them: the synchronous and the
asynchronous runner, the crash-point tester and a test with canned rows drive the same code.

    def newest(consumer: str) -> Steps[Cursor | None]:
        rows = yield NEWEST(consumer=consumer)
        return cursor_of(rows[0]) if rows else None
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import msgspec

from howdah.driver.statement import Query

Row = tuple[Any, ...]
Rows = list[Row]
T = TypeVar("T")


class Batch(msgspec.Struct, frozen=True):
    """Queries in one transaction and, where the driver can, one round trip; rows of the last.

    On a connection with an open transaction they join it.
    """

    queries: tuple[Query, ...]


Steps = Generator[Query | Batch, Rows, T]
"""What a store function returns."""


def together(*queries: Query) -> Batch:
    """The queries as one transaction."""
    return Batch(queries)


def canned(steps: Steps[T], answers: Sequence[Rows]) -> tuple[T, list[Query | Batch]]:
    """Run steps on prepared answers, for tests of decisions: the value and what was asked."""
    asked = []
    try:
        asked.append(next(steps))
        for rows in answers:
            asked.append(steps.send(rows))  # noqa: PERF401 - a generator would swallow the end
    except StopIteration as end:
        return end.value, asked
    raise AssertionError(f"the steps ask for more than {len(answers)} answers: {asked[-1]}")
