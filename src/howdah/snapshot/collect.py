"""Taking a snapshot: the picture first, then what needs time to pass.

Owns the sequence and the assembly. Must never write anything, and must never hold the picture's
transaction open while it waits.
"""

from __future__ import annotations

from typing import Any

from howdah import __version__
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.postgres.connection import connect
from howdah.snapshot.afterwards import Afterwards
from howdah.snapshot.facts import Fact
from howdah.snapshot.gather import Gathered, Progress, gather
from howdah.snapshot.model import Snapshot, Window
from howdah.snapshot.options import Options
from howdah.snapshot.session import Session
from howdah.snapshot.window import true_window


def take(
    dsn: str,
    options: Options | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
    progress: Progress | None = None,
) -> Snapshot:
    """Take a snapshot of the database at `dsn`; read-only, as the role that the DSN names.

    It takes `options.sample_seconds` plus the time of the questions; the transaction of the picture
    is open for `Snapshot.seconds`, at most five. `progress` is told what is asked next.

    Raises what `howdah.postgres.connect` raises, and `Unreachable` where the connection breaks.
    A fact that cannot be read is no error: it has a status.
    """
    tell = progress or _silent
    with connect(dsn, application_name="howdah") as connection:
        connection.prepare_threshold = None  # a pooler may not know our prepared statements
        session = Session(connection, options=options or Options(), clock=clock)
        gathered = gather(session, progress=tell)
        facts: dict[str, Any] = dict(gathered.facts)
        facts |= _afterwards(Afterwards(session), gathered, tell)
    return Snapshot(
        howdah=__version__,
        taken_at=gathered.taken_at,
        seconds=gathered.seconds,
        server=gathered.server,
        window=_window(gathered),
        **facts,
    )


def _afterwards(afterwards: Afterwards, gathered: Gathered, tell: Progress) -> dict[str, Fact[Any]]:
    """Waits first: their time is what lies between the two counter samples."""
    tell("wait_samples")
    facts: dict[str, Fact[Any]] = {"wait_samples": afterwards.waits()}
    tell("counter_samples")
    facts["counter_samples"] = afterwards.counters(gathered.first_sample)
    facts["table_samples"] = afterwards.table_samples()
    tell("sizes")
    facts["sizes"] = afterwards.sizes()
    tell("table_space")
    facts |= afterwards.space(
        gathered.facts | facts,
        schema=gathered.extension_schemas.get("pgstattuple"),
        in_recovery=gathered.server.in_recovery,
    )
    tell("multixacts")
    facts["multixacts"] = afterwards.multixacts()
    return facts


def _silent(_stage: str) -> None:
    """Tell nobody."""


def _window(gathered: Gathered) -> Window:
    if gathered.resets is None:
        return Window(
            since=None, until=gathered.taken_at, reason="the reset times could not be read"
        )
    resets = dict(gathered.resets)
    return true_window(
        database_reset=resets.pop("database"), server_resets=resets, until=gathered.taken_at
    )
