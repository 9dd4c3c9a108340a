"""`howdah queue worker`: one process that runs the handlers of a program until it is told to stop.

Owns signals, log lines and the metrics' port. Must never decide anything about a job.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import msgspec
import typer

from howdah.cli.queue_options import DSN, print_json
from howdah.config import resolve
from howdah.errors import BadInput
from howdah.outbox.telling import JsonLines
from howdah.queue import Metrics, Queue, Worker, WorkerOptions
from howdah.queue.process_crew import load_app

EXAMPLE = "Example: howdah queue worker shop.jobs:queue postgresql://localhost/shop --threads 16"
STOPPED_AT_ONCE = 130


def worker(
    app: Annotated[
        str, typer.Argument(metavar="MODULE:QUEUE", help="Where the Queue is.", show_default=False)
    ],
    dsn: DSN = "",
    *,
    threads: Annotated[int | None, typer.Option(help="For plain handlers.  [default: 8]")] = None,
    async_slots: Annotated[
        int | None, typer.Option(help="For coroutine handlers.  [default: 100]")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="For handlers in processes.  [default: 2]")
    ] = None,
    dispatch: Annotated[
        bool | None,
        typer.Option("--dispatch/--no-dispatch", help="Stand for dispatcher.  [default: yes]"),
    ] = None,
    drain_seconds: Annotated[
        float | None, typer.Option(help="For running jobs at the end.  [default: 30]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML with a table [queue].  [default: howdah.toml]")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Prometheus, on loopback.")
    ] = None,
    metrics_address: Annotated[str, typer.Option(help="Where metrics listen.")] = "127.0.0.1",
    json_log: Annotated[bool, typer.Option("--json-log", help="Log lines as JSON.")] = False,
    options: Annotated[
        bool, typer.Option("--options", help="Print every option as it would hold, and end.")
    ] = False,
) -> None:
    """Run jobs until SIGTERM or SIGINT: then finish what runs, give back the rest, and end.

    A second signal ends it at once; what ran then is tried again when the lease is over. Options
    come from flags, HOWDAH_QUEUE_<NAME>, the file, and the defaults, in this order.
    """
    flags = {
        "threads": threads,
        "async_slots": async_slots,
        "processes": processes,
        "dispatch": dispatch,
        "drain_seconds": drain_seconds,
    }
    resolved = resolve(WorkerOptions, section="queue", flags=flags, file=config)
    if options:
        print_json({"options": msgspec.structs.asdict(resolved)})
        return
    log_to_stderr(as_json=json_log)
    queue = load_queue(app)
    with _metrics(queue.name, metrics_port, metrics_address) as metrics:
        process = queue.worker(dsn, options=resolved, app=app, metrics=metrics)
        stop_on_signals(process)
        process.run()


def load_queue(app: str) -> Queue:
    """The Queue behind `module:name`, importable from the current folder as well."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    found = load_app(app)
    if not isinstance(found, Queue):
        raise BadInput(
            f"{app} is a {type(found).__name__}, not a Queue",
            hint=f"{app.partition(':')[0]}:<the name of the Queue>",
        )
    return found


def stop_on_signals(process: Worker) -> None:
    """The first signal drains, the second ends the process where it stands."""
    seen: list[int] = []

    def told(number: int, _frame: FrameType | None) -> None:
        if seen:
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(STOPPED_AT_ONCE)
        seen.append(number)
        process.stop()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)


def log_to_stderr(*, as_json: bool) -> None:
    """Lines of ours on the error stream; a program that has set up logging keeps its own."""
    logger = logging.getLogger("howdah")
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLines() if as_json else plain)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


@contextlib.contextmanager
def _metrics(queue: str, port: int | None, address: str) -> Iterator[Metrics | None]:
    if port is None:
        yield None
        return
    metrics = Metrics(queue)
    serving = metrics.serve(port, address)
    logging.getLogger("howdah.queue").info("metrics on http://%s:%d/metrics", address, port)
    try:
        yield metrics
    finally:
        serving.close()
