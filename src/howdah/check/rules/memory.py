"""Memory, temporary files and connections.

Owns the rules on what the server may take at its observed load. The memory of the host is not
visible by SQL: it counts only where the user told it.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, size
from howdah.check.knowledge.composing import composed
from howdah.check.knowledge.texts import statement_name
from howdah.check.knowledge.wait_causes import active_sessions
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Database
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import PAGE_BYTES, Picture
from howdah.snapshot.texts import HIDDEN

_NODES = 2  # sorts and hashes that one statement runs at a time; an assumption, shown as one
_HOST_SHARE = 0.80  # of the host's memory; the rest is for the kernel and its cache
_MEGABYTE = 1024 * 1024
_SPILL_BYTES_PER_HOUR = 100 * _MEGABYTE  # of one statement
_SPILL_BYTES = 1024 * _MEGABYTE  # in all, where the rate is not known
_SPILL_CALLS = 2  # once is an accident
_FILES_BYTES_PER_HOUR = 1024 * _MEGABYTE  # of the database
_CONNECTIONS_WARNING = 0.80
_CONNECTIONS_CRITICAL = 0.95


# --- the budget -----------------------------------------------------------------------------------


@rule(
    id="memory-budget",
    title="More memory promised than the host has",
    severity=Severity.WARNING,
    objects="memory budgets",
    needs=("settings", "databases"),
    what="shared_buffers, the autovacuum workers' memory, and work_mem times "
    "hash_mem_multiplier for two sorts or hashes of each session that was observed at work, "
    "against 80 % of the host's memory.",
    why="When memory runs out the kernel ends a process, and the server restarts with every "
    "session lost.",
    wrong_when="The host's memory is compared only if it was told: SQL cannot see it, and "
    "effective_cache_size is advice to the planner, not memory. Two nodes a statement is an "
    "assumption. The load at other hours may be higher than the mean that was observed.",
    source="PostgreSQL documentation, 'Resource Consumption'",
)
def memory_budget(picture: Picture, _: Answers) -> Examination:
    """The budget at the observed concurrency."""
    parts = budget(picture)
    if parts is None:
        return Examination(of=1, unknown="a memory setting or the concurrency is not known")
    total, told = sum(parts.values()), picture.snapshot.host_memory_bytes
    if told is None:
        reason = (
            f"the budget at the observed concurrency is {size(total)}, but the host's memory "
            "is not visible by SQL. Try: --host-memory-megabytes"
        )
        return Examination(of=1, unknown=reason)
    over = total > _HOST_SHARE * told
    findings = (_over(picture, parts, told),) if over else ()
    return Examination(examined=1, of=1, findings=findings)


def concurrency(picture: Picture) -> float | None:
    """Sessions at work: the most of the window's mean, the samples' mean, and each sample."""
    seconds, here = picture.window.seconds, picture.current_database
    seen = [here.active_milliseconds / 1000 / seconds] if seconds and here else []
    seen += [
        float(s.active_sessions) for s in picture.snapshot.counter_samples.rows if s.active_sessions
    ]
    between = active_sessions(picture)
    seen += [] if between is None else [between]
    return max(seen, default=None)


def budget(picture: Picture) -> dict[str, float] | None:
    """Bytes by use, at the observed concurrency; None where a part is not known."""
    buffers, work = picture.setting_number("shared_buffers"), picture.setting_number("work_mem")
    # hash_mem_multiplier is 1.0 by default in 14 and 2.0 since 15; the setting says which
    hashing = picture.setting_number("hash_mem_multiplier")
    workers = picture.setting_number("autovacuum_max_workers")
    vacuum = picture.setting_number("autovacuum_work_mem")
    if vacuum is not None and vacuum < 0:
        vacuum = picture.setting_number("maintenance_work_mem")
    sessions = concurrency(picture)
    if None in (buffers, work, hashing, workers, vacuum, sessions):
        return None
    return {
        "shared_buffers": buffers or 0.0,
        "autovacuum": (workers or 0.0) * (vacuum or 0.0),
        "statements": max(1.0, sessions or 0.0) * _NODES * (work or 0.0) * max(1.0, hashing or 1.0),
    }


def _over(picture: Picture, parts: dict[str, float], told: int) -> Finding:
    total = sum(parts.values())
    return Finding(
        rule="memory-budget",
        object="server",
        severity=Severity.WARNING,
        claim=f"At the observed concurrency the settings allow {size(total)}, and the host "
        f"has {size(told)}.",
        evidence=(
            {
                **{f"{use}_bytes": int(count) for use, count in parts.items()},
                "host_memory_bytes": told,
                "observed_sessions_at_work": round(concurrency(picture) or 0.0, 1),
                "nodes_per_statement_assumed": _NODES,
                "work_mem": picture.setting("work_mem"),
                "hash_mem_multiplier": picture.setting("hash_mem_multiplier"),
            },
        ),
        confidence=Confidence.ESTIMATED,
        refuted_by="the memory that the host's processes really take at the busiest hour",
        cost_if_wrong="statements spill that could have stayed in memory",
        harm=harm.outage(None, share=min(1.0, total / told)),
        remedies=(
            remedies.manual(
                "lower-memory",
                {},
                (),
                "lower work_mem for everyone and raise it for the roles that need it; let a pool "
                "bound the sessions at work",
            ),
        ),
        window=picture.window,
    )


# --- spills ---------------------------------------------------------------------------------------


@rule(
    id="spills",
    title="Statement that spills to disk",
    severity=Severity.WARNING,
    objects="statements",
    needs=("statements", "settings"),
    what="A statement, called twice or more, that writes 100 MB of temporary files an hour (or "
    "1 GB in all, where the window is not known).",
    why="Sorts, hashes and CTEs that do not fit in work_mem are written and read again, and the "
    "disk is shared with everyone.",
    wrong_when="pg_stat_statements may have been reset later than the other counters: then the "
    "true rate is higher than stated. Less memory can mean less spilled, where the planner then "
    "chooses another way: try before you believe.",
    source="PostgreSQL documentation, pg_stat_statements; measured with hash_mem_multiplier",
)
def spills(picture: Picture, _: Answers) -> Examination:
    """Statements by the temporary blocks that they write."""
    fact = picture.snapshot.statements
    rows = [row for row in fact.rows if row.text != HIDDEN]
    hidden = len(fact.rows) - len(rows)
    findings = tuple(_spilling(picture, row) for row in rows if _spills_much(picture, row))
    reason = f"{counted(hidden, 'statement')} may not be read by {picture.server.role}"
    return Examination(
        examined=len(rows),
        of=len(fact.rows) + fact.left_out,
        unknown=reason if hidden else fact.reason,
        findings=findings,
    )


def _spills_much(picture: Picture, row: Statement) -> bool:
    written = row.temp_blocks_written * PAGE_BYTES
    rate = picture.per_hour(written)
    much = written >= _SPILL_BYTES if rate is None else rate >= _SPILL_BYTES_PER_HOUR
    return much and row.calls >= _SPILL_CALLS


def _spilling(picture: Picture, row: Statement) -> Finding:
    each = row.temp_blocks_written * PAGE_BYTES / max(1, row.calls)
    moved = row.temp_blocks_written + row.temp_blocks_read
    return Finding(
        rule="spills",
        object=statement_name(row.text),
        severity=Severity.WARNING,
        claim=f"A statement of {row.role} writes {size(each)} of temporary files a call, "
        f"in {counted(row.calls, 'call')}.",
        evidence=(
            {
                "statement": row.text,
                "role": row.role,
                "calls": row.calls,
                "temp_bytes_per_call": int(each),
                "temp_bytes_per_hour": picture.per_hour(row.temp_blocks_written * PAGE_BYTES),
                "work_mem": picture.setting("work_mem"),
                "work_mem_unit": picture.settings["work_mem"].unit
                if "work_mem" in picture.settings
                else None,
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="EXPLAIN (ANALYZE, BUFFERS) without temp blocks, with the role's own settings",
        cost_if_wrong="memory taken by this role in each node of each of its statements",
        harm=harm.waste(moved / max(1, row.calls), picture.per_hour(row.calls)),
        remedies=(
            remedies.manual(
                "raise-work-mem",
                {"role": row.role},
                (composed("ALTER ROLE {r} SET work_mem = '...'", r=row.role),),
                "try it in one session first, with about three times the bytes per call, and look "
                "at the plan; or an index that gives the order, or fewer rows",
            ),
        ),
        window=picture.window,
    )


@rule(
    id="temporary-files",
    title="Database that writes many temporary files",
    severity=Severity.NOTICE,
    objects="databases",
    needs=("databases",),
    what="A database whose sessions write 1 GB of temporary files an hour or more.",
    why="It is disk traffic that memory or an index could save, and a full disk if it comes "
    "together.",
    wrong_when="Index builds and reports at night write temporary files as they should.",
    source="PostgreSQL documentation, pg_stat_database",
)
def temporary_files(picture: Picture, _: Answers) -> Examination:
    """The current database by the bytes of temporary files in its window."""
    row = picture.current_database
    if row is None:
        return Examination(of=1, unknown="the current database has no counters")
    rate = picture.per_hour(row.temp_bytes)
    if rate is None:
        return Examination(of=1, unknown=f"no window: {picture.window.reason}")
    findings = (_many_files(picture, row, rate),) if rate >= _FILES_BYTES_PER_HOUR else ()
    return Examination(examined=1, of=1, findings=findings)


def _many_files(picture: Picture, row: Database, rate: float) -> Finding:
    return Finding(
        rule="temporary-files",
        object=f"database {row.name}",
        severity=Severity.NOTICE,
        claim=f"Database {row.name} writes {size(rate)} of temporary files an hour.",
        evidence=({"files": row.temp_files, "bytes": row.temp_bytes, "bytes_per_hour": rate},),
        confidence=Confidence.MEASURED,
        refuted_by="temp_bytes of pg_stat_database that stands still",
        cost_if_wrong="time spent on statements that spill rarely",
        harm=harm.waste(2, rate / PAGE_BYTES),
        remedies=(remedies.manual("find-spills", {}, (), "log_temp_files tells which statements"),),
        window=picture.window,
    )


# --- connections ----------------------------------------------------------------------------------


@rule(
    id="connections",
    title="Connections run out",
    severity=Severity.CRITICAL,
    objects="servers",
    needs=("settings", "databases"),
    what="More than 80 % of the connections that ordinary roles may open are in use.",
    why="The next client is refused, and so is the monitoring if its role has no reserve.",
    wrong_when="It is one moment. A pool in front may keep its connections open on purpose; then "
    "its size, not its use, is what is seen.",
    source="PostgreSQL documentation, 'Connection Settings'",
)
def connections(picture: Picture, _: Answers) -> Examination:
    """Client connections against max_connections without the reserved ones."""
    limit = picture.setting_number("max_connections")
    if limit is None:
        return Examination(of=1, unknown="max_connections is not known")
    reserved = picture.setting_number("superuser_reserved_connections") or 0
    reserved += picture.setting_number("reserved_connections") or 0  # 16 and later
    free = max(1.0, limit - reserved)
    used = _clients(picture)
    findings = (_crowded(picture, used, free),) if used / free >= _CONNECTIONS_WARNING else ()
    return Examination(examined=1, of=1, findings=findings)


def _clients(picture: Picture) -> int:
    """Client backends, where every one shows what it is; else all backends of databases."""
    sessions = picture.snapshot.sessions
    if sessions.known and sessions.rows and all(row.backend_type for row in sessions.rows):
        return sum(row.backend_type == "client backend" for row in sessions.rows)
    return sum(row.connections for row in picture.snapshot.databases.rows)


def _crowded(picture: Picture, used: int, free: float) -> Finding:
    states: dict[str, int] = {}
    for row in picture.snapshot.sessions.rows:
        if row.backend_type == "client backend":
            state = row.state or "hidden"
            states[state] = states.get(state, 0) + 1
    share = used / free
    return Finding(
        rule="connections",
        object="server",
        severity=Severity.CRITICAL if share >= _CONNECTIONS_CRITICAL else Severity.WARNING,
        claim=f"{used:,} of the {free:,.0f} connections that ordinary roles may open are in use "
        f"({share:.0%}).",
        evidence=({"used": used, "available": int(free), "by_state": states},),
        confidence=Confidence.PROVEN,
        refuted_by="a count of client backends in pg_stat_activity, now",
        cost_if_wrong="a pool that was not needed yet",
        harm=harm.outage(24.0 if share < _CONNECTIONS_CRITICAL else 1.0, share=share),
        remedies=(
            remedies.manual(
                "pool-connections",
                {},
                (),
                "put a pool in front, close idle connections; more connections need a restart "
                "with a higher max_connections, and memory",
            ),
        ),
    )
