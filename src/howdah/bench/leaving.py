"""When PostgreSQL is no longer the place: the measured ceiling against the wanted rate.

Owns the decision and the figures of other systems, each with its condition and source. Must never
show a figure of somebody else as one that was measured here.
"""

from __future__ import annotations

from collections.abc import Sequence

from howdah.bench.model import Advice, Bench, Contended, Elsewhere
from howdah.bench.roster import is_ours

HEADROOM = 0.5
"""The share of the ceiling that is safe to plan with: above it a backlog of an hour takes longer
than an hour to work off, and the same machine has other work."""

KAFKA = Elsewhere(
    name="Kafka",
    per_second=421_823,
    condition="one producer, 3 replicas written synchronously, 100 byte records, 3 machines, 2014",
    source="LinkedIn Engineering, Benchmarking Apache Kafka: 2 million writes per second "
    "(on three cheap machines)",
)
JETSTREAM = Elsewhere(
    name="NATS JetStream",
    per_second=272_497,
    condition="one publisher, 100 in flight, 16 byte messages kept in memory, 1 replica, "
    "a laptop of 2021",
    source="NATS documentation, nats bench",
)
REDIS = Elsewhere(
    name="Redis",
    per_second=403_063,
    condition="SET, 50 clients, 16 in a pipeline, no replica, written to disk at most each second, "
    "a small laptop",
    source="Redis documentation, Redis benchmark",
)
_PLACES = {
    Bench.LOG: (KAFKA, JETSTREAM),
    Bench.OUTBOX: (KAFKA, JETSTREAM, REDIS),
    Bench.QUEUE: (JETSTREAM, REDIS, KAFKA),
}
_NOT_THE_SAME = (
    "None of them commits together with your business data: keep the outbox in PostgreSQL and "
    "let its relay feed the other system."
)


def advise(bench: Bench, done: Sequence[Contended], wanted: float | None) -> Advice:
    """Stay, be near the limit, or leave; by our own ceiling, else by the fastest contender's."""
    rated = [each for each in done if each.per_second]
    ours = [each for each in rated if is_ours(each.name)]
    best = next(iter(ours or rated), None)
    if best is None or best.per_second is None:
        return Advice(
            verdict="unknown",
            ceiling_per_second=None,
            ceiling_of="",
            wanted_per_second=wanted,
            text="nothing was measured",
        )
    ceiling = lowest(best)
    verdict = decide(ceiling, wanted)
    return Advice(
        verdict=verdict,
        ceiling_per_second=ceiling,
        ceiling_of=best.name,
        wanted_per_second=wanted,
        text=_text(verdict, best, ceiling, wanted),
        elsewhere=_PLACES[bench] if verdict != "stay" else (),
    )


def lowest(best: Contended) -> float:
    """The ceiling to plan with: the worse of undisturbed and with the horizon held."""
    held = best.held.per_second if best.held else None
    return min(each for each in (best.per_second, held) if each is not None)


def decide(ceiling: float, wanted: float | None) -> str:
    """The verdict alone.

    >>> [decide(1000, wanted) for wanted in (100, 600, 5000, None)]
    ['stay', 'near', 'leave', 'unknown']
    """
    if wanted is None:
        return "unknown"
    if wanted <= ceiling * HEADROOM:
        return "stay"
    return "near" if wanted <= ceiling else "leave"


def _text(verdict: str, best: Contended, ceiling: float, wanted: float | None) -> str:
    reach = f"{best.name} carries {ceiling:,.0f} items a second here"
    safe = f"plan with {ceiling * HEADROOM:,.0f} at most, so that a backlog can be worked off"
    if wanted is None:
        return (
            f"{reach}; {safe}. --wanted-per-second N says whether that is enough. " + _NOT_THE_SAME
        )
    if verdict == "stay":
        return f"stay: {reach}, and {wanted:,.0f} are wanted"
    if verdict == "near":
        return f"near the limit: {reach}, and {wanted:,.0f} are wanted; {safe}. " + _NOT_THE_SAME
    return f"leave: {reach}, and {wanted:,.0f} are wanted. " + _NOT_THE_SAME
