"""The answer of `howdah simulate calibrate`: measured points, the fitted curve, where it tips.

Owns putting the parts of the calibration together. Must never measure a server that is not ours.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from howdah import postgres
from howdah.cli.simulate_answers import Answer, Tell
from howdah.errors import BadFile, BadInput
from howdah.report.simulated import calibrated
from howdah.simulate import files
from howdah.simulate.calibrate import Fitted, Point, fit, from_recording, ladder
from howdah.simulate.calibrate.foresee import Foresight, Law, Usage, foresee, model_of
from howdah.simulate.model import Distribution
from howdah.snapshot import recording as recordings

_DATABASE = "ladder"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Points, and where they are from."""

    points: tuple[Point, ...]
    source: str
    rungs: tuple[ladder.Rung, ...] = ()  # of a ladder


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """The answer as data."""

    source: str
    points: tuple[Point, ...]
    fitted: Fitted
    foresight: Foresight | None


def usage(
    rate: float | None, connections: int, timeout: float, retries: int, burst: float
) -> Usage | None:
    """How the database is used, or None where no rate was given."""
    if rate is None:
        return None
    if not rate or not timeout:
        raise BadInput("a rate and a timeout are more than 0", hint="--rate 2000 --timeout 1")
    return Usage(rate=rate, connections=connections, timeout=timeout, retries=retries, burst=burst)


def measured(
    recording: Path | None,
    script: Path | None,
    setup: Path | None,
    ladder_of: tuple[int, int],
    tell: Tell,
) -> Measured:
    """Points from a recording, or from a ladder (seconds a step, clients) on a server of ours."""
    if recording is not None:
        if script is not None or setup is not None:
            raise BadInput("a recording and a script are two sources", hint="give one of them")
        recorded = recordings.read(recording)
        return Measured(points=from_recording(recorded), source=f"the recording {recording}")
    seconds, most = ladder_of
    with postgres.Server.start(settings={"max_connections": f"{most + 20}"}) as server:
        tell("making the tables", 0.0)
        server.create_database(_DATABASE)
        if setup is not None:
            _run(server, setup)
        else:
            ladder.prepare(server, _DATABASE)
        rungs = ladder.climb(
            server,
            _DATABASE,
            script,
            steps=ladder.steps(most),
            seconds=seconds,
            tell=lambda what: tell(what, 0.0),
        )
    what = str(script) if script is not None else "pgbench's select"
    return Measured(
        points=tuple(each.point for each in rungs),
        source=f"{what} on a PostgreSQL {server.major} of our own",
        rungs=rungs,
    )


def answer(
    found: Measured, usage: Usage | None, cores: float | None, export: Path | None, tell: Tell
) -> Answer:
    """Fit, and ask where it tips when a rate was given."""
    tell("fitting", 0.0)
    fitted = fit(found.points, cores=cores)
    law: Law | None = None
    if found.rungs:

        def law(mean: float) -> Distribution:
            return ladder.variation(found.rungs, mean)

    if export is not None:
        if usage is None:
            raise BadInput("a model needs to know how the database is used", hint="--rate 2000")
        files.dump(model_of(fitted.best, usage, law), export)
    foresight = foresee(fitted, usage, law=law, tell=tell) if usage is not None else None
    result = Calibrated(
        source=found.source, points=found.points, fitted=fitted, foresight=foresight
    )
    page = calibrated.page(found.source, found.points, fitted, foresight)
    return Answer(verb="calibrate", model="measured", result=result, page=page)


def _run(server: postgres.Server, setup: Path) -> None:
    try:
        statements = setup.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"cannot read {setup}", detail=error.strerror or str(error)) from error
    with closing(server.connect(_DATABASE)) as connection:
        connection.execute(statements.encode())
