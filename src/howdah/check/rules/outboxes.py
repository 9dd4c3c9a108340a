"""Outboxes that carry their past with them.

Owns the rule on outboxes that mark or delete each row.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.queueing import NEEDS, Queueing, Role, horizon, queueings, recognised
from howdah.check.knowledge.readable import as_far_as_read
from howdah.check.model import Answers, Confidence, Examination, Finding, Remedy, Severity, rule
from howdah.snapshot.picture import Picture

# Rows marked or deleted in the window: below, whatever the design, nobody notices.
_MIN_CHURN = 10_000
# Dead rows from which every read of the head steps over a visible amount of them.
_MIN_DEAD = 5_000
_DEAD_PER_LIVE = 0.5


@rule(
    id="outbox-traditional",
    title="Outbox that marks or deletes each row",
    severity=Severity.WARNING,
    objects="outboxes",
    needs=(*NEEDS, "table_statistics"),
    what="An outbox whose rows are each updated or deleted after publishing, at a rate or with a "
    "number of dead rows that matters.",
    why="Every event leaves a dead row behind, and the reader of the oldest events starts where "
    "the dead ones lie. While anything holds the horizon they cannot be removed, and publishing "
    "slows down with everything published since. Truncated partitions or a ring of tables with "
    "an append-only position leave no dead rows.",
    wrong_when="With short transactions, no held horizon and an eager autovacuum the dead rows "
    "stay few and the design is good enough.",
    source="Measured: publishing 10 events cost 23 pages fresh and 1,173 after 55,000 under one "
    "open snapshot",
)
def outbox_traditional(picture: Picture, _: Answers) -> Examination:
    """Outboxes by their churn and their dead rows."""
    boxes = [each for each in queueings(picture) if each.role is Role.OUTBOX]
    seen = Examination(
        examined=len(boxes),
        of=len(boxes),
        findings=tuple(
            _traditional(picture, box)
            for box in boxes
            if box.acknowledging and (_churn(picture, box) >= _MIN_CHURN or _is_heavy(picture, box))
        ),
    )
    return as_far_as_read(picture, seen)


def _tables(picture: Picture, box: Queueing) -> tuple[int, ...]:
    return picture.leaves(box.relation) or (box.relation,)


def _sum(picture: Picture, box: Queueing, *names: str) -> int:
    rows = (picture.table_statistics.get(table) for table in _tables(picture, box))
    return sum(int(getattr(row, name)) for row in rows if row for name in names)


def _churn(picture: Picture, box: Queueing) -> int:
    return _sum(picture, box, "updated", "deleted")


def _is_heavy(picture: Picture, box: Queueing) -> bool:
    dead = _sum(picture, box, "dead")
    return dead >= _MIN_DEAD and dead >= _DEAD_PER_LIVE * _sum(picture, box, "live")


def _traditional(picture: Picture, box: Queueing) -> Finding:
    dead, live, churn = _sum(picture, box, "dead"), _sum(picture, box, "live"), _churn(picture, box)
    held = horizon(picture)
    heavy = _is_heavy(picture, box)
    pages = sum(picture.pages(table) for table in _tables(picture, box))
    reads = sum(claim.statement.calls for claim in box.claims)
    return Finding(
        rule="outbox-traditional",
        object=box.table,
        severity=Severity.WARNING if heavy else Severity.NOTICE,
        claim=f"{counted(churn, 'row')} of {box.table} {'was' if churn == 1 else 'were'} updated "
        f"or deleted in the window, and it holds {dead:,} dead beside {live:,} live rows.",
        evidence=(
            {
                "updated_rows": _sum(picture, box, "updated"),
                "deleted_rows": _sum(picture, box, "deleted"),
                "dead_rows": dead,
                "live_rows": live,
                "table_pages": pages,
                "unpublished": [marker.condition for marker in box.markers],
                "oldest_horizon_transactions": held,
                "acknowledged_by": [each.text for each in box.acknowledging[:3]],
            },
            *recognised(picture, [box]),
        ),
        confidence=Confidence.MEASURED,
        refuted_by="pages per read of the outbox staying level while a snapshot is held open",
        cost_if_wrong="a migration to another design that gains little",
        harm=harm.waste(dead / max(1, dead + live) * pages / 10, picture.per_hour(reads))
        + harm.held(pages),
        remedies=_without_dead_rows(box),
        window=picture.window,
    )


def _without_dead_rows(box: Queueing) -> tuple[Remedy, ...]:
    """Designs in which publishing leaves nothing dead; a migration, and so a person's decision."""
    partitions = remedies.manual(
        "partition-outbox",
        {"table": box.table},
        (),
        "partition by time or by a round number and drop or truncate what is published, instead "
        "of marking rows",
    )
    ring = remedies.manual(
        "ring-outbox",
        {"table": box.table},
        (),
        "write to a ring of tables and keep the reader's position in an append-only ledger: "
        "nothing is updated and nothing dies",
    )
    return (partitions, ring)
