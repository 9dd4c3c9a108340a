"""The phases that every contender goes through, and the figures that come of them.

Owns what is measured and how: all at once, at a low rate for the latency, produced alone, consumed
alone. Must never know a contender by name. Start and warm-up are outside of every figure.
"""

from __future__ import annotations

import itertools
from contextlib import closing

import msgspec
import psycopg

from howdah.bench import meter
from howdah.bench.contender import Contender, Place
from howdah.bench.crew import Crew
from howdah.bench.entrant import Orders
from howdah.bench.model import Bench, Figures, Latency, Plan
from howdah.bench.tally import Counted, Work
from howdah.clock import Clock
from howdah.errors import TimedOut
from howdah.postgres import connect

_POLL_SECONDS = 0.02
_BACKLOG_ITEMS = 500  # at least so many wait for the consumers at any time ...
_BACKLOG_SECONDS = 0.5  # ... and at least so much of what they handle
_RAMP = 0.1  # of the phase, not measured: connections, plans, caches
_SLICES = 10  # of a phase, for the rate over time
_WARM_UP_SECONDS = 0.5
_FACTOR = {Bench.LOG: 4.0, Bench.OUTBOX: 2.0, Bench.QUEUE: 2.0}
"""How many times the rate of the whole system a backlog is made of, at most: consuming alone is
faster, and its phase should last."""
_PATIENCE = 3.0  # a phase may take so many times its seconds before it is cut short
_GRACE_SECONDS = 15.0


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What all phases of one contender share."""

    contender: Contender
    place: Place
    plan: Plan
    clock: Clock
    watch: psycopg.Connection

    def consumers(self, *, timing: bool = False) -> list[Orders]:
        """Orders for the processes that consume."""
        one = Orders(
            contender=self.contender.name,
            bench=self.plan.bench,
            place=self.place,
            timing=timing,
        )
        return [one] * (1 if self.contender.single_consumer else self.plan.processes)

    def producer(self, work: Work, way: str = "") -> Orders:
        """Orders for the process that produces."""
        return Orders(
            contender=self.contender.name,
            bench=self.plan.bench,
            place=self.place,
            way=way,
            work=work,
        )

    def bulk(self, **limits: float) -> Work:
        """Work in the contender's own batches."""
        return msgspec.convert(
            {
                "batch_items": self.contender.bulk_items,
                "payload_bytes": self.plan.payload_bytes,
                **limits,
            },
            Work,
        )


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at once, measured."""

    per_second: float
    over_time: tuple[float, ...]
    wal_bytes_per_item: float
    items: int
    unfinished: int


def run(contender: Contender, place: Place, plan: Plan, clock: Clock) -> Figures:
    """All phases in their order; the figures at the end."""
    with closing(connect(place.dsn)) as watch:
        stage = Stage(contender=contender, place=place, plan=plan, clock=clock, watch=watch)
        flow = all_at_once(stage)
        latency = at_low_rate(stage) if not flow.unfinished else None
        alone = apart(stage, flow.per_second)
        tuples = meter.settled_tuples(watch, contender.schemas, clock)
    notes = list(alone.notes)
    if flow.unfinished:
        notes.append(f"{flow.unfinished} items were left over: no latency was measured")
    items = flow.items + alone.items + (latency.count if latency else 0)
    return msgspec.structs.replace(
        alone,
        per_second=flow.per_second,
        per_second_over_time=flow.over_time,
        latency_ms=latency,
        wal_bytes_per_item=flow.wal_bytes_per_item,
        dead_tuples=tuples.dead,
        dead_tuples_made_per_item=tuples.made / max(1, items),
        catalog_dead_tuples=tuples.catalog_dead,
        items=items,
        notes=tuple(notes),
    )


def all_at_once(stage: Stage) -> Flow:
    """Producer and consumers together, the producer kept a little ahead, for the plan's seconds."""
    meter.checkpoint(stage.watch)
    wal = meter.wal_bytes(stage.watch)
    orders = [*stage.consumers(), stage.producer(stage.bulk(allowance=True))]
    with Crew(orders, stage.clock) as crew:
        crew.ready()
        crew.go(crew.entrants)
        samples = _sampled(crew, stage)
        crew.stop(crew.producers)
        left = _finish(crew, crew.produced(), _GRACE_SECONDS)
        produced = crew.produced()
    unfinished = stage.contender.unfinished(stage.place)
    return Flow(
        per_second=_rate(samples),
        over_time=_over_time(samples),
        wal_bytes_per_item=(meter.wal_bytes(stage.watch) - wal) / max(1, produced),
        items=produced,
        unfinished=max(left, unfinished),
    )


def at_low_rate(stage: Stage) -> Latency | None:
    """One item at a time at the plan's rate; None where nothing came through in time."""
    work = Work(
        batch_items=1,
        payload_bytes=stage.plan.payload_bytes,
        seconds=stage.plan.seconds,
        rate_per_second=stage.plan.rate_per_second,
        warm_up_seconds=_WARM_UP_SECONDS,
    )
    with Crew([*stage.consumers(timing=True), stage.producer(work)], stage.clock) as crew:
        crew.ready()
        crew.go(crew.entrants)
        limit = stage.plan.seconds + _WARM_UP_SECONDS + _GRACE_SECONDS
        crew.until(lambda: crew.ended(crew.producers), limit, "to produce")
        _finish(crew, crew.produced(), _GRACE_SECONDS)
        found = sorted(each for one in crew.counts() for each in one.latencies_ms)
    if not found:
        return None
    return Latency(
        p50=percentile(found, 0.5), p99=percentile(found, 0.99), max=found[-1], count=len(found)
    )


def apart(stage: Stage, per_second: float) -> Figures:
    """Producing alone in every way, then consuming that backlog alone."""
    meter.checkpoint(stage.watch)  # once: pages of one way would be logged whole by the next
    produced: dict[str, float] = {}
    items, wal = 0, meter.wal_bytes(stage.watch)
    most = max(2 * stage.contender.bulk_items, per_second * stage.plan.seconds * _factor(stage))
    for way in stage.contender.ways:
        share = int(most / len(stage.contender.ways))
        count, seconds = _produce(stage, way, share)
        items += count
        produced[way] = count / seconds
    made = meter.wal_bytes(stage.watch)
    counts, notes = _drain(stage, items)
    handled = sum(each.count for each in counts)
    return Figures(
        produced_per_second=produced,
        consumed_per_second=drain_rate(counts),
        wal_bytes_to_produce=(made - wal) / max(1, items),
        wal_bytes_to_consume=(meter.wal_bytes(stage.watch) - made) / max(1, handled),
        items=items,
        notes=notes,
    )


def _produce(stage: Stage, way: str, items: int) -> tuple[int, float]:
    work = stage.bulk(items=items, seconds=stage.plan.seconds)
    with Crew([stage.producer(work, way)], stage.clock) as crew:
        crew.ready()
        crew.go(crew.entrants)
        limit = stage.plan.seconds * _PATIENCE + _GRACE_SECONDS
        crew.until(lambda: crew.ended(crew.producers), limit, "to produce")
        ended = crew.producers[0].said["ended"]
    return ended.produced, ended.seconds


def _drain(stage: Stage, items: int) -> tuple[list[Counted], tuple[str, ...]]:
    with Crew(stage.consumers(), stage.clock) as crew:
        crew.ready()
        crew.go(crew.entrants)
        left = _finish(crew, items, stage.plan.seconds * _PATIENCE + _GRACE_SECONDS)
        counts = crew.counts()
    unfinished = stage.contender.unfinished(stage.place)
    notes = []
    if left > 0:
        notes.append(f"{left} of {items} items were not handled in time when consumed alone")
    elif unfinished:
        notes.append(f"{unfinished} of {items} handled items were not acknowledged at the end")
    twice = sum(each.count for each in counts) - items
    if twice > 0:
        notes.append(f"{twice} of {items} items were handled more than once")
    return counts, tuple(notes)


def _factor(stage: Stage) -> float:
    return _FACTOR[stage.plan.bench]


def _sampled(crew: Crew, stage: Stage) -> list[tuple[float, int]]:
    """When how many had been handled; the producer is allowed ahead by what they handle."""
    clock, seconds = stage.clock, stage.plan.seconds
    samples: list[tuple[float, int]] = []
    slack = _BACKLOG_ITEMS + stage.contender.bulk_items
    started = clock.monotonic()
    begun = 0.0
    while not begun or clock.monotonic() - begun < seconds:
        now, handled = clock.monotonic(), crew.handled()
        if handled and not begun:
            begun = now
        if begun:
            samples.append((now - begun, handled))
        elif now - started > _GRACE_SECONDS + seconds:
            raise TimedOut(f"{stage.contender.name} handled nothing in {now - started:.0f} s")
        ahead = _BACKLOG_SECONDS * handled / (now - begun) if begun and now > begun + 0.1 else 0
        for producer in crew.producers:
            producer.tell(f"allow {int(handled + slack + ahead)}")
        crew.listen(_POLL_SECONDS)
    return samples


def _finish(crew: Crew, items: int, seconds: float) -> int:
    """Wait until so many are handled, then stop the consumers; how many are missing."""
    try:
        crew.until(lambda: crew.handled() >= items, seconds, "to handle what is left")
    except TimedOut:
        crew.stop(crew.consumers)
        return items - crew.handled()
    crew.stop(crew.consumers)
    return 0


def percentile(ordered: list[float], share: float) -> float:
    """The value below which that share of an ascending list lies, by nearest rank.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]


def _rate(samples: list[tuple[float, int]]) -> float:
    """Items per second once the ramp is over."""
    whole = samples[-1][0]
    start = next(each for each in samples if each[0] >= whole * _RAMP)
    elapsed = samples[-1][0] - start[0]
    return (samples[-1][1] - start[1]) / elapsed if elapsed > 0 else 0.0


def _over_time(samples: list[tuple[float, int]]) -> tuple[float, ...]:
    """The rate of each tenth of the phase."""
    whole = samples[-1][0]
    marks = [
        next(each for each in samples if each[0] >= whole * place / _SLICES)
        for place in range(_SLICES + 1)
    ]
    return tuple(
        round((to[1] - of[1]) / (to[0] - of[0]), 1)
        for of, to in itertools.pairwise(marks)
        if to[0] > of[0]
    )


def drain_rate(counts: list[Counted]) -> float | None:
    """Items per second between the first and the last that were handled, all processes together.

    What each process was handed at its first moment took no time, and is left out.
    """
    worked = [each for each in counts if each.count]
    elapsed = max((each.last_at for each in worked), default=0.0) - min(
        (each.first_at for each in worked), default=0.0
    )
    if elapsed <= 0:
        return None
    return sum(each.count - each.first_count for each in worked) / elapsed
