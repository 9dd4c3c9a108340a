"""What a new dispatcher starts from, read of the ledger, the logs and the tables of exceptions.

Owns the reading of the record. Must never decide what it means: that is `rebuild.py`'s.
"""

from __future__ import annotations

import msgspec

from howdah.driver import Query, Steps
from howdah.queue import store
from howdah.queue.model import (
    ClaimRow,
    Hold,
    KindTold,
    Page,
    Pause,
    RateState,
    Record,
    Registered,
)
from howdah.queue.policy import KindPolicy, Terms

PAGE_ROWS = 5_000


def read(queue: str, queue_id: int, ledger: store.Ledger) -> Steps[Record]:
    """Everything durable about a queue whose ledger nobody else can append to any more.

    Window 1 is what lies between `done` and `read`; window 2, if there is one, is the window that
    was being read.
    """
    kept = yield _halves("record_ledger", queue, ledger)
    claims = yield _halves("record_claims", queue, ledger)
    settled = yield _halves("record_settled", queue, ledger)
    holds = yield store.plain("record_holds")(queue_id=queue_id)
    keys = yield store.plain("record_parked_keys")(queue_id=queue_id)
    pauses = yield store.plain("record_pauses")(queue_id=queue_id)
    workers = yield store.plain("record_workers")(queue_id=queue_id)
    kinds = yield store.plain("record_kinds")(queue_id=queue_id)
    pages = yield from _read_pages(queue, ledger)
    heard = yield from store.reports(queue, ledger.done, ledger.heard)
    named = [row for claim in claims for row in claim[3]]
    outside = yield store.plain("outside")(queue=queue, rows=named)
    return Record(
        generation=ledger.generation,
        floor=ledger.floor,
        claims=[ClaimRow(*row) for row in claims],
        jobs=pages,
        outside=store.jobs_of(outside, 0),
        reports=heard,
        moved=frozenset(row for _, moved, _, _ in kept for row in moved or ()),
        revoked=frozenset(tuple(each[:3]) for each in settled if each[3]),
        settled=frozenset(tuple(each[:3]) for each in settled if not each[3]),
        holds=[Hold(*row) for row in holds],
        parked_keys=frozenset(key for (key,) in keys),
        paused=[Pause(*row) for row in pauses],
        workers=[_worker(*row) for row in workers],
        kinds=[
            KindTold(kind, msgspec.json.decode(policy, type=KindPolicy), since)
            for kind, policy, since in kinds
        ],
        rates=[_rates(rates) for _, _, rates, _ in kept if rates is not None],
    )


def _read_pages(queue: str, ledger: store.Ledger) -> Steps[list[Page]]:
    """The job rows that the last dispatcher had read and not finished with."""
    pages: list[Page] = []
    last_id = 0
    while True:
        jobs = yield from store.jobs_page(queue, 1, ledger.done, ledger.read, last_id, PAGE_ROWS)
        pages.append(Page(1, jobs, len(jobs) < PAGE_ROWS))
        if pages[-1].complete:
            break
        last_id = jobs[-1].row
    last_id = 0
    while ledger.upto is not None and last_id < ledger.last_id:
        jobs = yield from store.jobs_page(queue, 2, ledger.read, ledger.upto, last_id, PAGE_ROWS)
        read = [job for job in jobs if job.row <= ledger.last_id]
        pages.append(Page(2, read, False))
        last_id = jobs[-1].row if jobs else ledger.last_id
    return pages


def _worker(
    name: str, slots: int, kinds: list[str] | None, at: float, terms: str | None, confirms: bool
) -> Registered:
    return Registered(
        name,
        slots,
        None if kinds is None else frozenset(kinds),
        at,
        terms=None if terms is None else msgspec.json.decode(terms, type=Terms),
        since=at,
        confirms=confirms,
    )


def _rates(text: str) -> dict[str, RateState]:
    return msgspec.json.decode(text, type=dict[str, RateState])


def _halves(block: str, queue: str, ledger: store.Ledger) -> Query:
    part = {"record_ledger": "ledger", "record_claims": "claim", "record_settled": "settled"}[block]
    names = {
        "record_ledger": ("ledger", "other"),
        "record_claims": ("claims", "other_claims"),
        "record_settled": ("settled", "other_settled"),
    }[block]
    tables = {name: f"howdah.queue_{queue}${part}${half}" for half, name in enumerate(names)}
    return store.named(block, **tables)(floor=ledger.floor)
