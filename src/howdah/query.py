"""SQL as a first-class file: named blocks, chosen by server version.

Owns the file format and the choice of a block. Must never build SQL: a block is sent as it stands
in its file, with parameters; identifiers are composed by `psycopg.sql` where they are needed.

A file is a sequence of blocks, each headed by its name, an optional range of server majors, and one
line that says what it is for:

    -- name: checkpointer [17-]
    -- purpose: checkpoints since the counters were reset
    SELECT ...

`[17-]` means 17 and later, `[-16]` up to 16, `[15-16]` both ends; the blocks of one name must not
overlap. Anything before the first header, an unnamed block and a missing purpose are errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources

import msgspec

OLDEST_MAJOR = 14
NEWEST_MAJOR = 18

_HEADER = re.compile(
    r"^-- name: (?P<name>[a-z][a-z0-9_]*)(?: \[(?P<since>\d+)?-(?P<until>\d+)?\])?$"
)
_PURPOSE = re.compile(r"^-- purpose: (?P<purpose>\S.*)$")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One named block: its text is sent as it stands."""

    name: str
    purpose: str
    text: str
    since: int = OLDEST_MAJOR
    until: int = NEWEST_MAJOR

    def serves(self, major: int) -> bool:
        """Whether this block is meant for that major; newer servers get the newest block."""
        return self.since <= major and (major <= self.until or self.until >= NEWEST_MAJOR)


class Queries(Mapping[str, tuple[Query, ...]]):
    """The blocks of one file by name."""

    def __init__(self, source: str, blocks: tuple[Query, ...]) -> None:
        self.source = source
        self._by_name: dict[str, tuple[Query, ...]] = {}
        for block in blocks:
            others = self._by_name.get(block.name, ())
            for other in others:
                if block.since <= other.until and other.since <= block.until:
                    raise ValueError(f"{source}: two blocks named {block.name!r} serve one major")
            self._by_name[block.name] = (*others, block)

    def __getitem__(self, name: str) -> tuple[Query, ...]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def choose(self, name: str, major: int) -> Query | None:
        """The block of that name for that server major; None where the server has nothing for it.

        An unknown name is a `KeyError`.
        """
        return next((block for block in self[name] if block.serves(major)), None)

    def text(self, name: str, major: int = NEWEST_MAJOR) -> str:
        """The text of the block for that major; `KeyError` where there is none."""
        block = self.choose(name, major)
        if block is None:
            raise KeyError(f"{self.source}: no block {name!r} for PostgreSQL {major}")
        return block.text


def load(package: str, file: str) -> Queries:
    """Read and parse `file` from `package`, such as `load("howdah.snapshot", "sql/catalog.sql")`.

    A malformed file is a `ValueError` that names the file and the block.
    """
    return parse(file, resources.files(package).joinpath(file).read_text(encoding="utf-8"))


def parse(source: str, text: str) -> Queries:
    """Parse the text of a file of named blocks; `source` names it in errors."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("-- name:"):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        elif line.strip() and not line.startswith("--"):
            raise ValueError(f"{source}: SQL before the first '-- name:' header")
    return Queries(source, tuple(_block(source, lines) for lines in blocks))


def _block(source: str, lines: list[str]) -> Query:
    header = _HEADER.match(lines[0])
    if header is None:
        raise ValueError(f"{source}: malformed header {lines[0]!r}")
    purpose = _PURPOSE.match(lines[1]) if len(lines) > 1 else None
    if purpose is None:
        raise ValueError(f"{source}: {header['name']!r} lacks its '-- purpose:' line")
    body = "\n".join(lines[2:]).strip().removesuffix(";")
    if not body:
        raise ValueError(f"{source}: {header['name']!r} has no SQL")
    return Query(
        name=header["name"],
        purpose=purpose["purpose"],
        text=body,
        since=int(header["since"] or OLDEST_MAJOR),
        until=int(header["until"] or NEWEST_MAJOR),
    )
