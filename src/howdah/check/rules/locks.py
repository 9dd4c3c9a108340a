"""Sessions that stand in the way of others.

Owns the rules on blocking, on transactions left open, and on the queue behind a schema change. Who
conflicts with whom belongs to `howdah.check.knowledge.blocking`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, duration
from howdah.check.knowledge.blocking import Edge, beneath, edges, roots, strength
from howdah.check.knowledge.composing import composed, raw
from howdah.check.model import Answers, Confidence, Examination, Finding, Remedy, Severity, rule
from howdah.snapshot.facts.activity import Session
from howdah.snapshot.picture import Picture

_BLOCKED_SECONDS = 1.0  # deadlock_timeout's default: what log_lock_waits calls a long wait
_CRITICAL_SECONDS = 60.0
_CRITICAL_SESSIONS = 10
_QUEUE_CRITICAL = 5
_IDLE_SECONDS = 300.0  # no program thinks for five minutes inside a transaction
_IDLE_LONG_SECONDS = 3600.0
_HORIZON_TRANSACTIONS = 100_000  # transactions whose dead rows it keeps
_PAGES_PER_WAITING_SECOND = 10_000.0  # what a session reads in a second at 0.1 ms a page
_STRONG = strength("ShareLock")  # and stronger: what schema changes ask for


def _sessions(picture: Picture) -> dict[int, Session]:
    return {row.pid: row for row in picture.snapshot.sessions.rows}


def _titled(picture: Picture, pid: int) -> str:
    """A name without process id, so that it is the same when the program reconnects."""
    if pid == 0:
        return "a prepared transaction"
    row = _sessions(picture).get(pid)
    if row is None:
        return "a session that has ended"
    program = f" ({row.application})" if row.application else ""
    return f"{row.role or row.backend_type or 'unknown'}@{row.database or '-'}{program}"


def _unique(findings: list[Finding]) -> tuple[Finding, ...]:
    """Number the sessions that share a name."""
    seen: dict[str, int] = {}
    numbered = []
    for found in findings:
        seen[found.object] = count = seen.get(found.object, 0) + 1
        title = found.object if count == 1 else f"{found.object} #{count}"
        numbered.append(_renamed(found, title))
    return tuple(numbered)


def _renamed(found: Finding, title: str) -> Finding:
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    return Finding(**(fields | {"object": title}))


def _ending(pid: int, note: str) -> Remedy:
    if pid == 0:
        sql = ("SELECT gid, prepared, owner, database FROM pg_catalog.pg_prepared_xacts",)
        return remedies.manual("end-prepared-transaction", {}, sql, "then COMMIT or ROLLBACK it")
    call = composed("SELECT pg_catalog.pg_terminate_backend({p})", p=raw(str(pid)))
    return remedies.manual("end-session", {"pid": str(pid)}, (call,), note)


# --- blocking -------------------------------------------------------------------------------------


@rule(
    id="blocking-tree",
    title="Session that blocks others",
    severity=Severity.CRITICAL,
    objects="sessions",
    needs=("blocking", "locks", "sessions"),
    what="A session that others have waited for, for a second or more, and that waits for nobody "
    "itself; with the whole tree behind it and the lock modes that conflict.",
    why="Whoever waits holds locks too, so the tree grows until connections run out.",
    wrong_when="Locks and waiters are read a moment apart; where the lock that is in the way no "
    "longer shows, the evidence says so. Short waits are normal.",
    source="PostgreSQL documentation, pg_blocking_pids and 'Table-Level Locks'",
)
def blocking_tree(picture: Picture, _: Answers) -> Examination:
    """One finding per session at the root of a tree."""
    found = edges(picture)
    findings = []
    for root in sorted(roots(found)):
        tree = beneath(found, root)
        if max(_waited(picture, edge) for _, edge in tree) >= _BLOCKED_SECONDS:
            findings.append(_blocks(picture, root, tree))
    count = len(picture.snapshot.sessions.rows)
    return Examination(examined=count, of=count, findings=_unique(findings))


def _waited(picture: Picture, edge: Edge) -> float:
    """Seconds of waiting; how long the statement has run where the lock does not tell."""
    if edge.seconds is not None:
        return edge.seconds
    row = _sessions(picture).get(edge.waiter)
    return (row.seconds_in_query or 0.0) if row else 0.0


def _blocks(picture: Picture, root: int, tree: tuple[tuple[int, Edge], ...]) -> Finding:
    title = _titled(picture, root)
    longest = max(_waited(picture, edge) for _, edge in tree)
    total = sum(_waited(picture, edge) for _, edge in tree)
    session = _sessions(picture).get(root)
    doing = session.state if session and session.state else "state not visible"
    urgent = len(tree) >= _CRITICAL_SESSIONS or longest >= _CRITICAL_SECONDS
    return Finding(
        rule="blocking-tree",
        object=title,
        severity=Severity.CRITICAL if urgent else Severity.WARNING,
        claim=f"{title}, {doing}, blocks {counted(len(tree), 'session')}, "
        f"the longest for {duration(longest)}.",
        evidence=(
            _node(picture, root, None, 0),
            *(_node(picture, edge.waiter, edge, depth) for depth, edge in tree),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="pg_blocking_pids of the waiting sessions, now",
        cost_if_wrong="the work of the ended session is rolled back and must be done again",
        harm=harm.waste(_PAGES_PER_WAITING_SECOND, len(tree) * 3600.0) + harm.held(total),
        remedies=(
            _ending(root, "first find out what it does; pg_cancel_backend ends a statement"),
        ),
    )


def _node(picture: Picture, pid: int, edge: Edge | None, depth: int) -> Mapping[str, Any]:
    row = _sessions(picture).get(pid)
    waits = {
        "waits_for": edge.kind if edge else None,
        "relation": edge.relation if edge else None,
        "wanted_mode": edge.wanted if edge else None,
        "held_mode": edge.held if edge else None,
        "is_behind_in_queue": edge.is_queued if edge else None,
        "seconds_waiting": round(_waited(picture, edge), 1) if edge else None,
    }
    return {
        "pid": pid,
        "parent_pid": edge.blocker if edge else None,
        "depth": depth,
        "session": _titled(picture, pid),
        "state": row.state if row else None,
        "seconds_in_transaction": row.seconds_in_transaction if row else None,
        **waits,
        "query": row.query if row else None,
    }


# --- the queue behind a schema change -------------------------------------------------------------


@rule(
    id="lock-queue-behind-ddl",
    title="Schema change that makes others queue",
    severity=Severity.CRITICAL,
    objects="sessions that wait for a strong lock",
    needs=("blocking", "locks", "sessions"),
    what="A session that has waited a second or more for a strong lock on a table, with other "
    "sessions queued behind it that the present holders would not block.",
    why="While it waits nobody else gets in, not even readers: the change stops the table before "
    "it has begun.",
    wrong_when="The queue dissolves by itself if the holders end soon.",
    source="PostgreSQL documentation, 'Explicit Locking'; the lock queue is first in, first out",
)
def lock_queue_behind_ddl(picture: Picture, _: Answers) -> Examination:
    """Waiters for strong relation locks that others wait behind."""
    found = edges(picture)
    strong = {
        edge.waiter: edge
        for edge in found
        if edge.kind == "relation" and strength(edge.wanted) >= _STRONG
    }
    held_up = {edge.waiter for edge in found if edge.held and not edge.is_queued}
    findings = []
    for pid, edge in sorted(strong.items()):
        behind = [
            each
            for each in found
            if each.blocker == pid and each.is_queued and each.waiter not in held_up
        ]
        if behind and _waited(picture, edge) >= _BLOCKED_SECONDS:
            findings.append(_queue(picture, edge, behind))
    return Examination(examined=len(strong), of=len(strong), findings=_unique(findings))


def _queue(picture: Picture, edge: Edge, behind: list[Edge]) -> Finding:
    table, seconds = edge.relation or "a relation", _waited(picture, edge)
    cancel = composed("SELECT pg_catalog.pg_cancel_backend({p})", p=raw(str(edge.waiter)))
    return Finding(
        rule="lock-queue-behind-ddl",
        object=table,
        severity=Severity.CRITICAL if len(behind) >= _QUEUE_CRITICAL else Severity.WARNING,
        claim=f"{_titled(picture, edge.waiter)} has waited {duration(seconds)} for {edge.wanted} "
        f"on {table}, and {counted(len(behind), 'session queues', 'sessions queue')} behind it.",
        evidence=(
            _node(picture, edge.waiter, edge, 0),
            *(_node(picture, each.waiter, each, 1) for each in behind),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="pg_blocking_pids of the queued sessions, now",
        cost_if_wrong="the schema change must be run again",
        harm=harm.waste(_PAGES_PER_WAITING_SECOND, len(behind) * 3600.0),
        remedies=(
            remedies.manual(
                "cancel-statement",
                {"pid": str(edge.waiter)},
                (cancel,),
                "run it again with SET lock_timeout = '2s', and retry until it gets through",
            ),
        ),
    )


# --- transactions left open -----------------------------------------------------------------------


@rule(
    id="idle-in-transaction",
    title="Transaction left open",
    severity=Severity.WARNING,
    objects="sessions",
    needs=("sessions",),
    what="A session that idles inside a transaction: for five minutes, or while it blocks others, "
    "or while it keeps back the dead rows of 100,000 transactions.",
    why="Its locks stay, vacuum cannot remove what it may still see, and its connection serves "
    "nobody.",
    wrong_when="A person at a prompt, or a tool that holds a snapshot on purpose, looks the same. "
    "An idle connection outside a transaction is harmless and not meant here.",
    source="PostgreSQL documentation, idle_in_transaction_session_timeout",
)
def idle_in_transaction(picture: Picture, _: Answers) -> Examination:
    """Idle transactions by age, by whom they block, and by the horizon they hold."""
    rows = [row for row in picture.snapshot.sessions.rows if not row.is_own]
    visible = [row for row in rows if row.is_visible]
    blocked: dict[int, int] = {}
    for edge in edges(picture):
        if _waited(picture, edge) < _BLOCKED_SECONDS:
            continue
        blocked[edge.blocker] = blocked.get(edge.blocker, 0) + 1
    findings = [
        _left_open(picture, row, blocked.get(row.pid, 0))
        for row in sorted(visible, key=lambda row: row.pid)
        if (row.state or "").startswith("idle in transaction")
        and (
            (row.seconds_in_state or 0) >= _IDLE_SECONDS
            or blocked.get(row.pid)
            or _horizon(row) >= _HORIZON_TRANSACTIONS
        )
    ]
    hidden = len(rows) - len(visible)
    return Examination(
        examined=len(visible),
        of=len(rows),
        unknown=f"{hidden} sessions of others are hidden from {picture.server.role}",
        findings=_unique(findings),
    )


def _horizon(row: Session) -> int:
    return max(row.xid_age or 0, row.xmin_age or 0)


def _left_open(picture: Picture, row: Session, blocked: int) -> Finding:
    title, idle = _titled(picture, row.pid), row.seconds_in_state or 0.0
    serious = blocked or _horizon(row) >= _HORIZON_TRANSACTIONS or idle >= _IDLE_LONG_SECONDS
    effects = [f"blocks {counted(blocked, 'session')}"] if blocked else []
    if _horizon(row):
        effects.append(f"keeps the dead rows of {counted(_horizon(row), 'transaction')}")
    return Finding(
        rule="idle-in-transaction",
        object=title,
        severity=Severity.WARNING if serious else Severity.NOTICE,
        claim=f"{title} has been {row.state} for {duration(idle)}"
        + (f" and {' and '.join(effects)}." if effects else "."),
        evidence=(
            {
                "pid": row.pid,
                "session": title,
                "state": row.state,
                "seconds_idle": round(idle, 1),
                "seconds_in_transaction": row.seconds_in_transaction,
                "horizon_transactions": _horizon(row),
                "sessions_blocked": blocked,
                "last_query": row.query,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="the session's state in pg_stat_activity, now",
        cost_if_wrong="the ended transaction must be done again",
        harm=harm.waste(_PAGES_PER_WAITING_SECOND, blocked * 3600.0) + harm.held(_horizon(row)),
        remedies=(
            _ending(row.pid, "its transaction is rolled back"),
            remedies.manual(
                "end-idle-transactions",
                {"setting": "idle_in_transaction_session_timeout"},
                ("ALTER SYSTEM SET idle_in_transaction_session_timeout = '10min'",),
                "ends such sessions from now on, after a reload; how long a program may think is "
                "for its owner to say, and can be set per role",
            ),
        ),
    )
