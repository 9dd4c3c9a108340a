"""How far the jobs log is completely finished: open rows counted by window.

Owns the counts, `done` (the newest window before which nothing is open), and the lowest generation
of the ledger that a rebuild must read. Must never know why a row is finished.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from howdah.queue.model import Job

JOINED_ROWS = 1_000  # windows are joined up to this many rows: `done` moves by groups
LONG_ROWS = 2_000  # a window with a page of so many is a backlog of its own, joined to no other
COMPACT_AT = 64  # groups; beyond it, finished ones behind an unfinished one are merged into it


class _Group:
    """Adjacent windows counted together."""

    __slots__ = ("before", "left", "long", "numbers", "sealed", "size")

    def __init__(self, before: int) -> None:
        self.before = before
        self.left = 0
        self.long = False
        self.size = 0
        self.sealed = False
        self.numbers: list[int] = []


class Windows:
    """Open rows per window; windows come in the order of their numbers, each in pages."""

    def __init__(self, done: int = 0) -> None:
        self._done = done
        self._order: deque[_Group] = deque()
        self._by_number: dict[int, _Group] = {}
        self._named: deque[tuple[int, int]] = deque()
        self._newest = done
        self._seen = 0

    def see(self, number: int, rows: int, *, complete: bool) -> None:
        """Count `rows` of a page of that window; `complete` if it was the last page."""
        group = self._by_number.get(number)
        if group is None:
            group = self._order[-1] if self._order else None
            if group is None or group.size >= JOINED_ROWS or rows >= LONG_ROWS:
                group = _Group(self._seen)
                self._order.append(group)
            group.numbers.append(number)
            self._by_number[number] = group
            self._newest = number
        self._seen += rows
        group.long = group.long or rows >= LONG_ROWS
        group.left += rows
        group.size += rows
        group.sealed = complete
        if len(self._order) > COMPACT_AT:
            self._compact()

    def finish(self, number: int) -> None:
        """One row of that window is finished."""
        self._by_number[number].left -= 1

    def named(self, generation: int) -> None:
        """The ledger row of `generation` names log rows: it is needed until `done` passes them."""
        if not self._named or self._named[-1] != (generation, self._newest):
            self._named.append((generation, self._newest))

    def finish_all(self, jobs: Iterable[Job]) -> None:
        """One row is finished for each of these."""
        groups = self._by_number
        for job in jobs:
            groups[job.window].left -= 1

    @property
    def done(self) -> int:
        """The newest window of the finished prefix."""
        while self._order and self._order[0].sealed and not self._order[0].left:
            group = self._order.popleft()
            self._done = group.numbers[-1]
            for number in group.numbers:
                del self._by_number[number]
        return self._done

    @property
    def newest(self) -> int:
        """The newest window seen."""
        return self._newest

    @property
    def open_rows(self) -> int:
        """Rows seen and not finished."""
        return sum(group.left for group in self._order)

    def pinned(self, most: int) -> bool:
        """Whether more than that many rows were seen since the oldest group with open rows.

        The rows of one long window do not count: it is worked off like any other backlog.
        """
        if not self._order:
            return False
        oldest = self._order[0]
        since = self._seen - oldest.before
        if oldest.long:
            return oldest.sealed and since - oldest.size > most
        return since > most

    def oldest(self, number: int) -> bool:
        """Whether that window belongs to the oldest group."""
        return self._by_number.get(number) is self._order[0]

    @property
    def groups(self) -> int:
        """How many groups of windows are remembered."""
        return len(self._order)

    def floor(self, otherwise: int) -> int:
        """The lowest generation that names log rows which are not behind `done`."""
        done = self.done
        while self._named and self._named[0][1] <= done:
            self._named.popleft()
        return self._named[0][0] if self._named else otherwise

    def _compact(self) -> None:
        kept: deque[_Group] = deque()
        for group in self._order:
            if kept and group.sealed and not group.left:
                for number in group.numbers[:-1]:
                    del self._by_number[number]
                kept[-1].numbers.append(group.numbers[-1])
                self._by_number[group.numbers[-1]] = kept[-1]
            else:
                kept.append(group)
        self._order = kept
