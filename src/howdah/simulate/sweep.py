"""A model at every point of a grid: on all cores, on a Ray cluster, and resumable.

Owns the grid, where its points are run, and the file in which finished points are kept. Must never
let the place matter: a point's figures depend on the model, the settings and the seeds alone. Only
summaries and seeds come back, never traces; a run can be had again from its seed.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import random
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from howdah.errors import BadFile, BadInput, Unsupported
from howdah.simulate.model import Model
from howdah.simulate.search.knobs import turn
from howdah.simulate.search.trial import Budget, Judge, Verdict, verdict

Setting = float
Progress = Callable[[str, float], None]
FORMAT = 1
_ANSWER_SECONDS = 5.0


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One point of the grid and what became of the model there."""

    settings: Mapping[str, Setting]
    verdict: Verdict


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """A finished sweep; cells in the order of the grid, the last knob turning fastest."""

    model: str
    over: Mapping[str, tuple[Setting, ...]]
    budget: Budget
    cells: tuple[Cell, ...]
    taken_over: int = 0  # cells that were found in the file


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker gets: all that a point depends on."""

    number: int
    model: Model
    settings: Mapping[str, Setting]
    budget: Budget
    judge: Judge


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the file: which task, by all that it depends on, and its cell."""

    format: int
    task: str
    cell: Cell


def sweep(
    model: Model,
    over: Mapping[str, Sequence[Setting]],
    *,
    judge: Judge = Judge(),  # noqa: B008 - frozen
    budget: Budget = Budget(),  # noqa: B008 - frozen
    workers: int | None = None,
    ray: str | None = None,
    file: Path | None = None,
    tell: Progress = lambda _what, _share: None,
) -> Grid:
    """Judge the model at every combination of the given knob values.

    `workers` processes (all cores without it), or the Ray cluster at this address. With `file`,
    finished points are kept there at once, and those already there are not run again.
    Raises `BadInput` for an unknown knob, before anything runs.
    """
    tasks = _tasks(model, over, judge, budget)
    found = _read(file) if file is not None else {}
    cells = {task.number: found[key] for task in tasks if (key := fingerprint(task)) in found}
    taken_over = len(cells)
    left = [task for task in tasks if task.number not in cells]
    # Points of one corner cost many times those of another: mixed, no worker is last by far.
    random.Random(0).shuffle(left)
    with _kept(file) as keep, _place(ray, workers or os.cpu_count() or 1, len(left)) as run:
        for task, cell in run(left):
            cells[task.number] = cell
            keep(task, cell)
            tell(_named(task.settings), len(cells) / len(tasks))
    return Grid(
        model=model.name,
        over={name: tuple(values) for name, values in over.items()},
        budget=budget,
        cells=tuple(cells[number] for number in range(len(tasks))),
        taken_over=taken_over,
    )


def measure(task: Task) -> Cell:
    """Run one point, here."""
    model = task.model
    for knob, value in task.settings.items():
        model = turn(model, knob, value)
    return Cell(
        settings=task.settings, verdict=verdict(model, judge=task.judge, budget=task.budget)
    )


def fingerprint(task: Task) -> str:
    """What identifies a point: everything that its figures depend on, and nothing else."""
    same = msgspec.structs.replace(
        task, number=0, budget=msgspec.structs.replace(task.budget, threads=1)
    )
    return hashlib.blake2b(msgspec.json.encode(same, order="sorted"), digest_size=16).hexdigest()


def _tasks(
    model: Model, over: Mapping[str, Sequence[Setting]], judge: Judge, budget: Budget
) -> list[Task]:
    if not over or not all(over.values()):
        raise BadInput("a sweep needs at least one knob with values", hint="--over web.rate=.2,.4")
    for knob, values in over.items():
        for value in values:
            turn(model, knob, value)  # an unknown knob is refused here
    # One thread each: the workers are as many as the cores.
    alone = msgspec.structs.replace(budget, threads=1)
    points = itertools.product(*over.values())
    return [
        Task(
            number=number,
            model=model,
            settings=dict(zip(over, point, strict=True)),
            budget=alone,
            judge=judge,
        )
        for number, point in enumerate(points)
    ]


Run = Callable[[Sequence[Task]], Iterable[tuple[Task, Cell]]]


@contextmanager
def _place(ray: str | None, workers: int, points: int) -> Iterator[Run]:
    """Where points are run: a Ray cluster, this process, or several."""
    if ray is not None:
        with _on_ray(ray) as run:
            yield run
    elif min(workers, points) < 2:
        yield lambda tasks: ((task, measure(task)) for task in tasks)
    else:
        # Spawned, not forked: a fork copies the locks of threads that it does not copy.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, points), mp_context=context) as pool:
            yield lambda tasks: _as_done({pool.submit(_remote, _packed(t)): t for t in tasks})


def _as_done(futures: Mapping[Any, Task]) -> Iterator[tuple[Task, Cell]]:
    for future in as_completed(futures):
        yield futures[future], msgspec.msgpack.decode(future.result(), type=Cell)


def _packed(task: Task) -> bytes:
    return msgspec.msgpack.encode(task)


def _remote(packed: bytes) -> bytes:
    """One point in a worker: bytes in, bytes out, so that every place gets the same."""
    return msgspec.msgpack.encode(measure(msgspec.msgpack.decode(packed, type=Task)))


@contextmanager
def _on_ray(address: str) -> Iterator[Run]:
    """A Ray cluster; `local` starts one on this machine. Its nodes need Howdah installed."""
    try:
        import ray
    except ImportError as error:
        raise Unsupported("Ray is not installed", hint="pip install 'howdah[ray]'") from error
    try:
        if address == "local":
            ray.init(include_dashboard=False, log_to_driver=False)
        else:
            _require_answer(address)
            ray.init(address=address, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise Unsupported(
            f"no Ray cluster answers at {address}", detail=str(error), hint="--ray local"
        ) from error
    point = ray.remote(_remote)

    def run(tasks: Sequence[Task]) -> Iterator[tuple[Task, Cell]]:
        pending = {point.remote(_packed(task)): task for task in tasks}
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            yield pending.pop(done), msgspec.msgpack.decode(ray.get(done), type=Cell)

    try:
        yield run
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """`OSError` where nobody listens: Ray itself would try for eight minutes."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()


def _read(file: Path) -> dict[str, Cell]:
    """The finished points of a file; a last line that was cut is dropped, it will run again."""
    if not file.exists():
        return {}
    found = {}
    lines = file.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            kept = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError as error:
            raise BadFile(
                f"{file} is not a sweep's file: line {number} cannot be read",
                detail=str(error),
                hint="name a new file",
            ) from error
        if kept.format != FORMAT:
            raise BadFile(f"{file} has format {kept.format}, this Howdah reads {FORMAT}")
        found[kept.task] = kept.cell
    return found


@contextmanager
def _kept(file: Path | None) -> Iterator[Callable[[Task, Cell], None]]:
    """Appends each finished point, so that a sweep that is killed goes on where it was."""
    if file is None:
        yield lambda _task, _cell: None
        return
    try:
        _cut_to_whole_lines(file)
        handle = file.open("ab")
    except OSError as error:
        raise BadFile(f"cannot write {file}", detail=error.strerror or str(error)) from error
    with closing(handle):

        def keep(task: Task, cell: Cell) -> None:
            line = _Line(format=FORMAT, task=fingerprint(task), cell=cell)
            handle.write(msgspec.json.encode(line) + b"\n")
            handle.flush()
            os.fsync(handle.fileno())

        yield keep


def _cut_to_whole_lines(file: Path) -> None:
    if file.exists():
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(file, whole)


def _named(settings: Mapping[str, Setting]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
