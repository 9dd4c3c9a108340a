"""What is read after the picture: second counters, waits, sizes, space, MultiXact members.

Owns these measurements, each in short transactions of its own. Must never run inside the picture's
transaction: it would hold the horizon while time passes, and see frozen statistics.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg

from howdah.errors import from_database
from howdah.postgres.versions import normal_wait
from howdah.query import load
from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.activity import WaitSample
from howdah.snapshot.facts.catalog import Row
from howdah.snapshot.facts.counters import CounterSample, TableSample
from howdah.snapshot.facts.measured import (
    IndexSpace,
    MultixactSample,
    PendingList,
    Size,
    TableSpace,
)
from howdah.snapshot.measure import (
    Candidate,
    batches,
    gin_candidates,
    index_candidates,
    table_candidates,
    within_budget,
)
from howdah.snapshot.multixact import ENOUGH, STRATA, Estimate, all_ids, estimate, ids_of_round
from howdah.snapshot.plan import ACTIVITY, COUNTERS
from howdah.snapshot.rows import made
from howdah.snapshot.session import Answer, Session, marked

MEASURE = load("howdah.snapshot", "sql/measure.sql")

SIZE_ROWS = 10_000
TABLE_SAMPLE_ROWS = 1000
_SPACE_KINDS: Mapping[str, type[Row]] = {
    "table_space": TableSpace,
    "index_space": IndexSpace,
    "pending_lists": PendingList,
}
_MEMBER_TRIES = 3  # vacuum may move the oldest MultiXact while we look


class Afterwards:
    """The measurements that follow a picture, on the same connection."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._connection = session.connection
        self._major = session.major
        self._options = session.options
        self._clock = session.clock

    def ask(self, text: str, parameters: Mapping[str, Any], *, schema: str | None = None) -> Answer:
        """One statement in a transaction of its own, past what is locked now."""
        with self._session.short() as reading:
            if "locked" in parameters:
                reading.refresh_locked()
                parameters = {**parameters, "locked": reading.locked}
            return reading.ask(text, parameters, schema=schema)

    def counters(self, first: Fact[CounterSample]) -> Fact[CounterSample]:
        """The second sample after the first one."""
        if not first.known or self._options.sample_seconds == 0:
            return first
        second = self._fact(COUNTERS.text("counter_sample", self._major), {}, CounterSample)
        if not second.known:
            return second
        return msgspec.structs.replace(first, rows=first.rows + second.rows)

    def table_samples(self) -> Fact[TableSample]:
        """The busiest tables' write counters, a second time."""
        if self._options.sample_seconds == 0:
            return _skipped()
        parameters = {"limit": TABLE_SAMPLE_ROWS}
        return self._fact(COUNTERS.text("table_samples", self._major), parameters, TableSample)

    def waits(self) -> Fact[WaitSample]:
        """What sessions wait for, at a fixed rate for `sample_seconds`, which pass here.

        A tick at which nobody was at work is one row of zero sessions. Without pg_read_all_stats
        other roles' sessions show no state: one of them hides the whole fact, for it may be idle
        or busy.
        """
        began = self._clock.monotonic()
        if self._options.sample_seconds == 0:
            return _skipped()
        interval = 1 / self._options.wait_samples_per_second
        rows: list[WaitSample] = []
        hidden = 0
        for tick in range(max(1, int(self._options.sample_seconds / interval))):
            self._clock.sleep(began + tick * interval - self._clock.monotonic())
            at = self._clock.monotonic() - began
            try:
                found = self._connection.execute(marked(ACTIVITY.text("wait_tick"))).fetchall()
            except psycopg.Error as error:
                raise from_database(error) from error
            hidden = max(hidden, sum(row[3] for row in found))
            rows += _tick(tick, at, found)
        self._clock.sleep(began + self._options.sample_seconds - self._clock.monotonic())
        seconds = self._clock.monotonic() - began
        if hidden:
            reason = f"the state of {hidden} sessions is hidden without pg_read_all_stats"
            return Fact(status=Status.DENIED, reason=reason, left_out=hidden, seconds=seconds)
        return Fact(status=Status.PRESENT, rows=tuple(rows), seconds=seconds)

    def sizes(self) -> Fact[Size]:
        """Bytes of the largest tables and indexes."""
        parameters = {"locked": [], "limit": SIZE_ROWS}
        fact = self._fact(MEASURE.text("sizes"), parameters, Size)
        there = self.ask(MEASURE.text("sizes_left_out"), {}).cursor
        count = there.fetchone() if there is not None else None
        left_out = max(0, (count[0] if count else 0) - len(fact.rows))
        if not fact.known or not left_out:
            return fact
        reason = f"{left_out} left out: locked, or not among the {SIZE_ROWS} largest"
        return msgspec.structs.replace(fact, left_out=left_out, reason=reason)

    def space(
        self, facts: Mapping[str, Fact[Any]], *, schema: str | None, in_recovery: bool
    ) -> dict[str, Fact[Any]]:
        """Dead rows, page density and pending lists by pgstattuple, within the budget."""
        if self._options.measure_megabytes == 0:
            return dict.fromkeys(_SPACE_KINDS, _skipped())
        if schema is None:
            missing: Any = Fact(
                status=Status.UNSUPPORTED, reason="the extension pgstattuple is not installed here"
            )
            return dict.fromkeys(_SPACE_KINDS, missing)
        relations = [
            row for row in facts["relations"].rows if not (in_recovery and row.persistence == "u")
        ]
        bytes_of = {row.relation: row.bytes for row in facts["sizes"].rows}
        counters, indexes = facts["table_statistics"].rows, facts["indexes"].rows
        candidates = {
            "table_space": table_candidates(relations, counters, bytes_of),
            "index_space": index_candidates(indexes, relations, counters, bytes_of),
            "pending_lists": gin_candidates(indexes, relations),
        }
        needed = [facts[name].known for name in ("relations", "indexes", "table_statistics")]
        if not all(needed):
            blind: Any = Fact(status=Status.SKIPPED, reason="the catalogs could not be read")
            return dict.fromkeys(_SPACE_KINDS, blind)
        return {name: self._space(name, each, schema) for name, each in candidates.items()}

    def _space(self, name: str, candidates: list[Candidate], schema: str) -> Fact[Any]:
        budget = self._options.measure_megabytes * 128 // 2  # pages; tables and indexes a half each
        rows: tuple[Any, ...] = ()
        seconds = 0.0
        failed = None
        for chosen in batches(within_budget(candidates, budget)):
            text = MEASURE.text(name)
            answer = self.ask(text, {"chosen": chosen, "locked": []}, schema=schema)
            seconds += answer.seconds
            if answer.cursor is None:
                failed = answer
                continue
            rows += made(answer.cursor, _SPACE_KINDS[name])
        left_out = len(candidates) - len(rows)
        reason = f"{left_out} left out: over the budget of {self._options.measure_megabytes} MB"
        if failed is not None:
            reason = failed.reason
        status = Status.PRESENT if rows else failed.status if failed else Status.EMPTY
        if status is Status.EMPTY and left_out:
            status = Status.SKIPPED
        return Fact(
            status=status,
            rows=rows,
            left_out=left_out,
            seconds=seconds,
            reason=reason if left_out else "",
        )

    def multixacts(self) -> Fact[MultixactSample]:
        """The members of the living MultiXacts, by looking at a sample of them."""
        if self._options.multixact_samples == 0:
            return _skipped()
        began = self._clock.monotonic()
        answer = Answer(cursor=None, seconds=0.0)
        for _ in range(_MEMBER_TRIES):
            answer = self.ask(MEASURE.text("multixact_range"), {})
            row = answer.cursor.fetchone() if answer.cursor is not None else None
            if row is None:
                break
            oldest, count, since_checkpoint = row
            found = self._members(oldest, count)
            if isinstance(found, Answer):
                answer = found
                continue
            sample = MultixactSample(
                oldest=oldest,
                next=(oldest + count) % (1 << 32),
                count=count,
                sampled=found.sampled,
                members_per_multixact=found.mean,
                members=round(found.mean * count),
                standard_error=found.standard_error,
                seconds_since_checkpoint=since_checkpoint,
            )
            took = self._clock.monotonic() - began
            return Fact(status=Status.PRESENT, rows=(sample,), seconds=took)
        return Fact(status=answer.status, reason=answer.reason, seconds=answer.seconds)

    def _members(self, oldest: int, count: int) -> Estimate | Answer:
        """Look until it is enough; the failed answer where the server refuses an id."""
        limit = self._options.multixact_samples
        if count <= limit:
            counts = self._member_counts(all_ids(oldest, count))
            if isinstance(counts, Answer):
                return counts
            mean = sum(counts) / count if count else 0.0
            return Estimate(mean=mean, standard_error=0.0, sampled=len(counts))
        randomness = random.Random(count)  # a sample, not a secret
        rounds: list[list[int]] = []
        so_far = estimate(rounds)
        while (len(rounds) + 1) * STRATA <= limit:
            counts = self._member_counts(ids_of_round(oldest, count, randomness=randomness))
            if isinstance(counts, Answer):
                return counts
            rounds.append(counts)
            so_far = estimate(rounds)
            if so_far.standard_error < ENOUGH:
                break
        return so_far

    def _member_counts(self, ids: tuple[int, ...]) -> list[int] | Answer:
        if not ids:
            return []
        answer = self.ask(MEASURE.text("multixact_members"), {"ids": list(ids)})
        if answer.cursor is None:
            return answer
        return [members for _, members in answer.cursor]

    def _fact(self, text: str, parameters: Mapping[str, Any], kind: type[Row]) -> Fact[Any]:
        answer = self.ask(text, parameters)
        if answer.cursor is None:
            return Fact(status=answer.status, reason=answer.reason, seconds=answer.seconds)
        rows = made(answer.cursor, kind)
        status = Status.PRESENT if rows else Status.EMPTY
        return Fact(status=status, rows=rows, seconds=answer.seconds)


def _skipped() -> Fact[Any]:
    return Fact(status=Status.SKIPPED, reason="not asked for")


def _tick(tick: int, at: float, found: list[Any]) -> list[WaitSample]:
    rows = []
    for kind, event, sessions, _hidden in found:
        wait = normal_wait(kind, event)
        rows.append(
            WaitSample(
                tick=tick,
                at_seconds=at,
                wait_type=wait.type,
                wait_event=wait.event,
                sessions=sessions,
            )
        )
    return rows or [WaitSample(tick=tick, at_seconds=at, wait_type="", wait_event="", sessions=0)]
