"""`howdah log`: make a log, see how it stands, keep it in shape, and put its consumers right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from howdah.cli.shown_sql import Shown
from howdah.cli.target import a_name
from howdah.driver import Steps, run
from howdah.errors import BadInput
from howdah.log import api, standing, store
from howdah.log.standing import Status
from howdah.postgres import connect, describe

VERSION = 1
"""Of the JSON of these commands."""

app = typer.Typer(
    help="Append-only logs on plain tables, which outbox and queue are made of.",
    epilog="Example: howdah log create events postgresql://localhost/shop",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Value = TypeVar("Value")

_NAME = Annotated[
    str, typer.Argument(callback=a_name, metavar="LOG", help="Its name.", show_default=False)
]
_CONSUMER = Annotated[str, typer.Argument(metavar="CONSUMER", show_default=False)]
_DSN = Annotated[
    str,
    typer.Argument(
        metavar="[DSN]",
        envvar="HOWDAH_DSN",
        help="Connection string or URI; without it HOWDAH_DSN, or the libpq environment.",
        show_default=False,
        show_envvar=False,
    ),
]
_JSON = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
_DRY = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")]
_SHOW = Annotated[bool, typer.Option("--show-sql", help="Print the SQL as well.")]


@app.command(epilog="Example: howdah log create events postgresql://localhost/shop --dry-run")
def create(
    name: _NAME,
    dsn: _DSN = "",
    *,
    segments: Annotated[int, typer.Option(min=3, max=64, help="Tables in its ring.")] = 8,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Make a log unless it is there; needs `howdah install` first."""
    steps = store.create(name, segments)
    _change(dsn, steps, dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    if as_json:
        _print({"log": name, "segments": segments, "dry_run": dry_run})
    else:
        _say(dsn, f"log {name} is there", dry_run)


@app.command(name="list", epilog="Example: howdah log list postgresql://localhost/shop")
def list_(dsn: _DSN = "", *, as_json: _JSON = False) -> None:
    """The logs of a database, those of outboxes and queues too."""
    with closing(connect(dsn)) as connection:
        names = run(connection, standing.every())
    if as_json:
        _print({"logs": names})
    else:
        typer.echo("\n".join(names) if names else _none(dsn))


@app.command(epilog="Example: howdah log status events postgresql://localhost/shop --json")
def status(
    name: Annotated[
        str, typer.Argument(callback=a_name, metavar="[LOG]", help="Its name; - for every one.")
    ] = "-",
    dsn: _DSN = "",
    *,
    as_json: _JSON = False,
) -> None:
    """Segments, who pins them, and the lag of consumers; counters and index probes, no scans."""
    found = _standing(name, dsn)
    if as_json:
        _print({"logs": [_with_alarms(each) for each in found]})
        return
    if not found:
        typer.echo(_none(dsn))
    for each in found:
        typer.echo("\n".join(_status_lines(each)))


@app.command(epilog="Example: howdah log consumers events postgresql://localhost/shop")
def consumers(name: _NAME, dsn: _DSN = "", *, as_json: _JSON = False) -> None:
    """Who reads a log, how far each has come, and what it makes the log keep."""
    (found,) = _standing(name, dsn)
    if as_json:
        _print({"log": name, "consumers": found.consumers})
    elif not found.consumers:
        typer.echo(f"log {name}: nobody reads it, so nothing is given back")
    else:
        typer.echo("\n".join(_consumer_lines(found)))


@app.command(epilog="Example: howdah log maintain events postgresql://localhost/shop")
def maintain(
    name: _NAME,
    dsn: _DSN = "",
    *,
    segment_bytes: Annotated[
        int, typer.Option(min=1, help="A segment of that size is full.")
    ] = api.SEGMENT_BYTES,
    segment_seconds: Annotated[
        int, typer.Option(min=1, help="A segment of that age is full.")
    ] = api.SEGMENT_SECONDS,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Turn the ring, give back what is consumed, see to slow consumers; relays and workers do it.

    Once: run it every second where nothing else does.
    """
    steps = store.maintain(name, segment_bytes, segment_seconds)
    done = _change(dsn, steps, dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    if as_json:
        _print({"log": name, "done": done, "dry_run": dry_run})
        return
    for each in done:
        where = "" if each.segment is None else f" segment {each.segment}"
        _say(dsn, f"{each.action}{where}: {each.detail}", dry_run)
    if not done:
        _say(dsn, f"log {name}: nothing to do", dry_run)


@app.command(epilog="Example: howdah log reanchor events audit earliest --dry-run")
def reanchor(
    name: _NAME,
    consumer: _CONSUMER,
    start_at: Annotated[
        str, typer.Argument(metavar="earliest|now|keep", show_default=False, help="Where to.")
    ],
    dsn: _DSN = "",
    *,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Set a consumer's position anew: read again what the log holds, skip it, or keep it.

    After a restore elsewhere: earliest repeats, now skips. After pg_upgrade: keep.
    """
    steps = store.reanchor(name, consumer, start_at)
    generation = _change(dsn, steps, dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    if as_json:
        content = {"log": name, "consumer": consumer, "start_at": start_at}
        _print({**content, "generation": generation, "dry_run": dry_run})
    else:
        _say(dsn, f"consumer {consumer} of log {name} goes on at {start_at}", dry_run)


@app.command(epilog="Example: howdah log drop events postgresql://localhost/shop --dry-run")
def drop(
    name: _NAME,
    dsn: _DSN = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Even with consumers or rows.")] = False,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Remove a log with everything in it."""
    (found,) = _standing(name, dsn)
    if (found.consumers or found.bytes) and not (yes or dry_run):
        readers = ", ".join(each.consumer for each in found.consumers) or "nobody"
        raise BadInput(
            f"log {name} holds {_bytes(found.bytes)} and is read by {readers}",
            hint="the same with --yes, if all of it may go",
        )
    _change(dsn, store.drop(name), dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    if as_json:
        _print({"log": name, "dropped": not dry_run, "dry_run": dry_run})
    else:
        _say(dsn, f"log {name} removed", dry_run)


def _standing(name: str, dsn: str) -> list[Status]:
    with closing(connect(dsn)) as connection:
        names = run(connection, standing.every()) if name == "-" else [name]
        return [run(connection, standing.of(each)) for each in names]


def _change(
    dsn: str, steps: Steps[Value], *, dry_run: bool, show_sql: bool, as_json: bool
) -> Value:
    """Run steps in one transaction, rolled back in a dry run."""
    with closing(connect(dsn)) as connection:
        shown = Shown(connection)
        with connection.transaction(force_rollback=dry_run):
            value = run(shown, steps)
    if dry_run or show_sql:
        typer.echo("\n".join(shown.statements), err=as_json)
    return value


def _status_lines(found: Status) -> Iterator[str]:
    ring = [each for each in found.segments if each.archive is None]
    free = sum(each.bytes == 0 for each in ring)
    archives = len(found.segments) - len(ring)
    yield f"{found.log}  {_bytes(found.bytes)}  {free} of {len(ring)} segments free" + (
        f", {archives} set aside" if archives else ""
    )
    for each in found.segments:
        if each.bytes or each.is_current:
            mark = "current" if each.is_current else "archive" if each.archive is not None else ""
            pins = f"pinned by {', '.join(each.pinned_by)}" if each.pinned_by else "not pinned"
            yield f"    {each.source:<24} {_bytes(each.bytes):>10}  {mark:<8} {pins}".rstrip()
    yield from _consumer_lines(found)
    for alarm in found.alarms:
        yield f"    ! {alarm}"


def _consumer_lines(found: Status) -> Iterator[str]:
    for each in found.consumers:
        lag = "nothing unread" if each.lag_seconds is None else f"{each.lag_seconds:.1f} s behind"
        state = f"{each.problem}; " if each.problem else ""
        yield (
            f"    {each.consumer:<24} {_bytes(each.lag_bytes):>10}  {state}{lag}; generation"
            f" {each.generation} of epoch {each.epoch}; when slow: {each.when_slow}"
        )


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def _with_alarms(found: Status) -> dict[str, Any]:
    return {**msgspec.to_builtins(found), "alarms": list(found.alarms)}


def _none(dsn: str) -> str:
    return f"{describe(dsn)}: no log. Try: howdah log create events"


def _say(dsn: str, text: str, dry_run: bool) -> None:
    typer.echo(f"{describe(dsn)}: {'would be: ' if dry_run else ''}{text}", err=dry_run)


def _print(content: Mapping[str, Any]) -> None:
    encoded = msgspec.json.encode({"version": VERSION, **content})
    typer.echo(msgspec.json.format(encoded, indent=2).decode())
