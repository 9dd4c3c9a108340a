"""The same work on each contender in one run, one after the other.

Owns the order, the conditions and the comparison with ours. Must never let one contender's failure
end the others' run: it is named with what it said.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah.bench import leaving, meter, phases, roster
from howdah.bench.arena import Arena, opened, place_for
from howdah.bench.contender import Contender
from howdah.bench.model import Absent, Contended, Figures, Plan, Report
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import CouldNot, HowdahError, from_database

Progress = Callable[[str], None]
_ALWAYS_THERE = ("postgres", "template1")


def intended(dsn: str, plan: Plan) -> list[str]:
    """What `run` would do, without doing it."""
    present, absent = _sorted(plan)
    with opened(dsn) as arena:
        lines = arena.describe(present, plan.bench)
    return [*lines, *(f"not installed: {each.name}: {each.why}" for each in absent)]


def run(dsn: str, plan: Plan, progress: Progress, *, clock: Clock = SYSTEM_CLOCK) -> Report:
    """Measure everyone who can take part. An empty DSN means a server of our own."""
    present, absent = _sorted(plan)
    done: list[Contended] = []
    failed: list[Absent] = []
    with opened(dsn) as arena:
        server = meter.server_facts(arena.dsn, embedded=arena.embedded)
        for contender in present:
            try:
                done.append(_contended(arena, contender, plan, progress, clock))
            except HowdahError as error:
                failed.append(Absent(name=contender.name, why=str(error)))
    contenders = compared(done)
    return Report(
        bench=plan.bench,
        server=server,
        plan=plan,
        contenders=contenders,
        not_installed=absent,
        failed=tuple(failed),
        advice=leaving.advise(plan.bench, contenders, plan.wanted_per_second),
    )


def _sorted(plan: Plan) -> tuple[tuple[Contender, ...], tuple[Absent, ...]]:
    """Who can take part, and who cannot."""
    present, absent = [], []
    for contender in roster.chosen(plan.bench, plan.against):
        why = contender.absent(_scripts(plan))
        if why is None:
            present.append(contender)
        else:
            absent.append(why)
    return tuple(present), tuple(absent)


def _scripts(plan: Plan) -> dict[str, str]:
    given = {"pgque": plan.pgque_sql, "pgmq": plan.pgmq_sql}
    return {name: path for name, path in given.items() if path}


def _contended(
    arena: Arena, contender: Contender, plan: Plan, progress: Progress, clock: Clock
) -> Contended:
    progress(f"{contender.name}: undisturbed")
    undisturbed = _measured(arena, contender, plan, clock, held=False)
    held = None
    if plan.held_xmin:
        progress(f"{contender.name}: with the horizon held")
        held = _measured(arena, contender, plan, clock, held=True)
    return Contended(
        name=contender.name,
        per_second=undisturbed.per_second,
        latency_ms=undisturbed.latency_ms,
        wal_bytes_per_item=undisturbed.wal_bytes_per_item,
        dead_tuples=undisturbed.dead_tuples,
        ratio_to_howdah=None,
        what=contender.what,
        version=contender.version(),
        settings=contender.settings,
        undisturbed=undisturbed,
        held=held,
        kept=_ratio(held.per_second if held else None, undisturbed.per_second),
    )


def _measured(
    arena: Arena, contender: Contender, plan: Plan, clock: Clock, *, held: bool
) -> Figures:
    try:
        with place_for(arena, contender, plan, _scripts(plan)) as place:
            if not held:
                return phases.run(contender, place, plan, clock)
            with closing(_Released(meter.Holders(place.dsn, _another(arena, place.dsn)))):
                return phases.run(contender, place, plan, clock)
    except HowdahError:
        raise
    except psycopg.Error as error:
        raise from_database(error) from error
    except Exception as error:
        # A contender is somebody else's code and may raise anything; the others must go on.
        raise CouldNot(f"{contender.name} failed", detail=f"{type(error).__name__}: {error}") from (
            error
        )


class _Released:
    """Holders that let go when closed."""

    def __init__(self, holders: meter.Holders) -> None:
        self.close = holders.release


def _another(arena: Arena, dsn: str) -> str:
    """Another database of the same server."""
    here = conninfo_to_dict(dsn).get("dbname")
    name = next(each for each in _ALWAYS_THERE if each != here)
    return make_conninfo(arena.dsn, dbname=name)


def compared(done: list[Contended]) -> tuple[Contended, ...]:
    """Fastest first, each with its ratio to ours."""
    ours = next((each.per_second for each in done if roster.is_ours(each.name)), None)
    rated = [
        msgspec.structs.replace(each, ratio_to_howdah=_ratio(each.per_second, ours))
        for each in done
    ]
    return tuple(sorted(rated, key=lambda each: -(each.per_second or 0.0)))


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None
