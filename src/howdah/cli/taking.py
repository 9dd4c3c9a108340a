"""Taking a snapshot from the command line: the options that `check` and `snapshot take` share.

Owns those options and their way to the collector. Must never hold a default: defaults, bounds and
the environment's names are `howdah.snapshot.options`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from howdah.cli.target import Progress, as_file
from howdah.config import resolve
from howdah.snapshot import collect, file
from howdah.snapshot.model import Snapshot
from howdah.snapshot.options import Options

SAMPLE_SECONDS = Annotated[
    float | None,
    typer.Option(help="Between the two samples that rates are made of [default: 2]."),
]
MEASURE_MEGABYTES = Annotated[
    int | None,
    typer.Option(help="I/O budget for measuring bloat; 0 measures nothing [default: 64]."),
]
VALUES = Annotated[
    bool, typer.Option("--values", help="Read frequent values and bounds too: they are row data.")
]
HOST_MEMORY = Annotated[
    int | None,
    typer.Option("--host-memory-megabytes", help="What the host has: SQL cannot see it."),
]


def taken(target: str, tell: Progress, host_memory: int | None, **flags: Any) -> Snapshot:
    """The snapshot in the file `target`, or one taken now of the database `target`.

    `flags` are options of the collector; None means not given. A file is as it was taken: flags of
    the collector do not matter to it.
    """
    path = as_file(target)
    if path is not None:
        snapshot = file.read(path)
    else:
        options = resolve(Options, section="snapshot", flags=flags)
        snapshot = collect.take(target, options, progress=tell)
    if host_memory is None:
        return snapshot
    return msgspec.structs.replace(snapshot, host_memory_bytes=host_memory * 1024**2)
