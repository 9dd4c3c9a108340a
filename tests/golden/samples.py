"""A hand-made diagnosis, rich enough for every rendering: a sick shop, the same shop cured."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from howdah.check.diagnosis import Diagnosis, Suppressed, diagnosed
from howdah.check.model import (
    Confidence,
    Examination,
    Finding,
    Kind,
    Proof,
    Remedy,
    Result,
    Rule,
    Severity,
)
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.activity import (
    Blocking,
    Lock,
    PreparedTransaction,
    Session,
    WaitSample,
)
from howdah.snapshot.facts.catalog import Database, Index, Relation, Setting
from howdah.snapshot.facts.counters import IndexStatistics
from howdah.snapshot.facts.replication import ReplicationSlot, Standby
from howdah.snapshot.model import Snapshot
from tests.making import NOW, fact, row, snapshot

HOSTILE = 'public.<script>alert(1)</script>[bold]\x1b[31m"'


def finding(rule: str, object: str, severity: Severity, claim: str, **given: Any) -> Finding:
    values: dict[str, Any] = {
        "evidence": (),
        "confidence": Confidence.PROVEN,
        "refuted_by": "a second look that shows the opposite",
        "cost_if_wrong": "an hour of work for nothing",
        "harm": 1.0,
    }
    return Finding(rule=rule, object=object, severity=severity, claim=claim, **(values | given))


def _proof(**given: Any) -> Proof:
    values: dict[str, Any] = {
        "proven": True,
        "reason": "it ran, and the rule is ok",
        "server": "PostgreSQL 18.6",
        "locks": ("ShareUpdateExclusiveLock on public.orders",),
        "wal_bytes": 1_310_720,
        "seconds": 0.42,
        "rows": 100_000,
    }
    return Proof(**(values | given))


PINNED = finding(
    "horizon-pinned",
    "database shop",
    Severity.CRITICAL,
    "A transaction that has been idle for 3 h 12 min keeps 48,211,930 dead versions from being "
    "removed anywhere in database shop.",
    evidence=(
        {
            "holder": "session 4242",
            "application": "nightly-export",
            "state": "idle in transaction",
            "age_transactions": 1_204_558,
            "in_transaction_seconds": 11_520.0,
        },
    ),
    confidence=Confidence.MEASURED,
    harm=9e6,
    remedies=(
        Remedy(
            operation="end-session",
            arguments={"pid": 4242},
            sql=("SELECT pg_catalog.pg_terminate_backend(4242)",),
            manual=True,
            note="its open transaction is rolled back; ask its owner first",
        ),
    ),
)
SEQUENCE = finding(
    "sequence-exhaustion",
    "public.orders.id",
    Severity.CRITICAL,
    "public.orders.id is int4 and 97 % used: at 412,000 rows a day it is full in 6 days.",
    evidence=(
        {
            "column_type": "int4",
            "last_value": 2_083_059_138,
            "maximum": 2_147_483_647,
            "used_fraction": 0.97,
            "rows_per_hour": 17_166.7,
            "full_in_days": 6.4,
        },
    ),
    harm=4e6,
    remedies=(
        Remedy(
            operation="widen-key",
            arguments={"table": "public.orders", "column": "id", "type": "bigint"},
            sql=("ALTER TABLE public.orders ALTER COLUMN id TYPE bigint",),
            proof=_proof(
                proven=False,
                reason="it rewrites public.orders under AccessExclusiveLock: too long for 41 GB",
                locks=("AccessExclusiveLock on public.orders",),
                rewrites=("public.orders",),
            ),
        ),
    ),
    window=None,
)
REDUNDANT = finding(
    "redundant-index",
    "public.orders_customer",
    Severity.WARNING,
    "public.orders_customer is a prefix of public.orders_customer_created: every write maintains "
    "both.",
    evidence=(
        {
            "index": "public.orders_customer",
            "covered_by": "public.orders_customer_created",
            "size_pages": 161_203,
            "writes_per_hour": 51_500.0,
        },
        {
            "index": "public.orders_customer_created",
            "definition": "CREATE INDEX orders_customer_created ON public.orders "
            "USING btree (customer_id, created_at) WITH (fillfactor='90')",
            "size_pages": 240_004,
        },
    ),
    harm=300_000.0,
    remedies=(
        Remedy(
            operation="drop-index",
            arguments={"index": "public.orders_customer"},
            sql=('DROP INDEX CONCURRENTLY "public"."orders_customer"',),
            inverse=(
                "CREATE INDEX CONCURRENTLY orders_customer ON public.orders USING btree "
                "(customer_id) WHERE (state = ANY (ARRAY['open'::text, 'paid'::text]))",
            ),
            retry_safe=(
                "SET statement_timeout = 0",
                "SET lock_timeout = '2s'",
                'DROP INDEX CONCURRENTLY IF EXISTS "public"."orders_customer"',
            ),
            proof=_proof(),
        ),
    ),
)
NOTICES = tuple(
    finding(
        "unused-index",
        f"public.events_{name}",
        Severity.NOTICE,
        f"public.events_{name} was not used for 7 d, on this server or a standby that was asked.",
        evidence=({"index": f"public.events_{name}", "scans": 0, "size_bytes": 8192 * 1000},),
        confidence=Confidence.MEASURED,
        harm=float(100 - place),
        window=snapshot().window,
        remedies=(
            Remedy(
                operation="drop-index",
                arguments={"index": f"public.events_{name}"},
                sql=(f'DROP INDEX CONCURRENTLY "public"."events_{name}"',),
            ),
        ),
    )
    for place, name in enumerate(("kind", "actor", "at", "source", "region"))
)
STRANGE = finding(
    "invalid-index",
    HOSTILE,
    Severity.WARNING,
    f"{HOSTILE} is invalid: every write maintains it and no query can use it.",
    evidence=({"index": HOSTILE, "is_valid": False, "definition": None},),
    harm=10.0,
)


def result(rule: str, title: str, *findings: Finding, **given: Any) -> Result:
    kind = Kind.FINDING if findings else Kind.OK
    values: dict[str, Any] = {
        "kind": kind,
        "reason": "examined 214 of 214 indexes",
        "examined": 214,
        "of": 214,
    }
    return Result(rule=rule, title=title, findings=findings, **(values | given))


def _silent(rule: str, title: str, kind: Kind, reason: str) -> Result:
    return result(rule, title, kind=kind, reason=reason, examined=0, of=0)


STATEMENTS_MISSING = "statements: unsupported (pg_stat_statements is not installed)"
_OTHERS = (
    result("duplicate-index", "Duplicate index"),
    result(
        "leaf-density",
        "Sparse B-tree",
        reason="examined 40 of 214 B-trees; the I/O budget ended",
        examined=40,
    ),
    _silent("queue-order", "Queue ordered by a timestamp", Kind.UNKNOWN, STATEMENTS_MISSING),
    _silent("work-mem", "Spills to disk", Kind.UNKNOWN, STATEMENTS_MISSING),
    _silent(
        "hba-open",
        "Open to the world",
        Kind.UNKNOWN,
        "settings: denied (pg_hba_file_rules is for superusers)",
    ),
    _silent(
        "standby-lag", "Standby behind", Kind.NOT_APPLICABLE, "there are no standbys connected"
    ),
)
SICK = (
    result("horizon-pinned", "Pinned horizon", PINNED, reason="examined 9 of 9 holders"),
    result("sequence-exhaustion", "Key near its end", SEQUENCE),
    result("redundant-index", "Redundant index", REDUNDANT),
    result("unused-index", "Unused index", *NOTICES),
    result("invalid-index", "Invalid index", STRANGE),
    *_OTHERS,
)
CURED = (
    result("horizon-pinned", "Pinned horizon", reason="examined 8 of 8 holders"),
    result("sequence-exhaustion", "Key near its end", SEQUENCE),
    result("redundant-index", "Redundant index"),
    _silent("unused-index", "Unused index", Kind.UNKNOWN, "counters were reset 2 min ago"),
    result("invalid-index", "Invalid index", reason="examined 213 of 213 indexes"),
    *_OTHERS,
)


def diagnosis(results: tuple[Result, ...] = SICK, **given: Any) -> Diagnosis:
    taken = snapshot()
    values: dict[str, Any] = {
        "howdah": "0.1.0",
        "server": diagnosed(taken),
        "taken_at": taken.taken_at,
        "window": taken.window,
        "seconds": 1.84,
        "results": results,
        "grants": {
            "queue-order": "CREATE EXTENSION pg_stat_statements (and shared_preload_libraries)",
            "work-mem": "CREATE EXTENSION pg_stat_statements (and shared_preload_libraries)",
        },
    }
    return Diagnosis(**(values | given))


def quiet() -> Diagnosis:
    """Nothing wrong, nothing unknown."""
    return diagnosis((result("duplicate-index", "Duplicate index"),))


def silenced() -> Diagnosis:
    """One finding suppressed, one known, the notes of the run told."""
    return diagnosis(
        suppressed=(
            Suppressed(finding=NOTICES[0].id, reason="yearly closing", expires=date(2027, 1, 31)),
        ),
        baseline=frozenset({REDUNDANT.id}),
        notes=("the suppression of invalid-index:public.old ended on 2025-12-31",),
    )


def rules() -> tuple[Rule, ...]:
    """Documentation of the sample's rules, independent of the real ones."""
    return tuple(
        Rule(
            id=each.rule,
            subject="sample",
            title=each.title,
            severity=Severity.WARNING,
            objects="objects",
            what=f"What {each.rule} looks for.",
            why=f"Why {each.rule} hurts.",
            wrong_when=f"How {each.rule} can be wrong.",
            source="made by hand for tests",
            needs=(),
            examine=lambda picture, answers: Examination(),
        )
        for each in SICK
    )


# --- the snapshot behind it -----------------------------------------------------------------------


def _setting(name: str, value: int) -> Setting:
    return row(Setting, name=name, value=str(value))


def _tables() -> list[Relation]:
    ages = {"orders": 612, "order_lines": 411, "events": 355, "customers": 120, "outbox": 20}
    return [
        row(
            Relation,
            oid=100 + place,
            schema="public",
            name=name,
            kind="r",
            xid_age=age * 1_000_000,
            mxid_age=age * 1_700_000,
            pages=40_000 * (place + 1),
            tuples=1e6,
        )
        for place, (name, age) in enumerate(ages.items())
    ]


def _indexes() -> tuple[list[Index], list[IndexStatistics]]:
    shapes = [(place, 30 * 3**place, 10 ** (place % 6)) for place in range(9)]
    shapes += [(20, 161_203, 0), (21, 9_000, 0), (22, 1_000, 0)]
    indexes = [
        row(
            Index,
            oid=1000 + place,
            relation=100,
            schema="public",
            name=f"orders_index_{place}",
            pages=pages,
            is_unique=place % 4 == 0,
            is_valid=True,
        )
        for place, pages, _ in shapes
    ]
    uses = [row(IndexStatistics, index=1000 + place, scans=scans) for place, _, scans in shapes]
    return indexes, uses


def _sessions() -> list[Session]:
    def session(pid: int, state: str, seconds: float, query: str, xmin: int | None) -> Session:
        return row(
            Session,
            pid=pid,
            database="shop",
            role="app",
            application=f"worker-{pid}",
            backend_type="client backend",
            is_visible=True,
            state=state,
            xmin_age=xmin,
            seconds_in_transaction=seconds,
            seconds_in_state=seconds,
            query=query,
        )

    update = "UPDATE public.orders SET state = $1 WHERE id = $2"
    return [
        session(4242, "idle in transaction", 11_520, "SELECT * FROM public.orders", 1_204_558),
        session(4300, "active", 95, "ALTER TABLE public.orders ADD COLUMN note text", 90_000),
        session(4301, "active", 93, update, 4_000),
        session(4302, "active", 90, update, 3_000),
        session(4303, "active", 12, "SELECT count(*) FROM public.orders", 500),
    ]


def _waits() -> list[WaitSample]:
    samples = []
    for tick in range(40):
        shares = {
            ("", ""): 3 + tick % 3,
            ("LWLock", "MultiXactMemberSLRU"): max(0, tick - 12) // 3,
            ("Lock", "transactionid"): 2 if 10 < tick < 30 else 0,
            ("IO", "DataFileRead"): 1 + tick % 2,
            ("Client", "ClientRead"): 1,
        }
        samples += [
            row(
                WaitSample,
                tick=tick,
                at_seconds=tick * 0.25,
                wait_type=kind,
                wait_event=event,
                sessions=count,
            )
            for (kind, event), count in shares.items()
            if count
        ]
    return samples


def sick_snapshot() -> Snapshot:
    """The shop before: every picture has something to show."""
    indexes, uses = _indexes()
    lock = {"kind": "relation", "relation": "public.orders", "is_granted": False}
    return snapshot(
        databases=[
            row(
                Database, name="shop", is_current=True, xid_age=612_000_000, mxid_age=1_740_400_000
            ),
            row(Database, name="postgres", xid_age=180_000_000, mxid_age=12_000_000),
            row(Database, name="template1", xid_age=180_000_000, mxid_age=12_000_000),
        ],
        settings=[
            _setting("autovacuum_freeze_max_age", 200_000_000),
            _setting("vacuum_failsafe_age", 1_600_000_000),
            _setting("autovacuum_multixact_freeze_max_age", 400_000_000),
            _setting("vacuum_multixact_failsafe_age", 1_600_000_000),
        ],
        relations=_tables(),
        indexes=indexes,
        index_statistics=uses,
        sessions=_sessions(),
        locks=[
            row(Lock, pid=4300, mode="AccessExclusiveLock", **lock),
            row(Lock, pid=4301, mode="RowExclusiveLock", **lock),
            row(Lock, pid=4302, mode="RowExclusiveLock", **lock),
            row(Lock, pid=4303, mode="AccessShareLock", **lock),
        ],
        blocking=[
            row(Blocking, pid=4300, blockers=(4242,)),
            row(Blocking, pid=4301, blockers=(4300,)),
            row(Blocking, pid=4302, blockers=(4300, 4301)),
            row(Blocking, pid=4303, blockers=(4300,)),
        ],
        prepared_transactions=[
            row(
                PreparedTransaction,
                gid="payment-77-<b>",
                database="shop",
                role="app",
                xid_age=830_000,
                seconds_prepared=7_200.0,
            )
        ],
        slots=[
            row(
                ReplicationSlot,
                name="analytics",
                kind="logical",
                database="shop",
                catalog_xmin_age=402_000,
                seconds_inactive=86_400.0,
            )
        ],
        standbys=[row(Standby, pid=77, application="standby-b", xmin_age=1_100, is_visible=True)],
        wait_samples=_waits(),
    )


def crowded() -> tuple[Diagnosis, Snapshot]:
    """Names of 63 letters everywhere, many of everything, lines that fall together."""
    name = "a_table_whose_name_goes_on_and_on_until_it_has_sixty_three_char"
    table = f"{name}.{name}"
    many = tuple(
        finding(
            "foreign-key-without-index",
            f"{table}_{place}",
            Severity.WARNING,
            f"{table}_{place} references {table} without an index.",
            evidence=tuple({"constraint": name, "table": table, "rows": n} for n in range(4)),
            remedies=(
                Remedy(
                    operation="create-index",
                    arguments={},
                    sql=(f"CREATE INDEX CONCURRENTLY {name} ON {table} (customer_id)",),
                    proof=_proof(locks=tuple(f"ShareLock on {table}_{n}" for n in range(4))),
                ),
            ),
        )
        for place in range(6)
    )
    sessions = [
        row(
            Session,
            pid=4_000_000 + place,
            application=name.upper(),
            state="idle in transaction (aborted)",
            xmin_age=2_000_000_000 - place,
            seconds_in_transaction=1e6,
            is_visible=True,
            query=f"SELECT {name.upper() * 4}",
        )
        for place in range(30)
    ]
    pairs = [(each.pid, each.pid - 1) for each in sessions[1:]]
    crowd = snapshot(
        databases=[row(Database, name=name, is_current=True, xid_age=2_140_000_000)],
        settings=[
            _setting("autovacuum_freeze_max_age", 2_000_000_000),
            _setting("vacuum_failsafe_age", 2_100_000_000),
        ],
        sessions=sessions,
        blocking=[row(Blocking, pid=pid, blockers=(blocker,)) for pid, blocker in pairs],
        indexes=[row(Index, oid=n, schema=name, name=name, pages=10**n) for n in range(8)],
        index_statistics=[row(IndexStatistics, index=n, scans=0) for n in range(8)],
        wait_samples=_waits(),
    )
    return diagnosis((result("foreign-key-without-index", "No index", *many),)), crowd


def blind_snapshot() -> Snapshot:
    """What a role without any privilege brings home."""
    denied = fact(status=Status.DENIED, reason="needs pg_monitor")
    return snapshot(
        sessions=denied,
        blocking=denied,
        wait_samples=fact(status=Status.SKIPPED, reason="--wait-seconds 0"),
        databases=denied,
        indexes=fact(status=Status.TIMEOUT, reason="5 s"),
        prepared_transactions=denied,
        slots=denied,
        standbys=denied,
    )


def later(minutes: int = 4) -> Any:
    """A moment after the first diagnosis."""
    return NOW + timedelta(minutes=minutes)
