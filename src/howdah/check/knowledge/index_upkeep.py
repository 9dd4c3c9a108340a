"""What an index costs to keep: its pages, and the writes that it takes part in.

Owns the arithmetic that the rules on superfluous indexes share, partitions summed. Must never judge
whether the index is worth it.
"""

from __future__ import annotations

import msgspec

from howdah.check import harm
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture

# A new entry reads one leaf page and leaves it to be written: two 8 kB pages. The upper levels are
# nearly always cached, splits and full-page images are rarer than one in a hundred.
_PAGES_PER_ENTRY = 2.0


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one index; of a partitioned one, summed over its partitions."""

    pages: int  # 8 kB
    entries: int  # written in the window: inserted rows and updates that were not HOT
    entries_per_hour: float | None  # None: the window's start is not known

    @property
    def harm(self) -> float:
        """Pages an hour that are written and held for nothing if the index serves nothing."""
        written = harm.waste(_PAGES_PER_ENTRY, self.entries_per_hour) if self.entries else 0.0
        return written + harm.held(self.pages)


def upkeep(picture: Picture, index: Index) -> Upkeep:
    """The cost of keeping an index, by the counters of its table."""
    parts = with_parts(picture, index)
    tables = [picture.table_statistics.get(part.relation) for part in parts]
    entries = sum(
        table.inserted + max(0, table.updated - table.hot_updated) for table in tables if table
    )
    return Upkeep(
        pages=sum(picture.pages(part.oid) for part in parts),
        entries=entries,
        entries_per_hour=picture.per_hour(entries),
    )


def with_parts(picture: Picture, index: Index) -> tuple[Index, ...]:
    """The index and, if it is partitioned, everything attached to it on any level."""
    found = [index]
    for each in found:  # grows while it is read: breadth first
        if each.is_partitioned:
            found.extend(picture.attached_indexes.get(each.oid, ()))
    return tuple(found)
