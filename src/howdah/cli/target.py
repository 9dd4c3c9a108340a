"""What a command is pointed at: a database by its DSN, or a snapshot file.

Owns telling the two apart, and progress on the error stream. Must never print a password.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from howdah.errors import BadInput, without_password

Progress = Callable[[str], None]

DSN = Annotated[
    str,
    typer.Argument(
        metavar="[DSN]",
        help="Connection string or URI; without it the libpq environment (PGHOST, ...) applies.",
        show_default=False,
    ),
]
TARGET = Annotated[
    str,
    typer.Argument(
        metavar="[DSN|FILE]",
        help="Connection string or URI, or a snapshot file; without it the libpq environment.",
        show_default=False,
    ),
]
_FILE_SUFFIXES = (".snap", ".howdah")


def as_file(target: str) -> Path | None:
    """The path if `target` means a file: it exists, or it looks like one and like no DSN."""
    if not target or "://" in target or "=" in target:
        return None
    path = Path(target)
    named = path.suffix in _FILE_SUFFIXES or "/" in target
    return path if path.is_file() or named else None


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Tell on the error stream what is being done: a moving line on a terminal, else nothing."""
    console = Console(stderr=True)
    if quiet or not sys.stderr.isatty():
        yield lambda _text: None
        return
    with console.status("starting") as status:
        yield status.update


def a_name(given: str) -> str:
    """A name of something of ours; `BadInput` for a DSN in its place, as happens easily."""
    if "=" in given or "://" in given:
        raise BadInput(
            f"{without_password(given)!r} is a DSN and stands where a name is wanted",
            hint="the name first, then the DSN; - in place of a name where every one is meant",
        )
    return given
