"""`howdah watch`: the live view, and recording it."""

from __future__ import annotations

import itertools
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from howdah import __version__
from howdah.check.knowledge.queueing import queueings
from howdah.cli.target import DSN
from howdah.clock import SYSTEM_CLOCK
from howdah.report import live, watching
from howdah.snapshot import collect
from howdah.snapshot.model import Server, Snapshot
from howdah.snapshot.options import QUICK
from howdah.snapshot.picture import Picture
from howdah.snapshot.recording import Recording, Watched
from howdah.snapshot.sampler import Sampler, Tick

EXAMPLE = "Example: howdah watch postgresql://localhost/shop --seconds 2"
_SCREENS_PER_SECOND = 2.0
_WINDOW_SECONDS = 30.0  # what the shares on the screen cover
_LINES = 24  # of the one screen that is printed where there is no terminal


def watch(
    dsn: DSN = "",
    *,
    record: Annotated[
        Path | None,
        typer.Option(help="Also write the samples here; `howdah check --recording` reads them."),
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.1, max=20, help="Samples per second.")] = 10.0,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="End after so long [default: until Ctrl-C].")
    ] = None,
) -> None:
    """Live: waits by share of database time, blockers, horizon holder, queue depths.

    Without a terminal it prints the last screen once, at the end.
    """
    seen = collect.take(dsn, QUICK)
    server = seen.server
    console = Console(file=sys.stdout)
    with ExitStack() as stack:
        sampler = stack.enter_context(Sampler(dsn, queues=_queues(seen)))
        ticks: deque[Tick] = deque(maxlen=max(1, round(_WINDOW_SECONDS * per_second)))
        shown = [_shown(stack, console, server, record, ticks)] if console.is_terminal else []
        kept = [_kept(stack, record, server, per_second)] if record else []
        with suppress(KeyboardInterrupt):  # Ctrl-C is how a person ends a live view
            for tick in _ticks(sampler, per_second, seconds):
                ticks.append(tick)
                for consume in (*kept, *shown):
                    consume(tick)
    if not console.is_terminal and ticks:
        console.print(_screen(console, server, record, ticks), height=_LINES)


def _queues(snapshot: Snapshot) -> tuple[str, ...] | None:
    """Queues and outboxes that statements tell; None lets the sampler go by the counters."""
    if not (snapshot.statements.known and snapshot.columns.known):
        return None
    return tuple(each.table for each in queueings(Picture(snapshot))) or None


def _ticks(sampler: Sampler, per_second: float, seconds: float | None) -> Iterator[Tick]:
    """Ticks at a steady pace; at least one."""
    clock = SYSTEM_CLOCK
    started = clock.monotonic()
    for number in itertools.count(1):
        yield sampler.tick()
        elapsed = clock.monotonic() - started
        if seconds is not None and elapsed >= seconds:
            return
        clock.sleep(number / per_second - elapsed)


def _kept(
    stack: ExitStack, path: Path, server: Server, per_second: float
) -> Callable[[Tick], None]:
    """What writes a tick to the recording."""
    watched = Watched(
        howdah=__version__,
        database=server.database,
        version=server.version,
        started_at=SYSTEM_CLOCK.now().isoformat(),
        interval_seconds=1 / per_second,
    )
    return stack.enter_context(Recording(path, watched)).append


def _shown(
    stack: ExitStack,
    console: Console,
    server: Server,
    record: Path | None,
    ticks: deque[Tick],
) -> Callable[[Tick], None]:
    """What draws the screen, a few times a second whatever the pace of the ticks."""
    screen = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
    drawn = -math.inf

    def show(_tick: Tick) -> None:
        nonlocal drawn
        now = SYSTEM_CLOCK.monotonic()
        if now - drawn >= 1 / _SCREENS_PER_SECOND:
            drawn = now
            screen.update(_screen(console, server, record, ticks), refresh=True)

    return show


def _screen(
    console: Console, server: Server, record: Path | None, ticks: Sequence[Tick]
) -> RenderableType:
    seen = watching.view(
        ticks,
        server=f"PostgreSQL {server.version}",
        database=server.database,
        recording=str(record or ""),
    )
    height = console.height if console.is_terminal else _LINES
    return live.screen(seen, console.width, height)
