"""The options that `howdah bench log`, `outbox` and `queue` share.

Owns their words, and the consent that a run on somebody's server needs. Must never run a bench.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from howdah.bench import roster
from howdah.bench.model import Bench, Plan
from howdah.config import resolve
from howdah.errors import BadInput
from howdah.postgres import describe

DSN = Annotated[
    str,
    typer.Argument(
        metavar="[DSN]",
        help="A server to measure on; without it one of our own is started, fsync on.",
        show_default=False,
    ),
]
AGAINST = Annotated[
    str,
    typer.Option(
        help="Contenders by name, separated by commas; all that are installed without it."
    ),
]
HELD = Annotated[
    bool,
    typer.Option(
        "--held-xmin",
        help="Each a second time, while one session keeps an old snapshot and another, in another "
        "database, stands idle in a writing transaction.",
    ),
]
SECONDS = Annotated[
    float | None, typer.Option(help="Length of each phase; a contender has four.  [default: 10]")
]
RATE = Annotated[
    float | None,
    typer.Option(help="Items a second while the latency is measured.  [default: 100]"),
]
PAYLOAD = Annotated[int | None, typer.Option(help="Bytes of an item.  [default: 100]")]
PROCESSES = Annotated[
    int | None,
    typer.Option(help="Processes that consume, where several can.  [default: 1]"),
]
WANTED = Annotated[
    float | None, typer.Option(help="The rate that you need: says whether to stay or to leave.")
]
PGQUE = Annotated[
    str | None, typer.Option(help="pgque's installation script; no package brings it.")
]
PGMQ = Annotated[
    str | None, typer.Option(help="pgmq's installation script, instead of its package's.")
]
PICTURE = Annotated[Path | None, typer.Option(help="Write the figures as an SVG picture too.")]
YES = Annotated[
    bool, typer.Option("--yes", help="Measure on the given server: minutes of full load.")
]
DRY = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and end.")]
SHOW = Annotated[
    bool, typer.Option("--show-sql", help="Print the tables of our own references, and end.")
]
JSON = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


def plan_of(bench: Bench, against: str, held: bool, **flags: float | str | None) -> Plan:
    """The plan from the flags, the environment (HOWDAH_BENCH_...) and howdah.toml.

    Raises `BadInput` for an unknown contender or a value out of bounds.
    """
    names = [each.strip() for each in against.split(",") if each.strip()]
    roster.chosen(bench, names)
    given = {"bench": bench.value, "against": names, "held_xmin": held or None, **flags}
    return resolve(Plan, section="bench", flags=given)


def statements(plan: Plan) -> str:
    """The SQL of ours that contenders run to install themselves."""
    parts = []
    for contender in roster.chosen(plan.bench, plan.against):
        own = [f"{each};" for each in contender.sql()]
        text = "\n".join(own) if own else "-- its own installer"
        parts.append(f"-- {contender.name}\n{text}")
    return "\n\n".join(parts)


def require_consent(dsn: str, yes: bool) -> None:
    """`BadInput` for somebody's server without --yes."""
    if dsn and not yes:
        raise BadInput(
            f"this bench puts {describe(dsn)} under full load for minutes",
            detail="It works in databases or schemas of its own, and removes them at the end.",
            hint="--dry-run to see what it does, --yes to do it",
        )
