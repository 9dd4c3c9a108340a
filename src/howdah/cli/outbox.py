"""`howdah outbox`: make an outbox, relay it, see how it stands, and see to what was set aside."""

from __future__ import annotations

import base64
import contextlib
import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from howdah.cli.shown_sql import Shown
from howdah.cli.target import a_name
from howdah.config import resolve, suggestion
from howdah.driver import Steps, run
from howdah.errors import BadInput
from howdah.outbox import status as standing
from howdah.outbox import store
from howdah.outbox.model import OutboxConfig, Parked, RelayOptions, Status
from howdah.outbox.publishing import Validate
from howdah.outbox.relay import Relay
from howdah.outbox.sinks.registry import sink_from_url
from howdah.outbox.sinks.sink import Sink
from howdah.outbox.store import Chosen
from howdah.outbox.telling import JsonLines
from howdah.postgres import connect, describe

VERSION = 1
"""Of the JSON of these commands."""

app = typer.Typer(
    help="Events emitted in your transactions, published to a broker.",
    epilog="Example: howdah outbox create orders postgresql://localhost/shop",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Value = TypeVar("Value")
Kind = TypeVar("Kind", bound=msgspec.Struct)

_NAME = Annotated[
    str, typer.Argument(callback=a_name, metavar="OUTBOX", help="Its name.", show_default=False)
]
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
_KEY = Annotated[str | None, typer.Option("--key", help="All messages of this key.")]
_ID = Annotated[list[int] | None, typer.Option("--id", help="This message; repeat for more.")]
_ALL = Annotated[bool, typer.Option("--all", help="Every parked message of the outbox.")]


@app.command(epilog="Example: howdah outbox create orders postgresql://localhost/shop --dry-run")
def create(
    name: _NAME,
    dsn: _DSN = "",
    *,
    layout: Annotated[
        str | None, typer.Option(help="ring or partitioned.  [default: ring]")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Of a failing key: block, park or skip.  [default: block]"),
    ] = None,
    dedup: Annotated[
        str | None,
        typer.Option(help="none, producer, message-id or transaction.  [default: none]"),
    ] = None,
    dedup_seconds: Annotated[float | None, typer.Option(help="For so long at least.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Of one event.  [default: 900000]")] = None,
    content_type: Annotated[
        str | None,
        typer.Option(help="Of events whose headers say none.  [default: application/json]"),
    ] = None,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Make an outbox, or change what one asks for; needs `howdah install` first."""
    flags = {
        "layout": layout,
        "policy": policy,
        "dedup": dedup,
        "dedup_seconds": dedup_seconds,
        "max_bytes": max_bytes,
        "content_type": content_type,
    }
    config = _built(
        OutboxConfig, {name: value for name, value in flags.items() if value is not None}
    )
    new = _change(
        dsn, store.create(name, config), dry_run=dry_run, show_sql=show_sql, as_json=as_json
    )
    if as_json:
        _print({"outbox": name, "new": new, "dry_run": dry_run, "config": config})
    else:
        done = "made" if new else "changed to what is asked for"
        _say(dsn, f"outbox {name} {done}", dry_run)


@app.command(epilog="Example: howdah outbox relay orders --sink nats://localhost:4222/EVENTS")
def relay(
    name: _NAME,
    dsn: _DSN = "",
    *,
    sink: Annotated[
        str,
        typer.Option(
            envvar="HOWDAH_OUTBOX_SINK",
            help="Where to: kafka://, nats://, redis://, amqp://, https://, postgresql://, python:",
            show_default=False,
        ),
    ] = "",
    sink_option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A setting of the sink, lists as JSON."),
    ] = None,
    shards: Annotated[int | None, typer.Option(help="Lanes side by side.  [default: 1]")] = None,
    standby: Annotated[
        bool | None,
        typer.Option("--standby", help="Wait while another relay lives; take over when it ends."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Any other option of a relay, see --options."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML with a table [outbox].  [default: howdah.toml]")
    ] = None,
    validate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC=MODULE:FUNCTION",
            help="Raises for a message that must not be published; topic * means every one.",
        ),
    ] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when nothing is left.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Prometheus, on loopback.")
    ] = None,
    metrics_address: Annotated[str, typer.Option(help="Where metrics listen.")] = "127.0.0.1",
    json_log: Annotated[bool, typer.Option("--json-log", help="Log lines as JSON.")] = False,
    options: Annotated[
        bool, typer.Option("--options", help="Print every option as it would hold, and end.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Publish until SIGTERM or SIGINT, which it obeys after what is in hand is confirmed.

    Options come from flags, HOWDAH_OUTBOX_<NAME>, the file, and the defaults, in this order.
    """
    flags = {"shards": shards, "standby": standby, **_pairs(option)}
    resolved = resolve(RelayOptions, section="outbox", flags=flags, file=config)
    if options:
        _print({"options": resolved})
        return
    if not sink:
        raise BadInput("no sink is given", hint="--sink nats://localhost:4222/EVENTS")
    _log_to_stderr(as_json=json_log)
    given = {key: _listed(value) for key, value in _pairs(sink_option).items()}
    runner = Relay(
        name,
        _maker(sink, given),
        dsn=dsn,
        options=resolved,
        validate=dict(_validators(validate)),
    )
    with _metrics(runner, metrics_port, metrics_address):
        ended = runner.run_sync(until_idle=until_idle)
    if as_json:
        _print({"outbox": name, "ended": ended.value, "figures": runner.figures.as_dict()})


@app.command(epilog="Example: howdah outbox status orders postgresql://localhost/shop --json")
def status(
    name: Annotated[
        str, typer.Argument(callback=a_name, metavar="[OUTBOX]", help="Its name; - for every one.")
    ] = "-",
    dsn: _DSN = "",
    *,
    as_json: _JSON = False,
) -> None:
    """How outboxes stand: position, relay, what is set aside. Counts no backlog."""
    with closing(connect(dsn)) as connection:
        names = run(connection, store.every()) if name == "-" else [name]
        found = [run(connection, standing.of(each)) for each in names]
    if as_json:
        _print({"outboxes": found})
        return
    if not found:
        typer.echo(f"{describe(dsn)}: no outbox. Try: howdah outbox create orders")
    for each in found:
        typer.echo("\n".join(_status_lines(each)))


@app.command(epilog="Example: howdah outbox parked orders postgresql://localhost/shop")
def parked(
    name: _NAME,
    dsn: _DSN = "",
    *,
    key: _KEY = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
    payload: Annotated[bool, typer.Option("--payload", help="Show payloads too.")] = False,
    as_json: _JSON = False,
) -> None:
    """Messages that were set aside, the oldest first, with the reason."""
    with closing(connect(dsn)) as connection:
        run(connection, store.found(name))
        rows = run(connection, store.listed(name, key, most))
    if as_json:
        _print({"outbox": name, "parked": [_parked_json(row, payload) for row in rows]})
        return
    if not rows:
        typer.echo(f"outbox {name}: nothing is set aside")
    for row in rows:
        key_text = "no key" if row.key is None else f"key {row.key}"
        typer.echo(f"{row.id}  {row.state}  {row.topic}  {key_text}  {row.policy}")
        typer.echo(f"    {row.code}: {row.error} ({row.attempts} attempts)")
        if payload:
            typer.echo(f"    {row.payload!r}")


@app.command(epilog="Example: howdah outbox replay orders --all")
def replay(
    name: _NAME,
    dsn: _DSN = "",
    *,
    key: _KEY = None,
    id_: _ID = None,
    all_: _ALL = False,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Ask the relay to send parked messages again, those of a key in their order."""
    steps = store.ask_replay(name, _chosen(key, id_, all_))
    ids = _change(dsn, _of(name, steps), dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    _report(dsn, name, "replay", ids, dry_run=dry_run, as_json=as_json)


@app.command(epilog="Example: howdah outbox discard orders --all --dry-run")
def discard(
    name: _NAME,
    dsn: _DSN = "",
    *,
    key: _KEY = None,
    id_: _ID = None,
    all_: _ALL = False,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    as_json: _JSON = False,
) -> None:
    """Throw parked messages away. What stood behind the first of a blocked key goes on."""
    steps = store.discard(name, _chosen(key, id_, all_))
    ids = _change(dsn, _of(name, steps), dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    _report(dsn, name, "discard", ids, dry_run=dry_run, as_json=as_json)


@app.command(epilog="Example: howdah outbox deploy eks-msk --help")
def deploy(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="eks-msk.")],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of it; lists with commas."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Write the documents here; without it they are printed.")
    ] = None,
) -> None:
    """Documents that put a relay into operation, with the rights that it needs and no others."""
    if target != "eks-msk":
        raise BadInput(f"nothing is known of {target!r}", hint="eks-msk")
    from howdah.outbox.deploy import eks_msk

    values: dict[str, Any] = dict(_pairs(set_))
    for field in ("brokers", "topics"):
        if field in values:
            values[field] = values[field].split(",")
    given = _built(eks_msk.EksMskOptions, values)
    for file, text in eks_msk.render(given).items():
        if folder is None:
            typer.echo(f"--- {file}\n{text}")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
            typer.echo(f"wrote {folder / file}")


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


def _of(name: str, steps: Steps[Value]) -> Steps[Value]:
    """The steps, once it is clear that there is such an outbox."""
    yield from store.found(name)
    return (yield from steps)


def _chosen(key: str | None, ids: Sequence[int] | None, every: bool) -> Chosen:
    if sum((key is not None, bool(ids), every)) != 1:
        raise BadInput("say which messages", hint="--key, --id or --all, one of them")
    return Chosen(ids=tuple(ids or ()), key=key, all_of_them=every)


def _report(
    dsn: str, name: str, what: str, ids: Sequence[int], *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        _print({"outbox": name, what: ids, "dry_run": dry_run})
        return
    said = {"replay": "will be sent again", "discard": "thrown away"}[what]
    _say(dsn, f"outbox {name}: {len(ids)} messages {said}", dry_run)


def _say(dsn: str, text: str, dry_run: bool) -> None:
    typer.echo(f"{describe(dsn)}: {'would be: ' if dry_run else ''}{text}", err=dry_run)


def _print(content: Mapping[str, Any]) -> None:
    encoded = msgspec.json.encode({"version": VERSION, **content})
    typer.echo(msgspec.json.format(encoded, indent=2).decode())


def _built(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    for name in values:
        if name not in names:
            raise BadInput(f"unknown option {name!r}", hint=suggestion(name, names))
    try:
        return msgspec.convert(dict(values), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput("an option is out of bounds", detail=str(error)) from error


def _pairs(words: Sequence[str] | None) -> dict[str, str]:
    pairs = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"{word!r} is not NAME=VALUE", hint=f"{word}=...")
        pairs[name] = value
    return pairs


def _listed(value: str) -> str | list[Any]:
    """A list if it is written as one in JSON, else the text."""
    if not value.startswith("["):
        return value
    try:
        return msgspec.json.decode(value, type=list[Any])
    except msgspec.DecodeError as error:
        raise BadInput(f"{value!r} is no JSON", detail=str(error)) from error


def _maker(url: str, options: Mapping[str, Any]) -> Callable[[int], Sink]:
    """What makes one shard's sink."""
    return lambda _shard: sink_from_url(url, options)


def _validators(words: Sequence[str] | None) -> Iterator[tuple[str, Validate]]:
    for topic, place in _pairs(words).items():
        module, colon, name = place.partition(":")
        if not colon:
            raise BadInput(f"{place!r} names no function", hint="TOPIC=package.module:function")
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise BadInput(f"could not import {place!r}", detail=str(error)) from error
        yield topic, function


@contextlib.contextmanager
def _metrics(runner: Relay, port: int | None, address: str) -> Iterator[None]:
    if port is None:
        yield
        return
    from howdah.outbox import metrics

    end = metrics.serve(runner.outbox, runner.figures, port, address=address)
    try:
        yield
    finally:
        end()


def _log_to_stderr(*, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logger = logging.getLogger("howdah")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _status_lines(found: Status) -> Iterator[str]:
    alive = {True: "a relay is alive", False: "no relay", None: "unknown"}[found.relay_alive]
    waiting = "nothing is waiting"
    if found.waiting:
        waiting = f"events are waiting, the oldest for {found.lag_seconds:.1f} s"
    yield f"{found.outbox}  {found.config.layout}  {alive}; {waiting}"
    yield (
        f"    epoch {found.epoch}, generation {found.generation}, last written "
        f"{found.position_age_seconds:.1f} s ago; {found.bytes:,} bytes"
    )
    if found.problem:
        yield f"    its position cannot be continued from: {found.problem}"
    if found.parked:
        yield (
            f"    {found.parked} messages of {found.parked_keys} keys are set aside. "
            f"Try: howdah outbox parked {found.outbox}"
        )


def _parked_json(row: Parked, payload: bool) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in row.__struct_fields__ if name != "payload"}
    told["payload_bytes"] = len(row.payload)
    if payload:
        told["payload_base64"] = base64.b64encode(row.payload).decode()
    return told
