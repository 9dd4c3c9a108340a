"""Settings that risk the data or the service, settings that wait for a restart, broken pages.

Owns the rules on configuration. What is dangerous is a table, keyed by version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, size
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Setting
from howdah.snapshot.picture import Picture

_BLOCKS = re.compile(r"(\d+)kB")  # the unit of settings that count pages

_EVER = 99  # a major version that does not come


@dataclass(frozen=True, kw_only=True)
class Danger:
    """One value of one setting that hurts, in the majors `since` to `until`."""

    setting: str
    value: str
    safe: str
    severity: Severity
    effect: str
    since: int = 14
    until: int = _EVER
    restart: bool = False
    share: float = 0.1  # of an outage, for ranking


_C, _W, _N = Severity.CRITICAL, Severity.WARNING, Severity.NOTICE
DANGERS = (
    Danger(
        setting="fsync",
        value="off",
        safe="on",
        severity=_C,
        share=1.0,
        effect="a crash of the host may destroy the whole database, silently",
    ),
    Danger(
        setting="full_page_writes",
        value="off",
        safe="on",
        severity=_C,
        share=1.0,
        effect="a crash during a page write may leave a torn page that recovery cannot mend",
    ),
    Danger(
        setting="autovacuum",
        value="off",
        safe="on",
        severity=_C,
        share=0.5,
        effect="dead rows pile up and statistics age, until wraparound forces vacuums at any hour",
    ),
    Danger(
        setting="track_counts",
        value="off",
        safe="on",
        severity=_C,
        share=0.5,
        effect="autovacuum does not know what to do, and does nothing but prevent wraparound",
    ),
    Danger(
        setting="zero_damaged_pages",
        value="on",
        safe="off",
        severity=_C,
        share=0.5,
        effect="a damaged page is replaced by an empty one: its rows vanish with a warning",
    ),
    Danger(
        setting="ignore_checksum_failure",
        value="on",
        safe="off",
        severity=_C,
        share=0.5,
        effect="damaged pages are read as if they were good",
    ),
    Danger(
        setting="ignore_invalid_pages",
        value="on",
        safe="off",
        severity=_C,
        share=0.5,
        restart=True,
        effect="recovery goes on where pages are missing, and loses what they held",
    ),
    Danger(
        setting="ignore_system_indexes",
        value="on",
        safe="off",
        severity=_W,
        effect="every look into the catalogs reads them whole",
    ),
    Danger(
        setting="data_sync_retry",
        value="on",
        safe="off",
        severity=_W,
        restart=True,
        effect="after a failed fsync the server goes on with pages that the kernel may have lost",
    ),
    Danger(
        setting="wal_level",
        value="minimal",
        safe="replica",
        severity=_N,
        restart=True,
        effect="no standby, no archive and no online backup is possible",
    ),
    Danger(
        setting="synchronous_commit",
        value="off",
        safe="on",
        severity=_N,
        effect="a crash loses the last commits that clients were told of; a choice, if it is one",
    ),
    Danger(
        setting="password_encryption",
        value="md5",
        safe="scram-sha-256",
        severity=_N,
        effect="new passwords are stored in a form that can be replayed; 18 warns of it",
    ),
    Danger(
        setting="enable_seqscan",
        value="off",
        safe="on",
        severity=_N,
        effect="every plan avoids sequential scans, even where they are best",
    ),
    Danger(
        setting="enable_nestloop",
        value="off",
        safe="on",
        severity=_N,
        effect="every plan avoids nested loops, even for one row",
    ),
    Danger(
        setting="enable_hashjoin",
        value="off",
        safe="on",
        severity=_N,
        effect="every plan avoids hash joins, even of whole tables",
    ),
    Danger(
        setting="enable_indexscan",
        value="off",
        safe="on",
        severity=_N,
        effect="every plan avoids index scans",
    ),
    Danger(
        setting="restart_after_crash",
        value="off",
        safe="on",
        severity=_N,
        effect="one crashed backend ends the whole server; right only under a cluster manager",
    ),
)

# Numbers that are safe at one value only, and in some majors only.
SNAPSHOT_TOO_OLD_UNTIL = 16  # old_snapshot_threshold was removed in 17
DEFER_CLEANUP_UNTIL = 15  # vacuum_defer_cleanup_age was removed in 16


def dangers_of(major: int) -> tuple[Danger, ...]:
    """The entries that mean something in this major version."""
    return (*(d for d in DANGERS if d.since <= major <= d.until), *_numbers(major))


def _numbers(major: int) -> tuple[Danger, ...]:
    found = []
    if major <= DEFER_CLEANUP_UNTIL:
        found.append(
            Danger(
                setting="vacuum_defer_cleanup_age",
                value=">0",
                safe="0",
                severity=_W,
                effect="vacuum leaves the dead rows of so many transactions; slots and feedback "
                "replace it",
            )
        )
    if major <= SNAPSHOT_TOO_OLD_UNTIL:
        found.append(
            Danger(
                setting="old_snapshot_threshold",
                value=">=0",
                safe="-1",
                severity=_W,
                restart=True,
                effect="statements fail with 'snapshot too old'; it had defects and was removed",
            )
        )
    return tuple(found)


def _matches(setting: Setting, danger: Danger) -> bool:
    if danger.value == ">0":
        return float(setting.value) > 0
    if danger.value == ">=0":
        return float(setting.value) >= 0
    return setting.value == danger.value


@rule(
    id="dangerous-setting",
    title="Dangerous setting",
    severity=Severity.CRITICAL,
    objects="settings",
    needs=("settings",),
    what="A setting with a value that risks the data (fsync, full_page_writes, "
    "zero_damaged_pages and their kin), stops maintenance (autovacuum, track_counts), or bends "
    "every plan; by what it means in the server's version.",
    why="Such values are made for one repair or one test, and stay.",
    wrong_when="full_page_writes may be off on a file system that never tears pages. "
    "synchronous_commit = off may be a choice, and restart_after_crash = off belongs to cluster "
    "managers. The values are those that the snapshot's role gets.",
    source="PostgreSQL documentation, 'Server Configuration' and 'Developer Options'",
)
def dangerous_setting(picture: Picture, _: Answers) -> Examination:
    """Settings against the table of dangers of this major version."""
    entries = dangers_of(picture.major)
    known = [(d, picture.settings[d.setting]) for d in entries if d.setting in picture.settings]
    findings = tuple(_dangerous(picture, d, row) for d, row in known if _matches(row, d))
    hidden = [d.setting for d in entries if d.setting not in picture.settings]
    return Examination(
        examined=len(known),
        of=len(entries),
        unknown=f"not visible: {', '.join(hidden)}",
        findings=findings,
    )


def _dangerous(picture: Picture, danger: Danger, row: Setting) -> Finding:
    return Finding(
        rule="dangerous-setting",
        object=danger.setting,
        severity=danger.severity,
        claim=f"{danger.setting} is {row.value}: {danger.effect}.",
        evidence=(
            {
                "setting": row.name,
                "value": row.value,
                "default": row.default,
                "source": row.source,
                "server_major": picture.major,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by=f"SHOW {danger.setting}, as the role that matters",
        cost_if_wrong="the default costs some speed",
        harm=harm.outage(None, share=danger.share),
        remedies=(_set_back(danger, row),),
    )


def _set_back(danger: Danger, row: Setting) -> Remedy:
    if row.source in ("default", "configuration file"):
        return remedies.set_server_setting(
            danger.setting,
            danger.safe,
            restart=danger.restart,
            shape=Shape(settings={danger.setting: row.value}),
        )
    return remedies.manual(
        "set-setting",
        {"setting": danger.setting, "value": danger.safe},
        (),
        f"its source is '{row.source}': change it there, ALTER SYSTEM would not reach it",
    )


# --- waiting for a restart ------------------------------------------------------------------------


@rule(
    id="pending-restart",
    title="Setting that waits for a restart",
    severity=Severity.NOTICE,
    objects="settings",
    needs=("settings",),
    what="A setting whose value in the configuration files differs from the one the server runs "
    "with, and that only a restart will bring into effect.",
    why="Whoever changed it believes it is in force. It comes into force at the next crash, when "
    "nobody expects it.",
    wrong_when="The restart may be planned for tonight.",
    source="PostgreSQL documentation, pg_settings.pending_restart",
)
def pending_restart(picture: Picture, _: Answers) -> Examination:
    """Settings with a pending restart."""
    rows = picture.snapshot.settings.rows
    return Examination(
        examined=len(rows),
        of=len(rows),
        findings=tuple(_pending(row) for row in rows if row.pending_restart),
    )


def _worded(row: Setting) -> str:
    """The running value with its unit; a unit of its own number (8kB) is multiplied out."""
    found = _BLOCKS.fullmatch(row.unit or "")
    if found is None or not (row.value or "").isdigit():
        return f"{row.value} {row.unit or ''}".rstrip()
    return size(int(row.value or 0) * int(found[1]) * 1024)


def _pending(row: Setting) -> Finding:
    return Finding(
        rule="pending-restart",
        object=row.name,
        severity=Severity.NOTICE,
        claim=f"{row.name} runs with {_worded(row)}; another value waits for a restart.",
        evidence=({"setting": row.name, "running_value": row.value, "unit": row.unit},),
        confidence=Confidence.PROVEN,
        refuted_by="pending_restart = false in pg_settings",
        cost_if_wrong="a restart",
        harm=harm.held(1),
        remedies=(
            remedies.manual(
                "restart",
                {"setting": row.name},
                ("SELECT * FROM pg_catalog.pg_file_settings",),
                "restart at a quiet hour, or take the change back in the file that has it",
            ),
        ),
    )


# --- checksums ------------------------------------------------------------------------------------


@rule(
    id="checksum-failures",
    title="Damaged pages",
    severity=Severity.CRITICAL,
    objects="databases",
    needs=("databases",),
    what="A database in which the server has read pages whose checksum was wrong.",
    why="The data on disk is damaged, and backups may carry the damage on.",
    wrong_when="The counter keeps old failures that have been repaired since. Pages that nobody "
    "reads are not checked. Pages of the shared catalogs are counted elsewhere.",
    source="PostgreSQL documentation, pg_stat_database and 'Data Checksums'",
)
def checksum_failures(picture: Picture, _: Answers) -> Examination:
    """Databases by the failures that were counted."""
    rows = picture.snapshot.databases.rows
    known = [row for row in rows if row.checksum_failures is not None]
    if not known:
        if picture.setting_on("data_checksums"):
            return Examination(of=len(rows), unknown="checksums are on, but no counter shows")
        return Examination(not_applicable="data checksums are off: damage would not be noticed")
    findings = [
        Finding(
            rule="checksum-failures",
            object=f"database {row.name}",
            severity=Severity.CRITICAL,
            claim=f"{counted(row.checksum_failures, 'page was', 'pages were')} read from database "
            f"{row.name} with a wrong checksum.",
            evidence=({"database": row.name, "checksum_failures": row.checksum_failures},),
            confidence=Confidence.PROVEN,
            refuted_by="pg_checksums --check on a stopped copy that finds nothing",
            cost_if_wrong="a check of the disks and of the backups",
            harm=harm.outage(1.0),
            remedies=(
                remedies.manual(
                    "rescue",
                    {"database": row.name},
                    (),
                    "keep the damaged files, look at disk and memory of the host, restore from a "
                    "backup made before; do not set ignore_checksum_failure on the only copy",
                ),
            ),
            window=picture.window,
        )
        for row in known
        if row.checksum_failures
    ]
    return Examination(examined=len(known), of=len(known), findings=tuple(findings))
