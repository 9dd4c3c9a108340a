"""`howdah queue`: run workers, see how a queue stands and where a job is, and change it.

Owns the verbs. Must never hold SQL or decide what a change does.
"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console

from howdah.cli import queue_worker
from howdah.cli.queue_options import (
    ALL,
    DRY,
    DSN,
    JOBS,
    JSON,
    KEY,
    KIND,
    LIMIT,
    QUEUE,
    SHOW,
    TENANT,
    YES,
    carry_out,
    dead_letters,
    print_json,
    require_yes,
)
from howdah.cli.target import a_name
from howdah.clock import SYSTEM_CLOCK
from howdah.config import suggestion
from howdah.driver import run
from howdah.errors import BadInput, TimedOut
from howdah.postgres import connect
from howdah.queue import commands, finding, operate
from howdah.queue.operate import Filter
from howdah.queue.standing import LISTED, State
from howdah.report import queue as rendering

app = typer.Typer(
    help="Jobs: run workers, see how a queue stands, find a job, retry, cancel, pause.",
    epilog="Example: howdah queue status default postgresql://localhost/shop",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command(name="worker", epilog=queue_worker.EXAMPLE)(queue_worker.worker)

_WAIT_SECONDS = 0.2


@app.command(epilog="Example: howdah queue create default postgresql://localhost/shop --dry-run")
def create(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Make a queue unless it is there; needs `howdah install` first."""
    changes = commands.create(queue)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json, known=False)


@app.command(epilog="Example: howdah queue drop default postgresql://localhost/shop --dry-run")
def drop(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    yes: YES = False,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Remove a queue with every job in it."""
    require_yes(yes, dry_run, f"every job of queue {queue} would be gone")
    changes = commands.drop(queue)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


# Looking


@app.command(epilog="Example: howdah queue status default postgresql://localhost/shop --json")
def status(
    queue: Annotated[
        str, typer.Argument(callback=a_name, metavar="[QUEUE]", help="Its name; - for every one.")
    ] = "-",
    dsn: DSN = "",
    *,
    as_json: JSON = False,
) -> None:
    """How queues stand: dispatcher, backlog, rates, workers, and what is set aside.

    Read from counters, estimates and index probes; no table of jobs is scanned.
    """
    with closing(connect(dsn)) as connection:
        names = run(connection, operate.queues()) if queue == "-" else [queue]
        found = [run(connection, operate.status(name)) for name in names]
    if as_json:
        print_json({"schema_version": 1, "queues": found})
        return
    console = Console(file=sys.stdout, highlight=False)
    for each in found:
        rendering.status(each, console)
    if not found:
        console.print("no queue. Try: howdah queue create default")


@app.command(epilog="Example: howdah queue jobs default --state later --kind send_mail")
def jobs(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(help="running, later, parked or dead; repeat for more.  [default: all]"),
    ] = None,
    kind: KIND = None,
    key: KEY = None,
    tenant: TENANT = None,
    limit: LIMIT = 50,
    as_json: JSON = False,
) -> None:
    """Jobs that are not plain: running, put off, parked, dead; and keys that are held.

    What only waits stands in the log and is not listed; `status` estimates how much it is.
    """
    states = _states(state)
    wanted = Filter(kind=kind, key=key, tenant=tenant, limit=limit)
    with closing(connect(dsn)) as connection:
        found = run(connection, operate.jobs(queue, states, wanted))
    if as_json:
        print_json(found)
    else:
        rendering.jobs(found, Console(file=sys.stdout, highlight=False))


@app.command(epilog="Example: howdah queue dead default --kind send_mail")
def dead(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    kind: KIND = None,
    key: KEY = None,
    tenant: TENANT = None,
    limit: LIMIT = 50,
    as_json: JSON = False,
) -> None:
    """Dead letters, the newest first, with the reason."""
    jobs(
        queue,
        dsn,
        state=["dead"],
        kind=kind,
        key=key,
        tenant=tenant,
        limit=limit,
        as_json=as_json,
    )


@app.command(epilog="Example: howdah queue show default 17")
def show(
    queue: QUEUE,
    job: Annotated[int, typer.Argument(metavar="JOB", help="Its number.", show_default=False)],
    dsn: DSN = "",
    *,
    payload: Annotated[bool, typer.Option("--payload", help="In full.")] = False,
    as_json: JSON = False,
) -> None:
    """Where one job is and everything known of it: attempts, headers, payload, result.

    A job that only waits is found by bisecting the log, whose rows stand nearly in order.
    """
    with closing(connect(dsn)) as connection:
        found = run(connection, finding.show(queue, job, whole=payload))
    if as_json:
        print_json(found)
    else:
        rendering.show(found, Console(file=sys.stdout, highlight=False))


@app.command(epilog="Example: howdah queue schedules default")
def schedules(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    end: Annotated[
        list[str] | None, typer.Option(help="End this schedule; repeat for more.")
    ] = None,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """The schedules of a queue, and when each fires next. A worker that has one makes it again."""
    if end:
        changes = commands.unschedule(queue, end)
        carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)
        return
    with closing(connect(dsn)) as connection:
        found = run(connection, operate.timetable(queue))
    if as_json:
        print_json(found)
    else:
        rendering.timetable(found, Console(file=sys.stdout, highlight=False))


def _states(given: list[str] | None) -> list[State]:
    chosen: list[State] = []
    for name in given or LISTED:
        known = [state for state in LISTED if state == name]
        if not known:
            raise BadInput(f"there is no state {name!r} to list", hint=suggestion(name, LISTED))
        chosen += known
    return chosen


# Changing


@app.command(epilog="Example: howdah queue retry default --kind send_mail --limit 100")
def retry(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    job: JOBS = None,
    all_: ALL = False,
    kind: KIND = None,
    key: KEY = None,
    tenant: TENANT = None,
    limit: LIMIT = 1_000,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Run dead letters again, with fresh attempts; the key that one held goes on after it."""
    wanted = Filter(kind=kind, key=key, tenant=tenant, limit=limit)
    changes = commands.retry(queue, dead_letters(dsn, queue, job, all_, wanted))
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue discard default --job 17 --dry-run")
def discard(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    job: JOBS = None,
    all_: ALL = False,
    kind: KIND = None,
    key: KEY = None,
    tenant: TENANT = None,
    limit: LIMIT = 1_000,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Give dead letters up; under `block` their keys go on, under `park` they wait for release."""
    wanted = Filter(kind=kind, key=key, tenant=tenant, limit=limit)
    changes = commands.discard(queue, dead_letters(dsn, queue, job, all_, wanted))
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue cancel default --job 17")
def cancel(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    job: JOBS = None,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """End jobs wherever they are; a running handler and its statement are told to stop."""
    if not job:
        raise BadInput("which job?", hint=f"howdah queue cancel {queue} --job 17")
    changes = commands.cancel(queue, job)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue pause default --kind send_mail")
def pause(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    kind: KIND = None,
    tenant: TENANT = None,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Start no more jobs, or none of a kind or tenant; what runs goes on."""
    changes = commands.pause(queue, kind, tenant)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue resume default --kind send_mail")
def resume(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    kind: KIND = None,
    tenant: TENANT = None,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Undo the pause with the same kind and tenant."""
    changes = commands.resume(queue, kind, tenant)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue purge default --kind send_mail --dry-run")
def purge(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    kind: KIND = None,
    tenant: TENANT = None,
    yes: YES = False,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Drop the jobs that wait now, also those put off and parked; what runs goes on."""
    require_yes(yes, dry_run, f"jobs of queue {queue} that wait would be gone")
    changes = commands.purge(queue, kind, tenant)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue release default --key customer-5")
def release(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    key: Annotated[list[str], typer.Option(help="This key; repeat for more.")],
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Let a held key go on, whatever holds it; `howdah queue jobs` lists the held ones."""
    changes = commands.release(queue, key)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)


@app.command(epilog="Example: howdah queue drain default --wait-seconds 60")
def drain(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    worker: Annotated[
        list[str] | None, typer.Option(help="Only this worker; repeat for more.")
    ] = None,
    wait_seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="Until nothing runs any more; 0: do not wait.")
    ] = 0.0,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Give workers nothing more and let what runs end: without --worker, all that are there now.

    They stay without work until they are started anew. To stop a queue and go on later, pause it.
    """
    with closing(connect(dsn)) as connection:
        known = [crew.name for crew in run(connection, operate.status(queue)).workers]
    for name in worker or ():
        if name not in known:
            raise BadInput(f"no worker is called {name!r}", hint=suggestion(name, known))
    changes = commands.drain(queue, worker or known)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)
    if wait_seconds and not dry_run:
        _wait_until_idle(dsn, queue, set(worker or known), wait_seconds)


def _wait_until_idle(dsn: str, queue: str, workers: set[str], seconds: float) -> None:
    until = SYSTEM_CLOCK.monotonic() + seconds
    with closing(connect(dsn)) as connection:
        while True:
            crews = run(connection, operate.status(queue)).workers
            busy = [crew.name for crew in crews if crew.name in workers and crew.jobs]
            if not busy:
                return
            if SYSTEM_CLOCK.monotonic() > until:
                raise TimedOut(
                    f"still at work after {seconds:g} s: {', '.join(busy)}",
                    hint=f"howdah queue jobs {queue} --state running",
                )
            SYSTEM_CLOCK.sleep(_WAIT_SECONDS)


@app.command(epilog="Example: howdah queue reanchor default --dry-run")
def reanchor(
    queue: QUEUE,
    dsn: DSN = "",
    *,
    yes: YES = False,
    dry_run: DRY = False,
    show_sql: SHOW = False,
    as_json: JSON = False,
) -> None:
    """Let a queue go on that was restored or copied here; what is not shown as finished runs."""
    require_yes(yes, dry_run, f"jobs of queue {queue} that its copy had running would run again")
    changes = commands.reanchor(queue)
    carry_out(dsn, queue, changes, dry_run=dry_run, show_sql=show_sql, as_json=as_json)
