"""Apply what a diagnosis proved, on the demo's own server.

Owns the choice of one remedy per finding and its execution. Must never apply a remedy that was not
proven, nor one that rewrites a table while customers wait, and must never be given a database that
is not the demo's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import psycopg

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Finding, Remedy
from howdah.postgres import Server


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """One finding and the remedy that was carried out for it."""

    finding: Finding
    remedy: Remedy
    refused: str = ""  # the server's words, where it refused


def chosen(diagnosis: Diagnosis) -> Iterator[tuple[Finding, Remedy]]:
    """The first proven remedy of each finding; one act that cures two findings is done once."""
    done: set[tuple[str, ...]] = set()
    for finding in diagnosis.ranked:
        remedy = next((each for each in finding.remedies if _is_harmless(each)), None)
        if remedy is not None and remedy.sql not in done:
            done.add(remedy.sql)
            yield finding, remedy


def _is_harmless(remedy: Remedy) -> bool:
    return remedy.proof is not None and remedy.proof.proven and not remedy.proof.rewrites


def apply(server: Server, database: str, diagnosis: Diagnosis) -> tuple[Applied, ...]:
    """Carry out the chosen remedies in their retry-safe form, one after the other."""
    with server.connect(database) as connection:
        return tuple(
            Applied(finding=finding, remedy=remedy, refused=_run(connection, remedy))
            for finding, remedy in chosen(diagnosis)
        )


def _run(connection: psycopg.Connection, remedy: Remedy) -> str:
    try:
        for statement in remedy.retry_safe or remedy.sql:
            connection.execute(statement.encode())
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)
    finally:
        connection.execute("RESET ALL")
    return ""
