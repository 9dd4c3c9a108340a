"""The WAL on its way to the archive, and the checkpoints that bound it.

Owns the rules on archiving and on checkpoints.
"""

from __future__ import annotations

import re
from datetime import datetime

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, size
from howdah.check.knowledge.composing import composed, literal
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, rule
from howdah.snapshot.facts.counters import Archiver, Checkpoints
from howdah.snapshot.picture import Picture

_SEGMENT_NAME = re.compile(r"[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})")  # timeline, log, segment
_LOG_BYTES = 2**32
_QUEUE = 10  # finished segments that wait: 160 MB by default
_REQUESTED_SHARE = 0.5  # of all checkpoints
_REQUESTED = 10  # fewer are backups and people
# The server starts a checkpoint by WAL at max_wal_size / (1 + checkpoint_completion_target), about
# half of it; a quarter leaves room for the checkpoints in the count that people asked for.
_FILLED_SHARE = 0.25
_SETTLED_SECONDS = 3600.0  # a burst of seconds is no rate to size a disk by
_ROOM = 3  # max_wal_size as a multiple of the WAL between two timed checkpoints


def segment_end(file: str | None, segment_bytes: float) -> int | None:
    """The position, in bytes, at which the segment of that file ends; None for other files.

    >>> segment_end("000000010000000000000003", 16 * 1024**2)
    67108864
    """
    match = _SEGMENT_NAME.match(file or "")
    if match is None or segment_bytes <= 0:
        return None
    return int(match[1], 16) * _LOG_BYTES + (int(match[2], 16) + 1) * int(segment_bytes)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# --- the archive ----------------------------------------------------------------------------------


@rule(
    id="archiver-failing",
    title="WAL is not archived",
    severity=Severity.CRITICAL,
    objects="archivers",
    needs=("settings", "archiver"),
    what="An archiver whose last attempt failed, that lags ten segments or more behind the WAL, or "
    "that has no command at all although archiving is on.",
    why="The WAL stays until the disk is full and the server stops; and since the last success "
    "nothing can be restored.",
    wrong_when="One failure before a retry that is about to succeed. An idle server archives "
    "nothing and is fine: the archive is compared with the position of the WAL, not with a clock. "
    "Backups made without archiving are not seen by SQL.",
    source="PostgreSQL documentation, 'Continuous Archiving' and pg_stat_archiver",
)
def archiver_failing(picture: Picture, _: Answers) -> Examination:
    """The archiver against its own failures, its queue and the WAL's position."""
    mode = picture.setting("archive_mode")
    if mode == "off":
        return Examination(not_applicable="archive_mode is off")
    if mode is None:
        return Examination(of=1, unknown="archive_mode is not known")
    if picture.server.in_recovery and mode != "always":
        return Examination(not_applicable="a standby archives only with archive_mode = always")
    row = next(iter(picture.snapshot.archiver.rows), None)
    if row is None:
        return Examination(of=1, unknown="pg_stat_archiver showed no row")
    wrong = _wrong(picture, row)
    return Examination(examined=1, of=1, findings=(_failing(picture, row, wrong),) if wrong else ())


def _wrong(picture: Picture, row: Archiver) -> str:
    """What is wrong, as the rest of a sentence on the archiver; '' where nothing is."""
    failed, done = _time(row.last_failed_time), _time(row.last_archived_time)
    if picture.setting("archive_command") == "" and not picture.setting("archive_library"):
        return "has neither a command nor a library, so every WAL segment stays"
    if failed is not None and (done is None or failed > done):
        since = f"since {done:%Y-%m-%d %H:%M} UTC" if done else "and never succeeded"
        return f"failed on {row.last_failed_wal} {since}"
    queue = next(iter(picture.snapshot.archive_queue.rows), None)
    if queue is not None and queue.ready >= _QUEUE:
        return f"has {queue.ready} finished segments waiting"
    behind = _behind(picture, row)
    if behind is not None and behind >= _QUEUE:
        return f"is silent, {behind} segments behind the WAL"
    return ""


def _behind(picture: Picture, row: Archiver) -> int | None:
    """Whole segments that were finished after the last archived one."""
    size = picture.setting_number("wal_segment_size") or 0.0
    end = segment_end(row.last_archived_wal, size)
    samples = picture.snapshot.counter_samples.rows
    position = samples[-1].wal_position if samples else None
    if end is None or position is None:
        return None
    return max(0, (position - end) // int(size))


def _failing(picture: Picture, row: Archiver, wrong: str) -> Finding:
    queue = next(iter(picture.snapshot.archive_queue.rows), None)
    return Finding(
        rule="archiver-failing",
        object="archiver",
        severity=Severity.CRITICAL,
        claim=f"The archiver {wrong}; {counted(row.failed, 'failure')} since the counters began.",
        evidence=(
            {
                "archived": row.archived,
                "last_archived_wal": row.last_archived_wal,
                "last_archived_time": row.last_archived_time,
                "failed": row.failed,
                "last_failed_wal": row.last_failed_wal,
                "last_failed_time": row.last_failed_time,
                "segments_waiting": queue.ready if queue else None,
                "segments_behind": _behind(picture, row),
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a last_archived_time later than the last failure",
        cost_if_wrong="one look at the server's log",
        harm=harm.outage(24.0),
        remedies=(
            remedies.manual(
                "repair-archiving",
                {"file": row.last_failed_wal or ""},
                ("SELECT * FROM pg_catalog.pg_stat_archiver",),
                "the server's log has the command's own message; run the command by hand on the "
                "failed file, never delete files of pg_wal, and take a base backup if segments "
                "were lost",
            ),
        ),
        window=picture.window,
    )


# --- checkpoints ----------------------------------------------------------------------------------


@rule(
    id="checkpoints-requested",
    title="Checkpoints come too often",
    severity=Severity.NOTICE,
    objects="checkpointers",
    needs=("checkpoints", "settings"),
    what="At least ten requested checkpoints, more of them than timed ones, and on average a "
    "quarter of max_wal_size or more of WAL per checkpoint: it is full before checkpoint_timeout.",
    why="After each checkpoint the first change of every page writes the whole page into the WAL.",
    wrong_when="Backups, CREATE DATABASE and people request checkpoints as well; they come with "
    "little WAL, but among many of them the average hides a real one. A load that has ended still "
    "shows in the counters.",
    source="PostgreSQL documentation, 'WAL Configuration'",
)
def checkpoints_requested(picture: Picture, _: Answers) -> Examination:
    """Requested against timed checkpoints since the reset."""
    row = next(iter(picture.snapshot.checkpoints.rows), None)
    if row is None:
        return Examination(of=1, unknown="no row on checkpoints")
    total = row.requested + row.timed
    often = row.requested >= _REQUESTED and row.requested > _REQUESTED_SHARE * total
    if not often:
        return Examination(examined=1, of=1)
    wal, limit = next(iter(picture.snapshot.wal.rows), None), picture.setting_number("max_wal_size")
    if wal is None or not limit:
        reason = "whether WAL or people requested the checkpoints: their WAL is not known"
        return Examination(of=1, unknown=reason)
    filled = wal.bytes / total >= _FILLED_SHARE * limit
    return Examination(examined=1, of=1, findings=(_often(picture, row),) if filled else ())


def _often(picture: Picture, row: Checkpoints) -> Finding:
    wal = next(iter(picture.snapshot.wal.rows), None)
    limit = picture.setting_number("max_wal_size") or 0.0
    wanted = max(2 * limit, _wal_between_timed(picture) * _ROOM)
    value = f"{int(wanted // 1024**2)}MB"
    return Finding(
        rule="checkpoints-requested",
        object="checkpointer",
        severity=Severity.NOTICE,
        claim=f"{row.requested:,} of {counted(row.requested + row.timed, 'checkpoint')} came "
        f"before their time, as max_wal_size ({size(limit)}) was full.",
        evidence=(
            {
                "requested": row.requested,
                "timed": row.timed,
                "max_wal_size_bytes": limit,
                "full_page_images": wal.full_page_images if wal else None,
                "wal_records": wal.records if wal else None,
                "wal_bytes": wal.bytes if wal else None,
                "since": row.stats_reset,
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="the log of checkpoints, with another reason than 'wal'",
        cost_if_wrong=f"up to {value} of disk for pg_wal, and a longer crash recovery",
        harm=harm.waste(1, picture.per_hour(wal.full_page_images) if wal else None),
        remedies=(
            remedies.manual(
                "raise-max-wal-size",
                {"value": value},
                (composed("ALTER SYSTEM SET max_wal_size = {v}", v=literal(value)),),
                "whether the disk of pg_wal has this room is for its owner to say; then reload",
            ),
        ),
        window=picture.window,
    )


def _wal_between_timed(picture: Picture) -> float:
    """WAL that the mean rate writes in one checkpoint_timeout, in bytes; 0 where not known."""
    wal = next(iter(picture.snapshot.wal.rows), None)
    settled = (picture.window.seconds or 0.0) >= _SETTLED_SECONDS
    rate = picture.per_hour(wal.bytes) if wal and settled else None
    timeout = picture.setting_number("checkpoint_timeout") or 0.0
    return (rate or 0.0) / 3600 * timeout
