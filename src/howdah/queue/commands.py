"""What people change about a queue, as values: a sentence and the statement that does it.

Owns the changes of `howdah queue ...`. Must never run one: whoever asked decides between doing it
and printing it. Most of them tell the dispatcher something and return at once; it answers by acting
on it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from psycopg import sql

from howdah.driver import Query
from howdah.queue.model import (
    Cancel,
    Discard,
    Draining,
    Pause,
    Purge,
    Release,
    Replay,
    Report,
    Resume,
)
from howdah.queue.operate import plain


class Change(msgspec.Struct, frozen=True):
    """One change: what it is in words, and the statement."""

    what: str
    query: Query

    @property
    def sql(self) -> str:
        """The statement for psql, its values written out."""
        values = {name: sql.Literal(value) for name, value in self.query.values.items()}
        text = self.query.statement.text.replace("{", "{{").replace("}", "}}")
        for name in values:
            text = text.replace(f"%({name})s", "{" + name + "}")
        composed = sql.SQL(text).format(**values)
        return composed.as_string(None).replace("%%", "%").rstrip().rstrip(";") + ";"


def create(queue: str) -> list[Change]:
    """Make a queue unless it is there."""
    return [Change(f"queue {queue} made unless it is there", plain("make")(queue=queue))]


def drop(queue: str) -> list[Change]:
    """Remove a queue with every job in it."""
    return [Change(f"queue {queue} dropped with every job in it", plain("unmake")(queue=queue))]


def retry(queue: str, jobs: Iterable[int]) -> list[Change]:
    """Run dead letters again, with fresh attempts."""
    return [_told(queue, f"dead letter {job} runs again", Replay(job, 0.0)) for job in jobs]


def discard(queue: str, jobs: Iterable[int]) -> list[Change]:
    """Give dead letters up for good."""
    return [_told(queue, f"dead letter {job} discarded", Discard(job, 0.0)) for job in jobs]


def cancel(queue: str, jobs: Iterable[int]) -> list[Change]:
    """End jobs wherever they are."""
    return [_told(queue, f"job {job} cancelled", Cancel(job, 0.0)) for job in jobs]


def pause(queue: str, kind: str | None, tenant: str | None) -> list[Change]:
    """Start no more of those jobs."""
    return [_told(queue, f"{_which(kind, tenant)} paused", Pause(0.0, kind, tenant))]


def resume(queue: str, kind: str | None, tenant: str | None) -> list[Change]:
    """Undo the pause with the same kind and tenant."""
    return [_told(queue, f"{_which(kind, tenant)} resumed", Resume(0.0, kind, tenant))]


def purge(queue: str, kind: str | None, tenant: str | None) -> list[Change]:
    """Drop the jobs that wait now."""
    return [_told(queue, f"{_which(kind, tenant)} that wait dropped", Purge(0.0, kind, tenant))]


def drain(queue: str, workers: Iterable[str]) -> list[Change]:
    """Give those workers nothing more."""
    return [_told(queue, f"worker {each} gets no more", Draining(each, 0.0)) for each in workers]


def release(queue: str, keys: Iterable[str]) -> list[Change]:
    """Let held keys go on."""
    return [_told(queue, f"key {key!r} goes on", Release(key, 0.0)) for key in keys]


def unschedule(queue: str, schedules: Iterable[str]) -> list[Change]:
    """End schedules."""
    return [
        Change(f"schedule {each} ended", plain("end_schedule")(queue=queue, schedule=each))
        for each in schedules
    ]


def reanchor(queue: str) -> list[Change]:
    """Let a queue go on that was restored or copied here; what is not finished runs."""
    what = f"queue {queue} belongs to this database and goes on"
    return [Change(what, plain("start_again")(queue=queue))]


def _told(queue: str, what: str, report: Report) -> Change:
    text = msgspec.json.encode(report).decode()
    return Change(what, plain("tell")(log=f"reports_{queue}", report=text))


def _which(kind: str | None, tenant: str | None) -> str:
    words = ["jobs"]
    if kind is not None:
        words.append(f"of kind {kind}")
    if tenant is not None:
        words.append(f"of tenant {tenant}")
    return " ".join(words) if len(words) > 1 else "all jobs"
