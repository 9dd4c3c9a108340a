"""What a diagnosis is made of: rules, questions, examinations, findings, remedies, results.

Owns the words of `check`. All of it is frozen data; nothing here reads a database or a clock.

A rule looks at a picture and returns an examination. *Ok* is not a value a rule can return: it is
what is left when something was examined and nothing was found, so *ok with nothing examined* cannot
be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from howdah.snapshot.model import Window
from howdah.snapshot.picture import Picture


class Severity(StrEnum):
    """How soon somebody must act."""

    CRITICAL = "critical"  # it will stop or lose something; now
    WARNING = "warning"  # it costs or will cost; this week
    NOTICE = "notice"  # worth knowing; when the table is touched next


class Kind(StrEnum):
    """What a rule concluded."""

    FINDING = "finding"
    OK = "ok"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


class Confidence(StrEnum):
    """What the claim rests on."""

    PROVEN = "proven"  # a catalog says so, or a planner or a measurement of the object itself did
    MEASURED = "measured"  # counters over a known window
    ESTIMATED = "estimated"  # a sample or an extrapolation, its error stated in the evidence


# --- questions for a planner ----------------------------------------------------------------------


class ServesQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="serves"):
    """Does a valid index of this table serve this predicate by its leading key?

    `predicate` uses $1, $2, ... for values, of the types in `parameter_types`. With `index` the
    question is about that index alone (by schema-qualified name).
    """

    table: str  # schema-qualified and quoted as SQL needs it
    predicate: str
    parameter_types: tuple[str, ...] = ()
    index: str | None = None


class PlanQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """How would this normalised statement be planned if sequential scans were disabled?"""

    statement: str


Question = ServesQuestion | PlanQuestion


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a plan that reads a relation."""

    node: str  # 'Seq Scan', 'Index Scan', 'Bitmap Heap Scan', ...
    relation: str | None  # schema-qualified
    index: str | None
    index_condition: str | None
    filter: str | None
    sorts_above: int = 0  # Sort nodes between this scan and the top


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a real planner said. `reason` tells why a question could not be answered."""

    answered: bool
    reason: str = ""
    planner: str = ""  # 'PostgreSQL 18.6 on a sandbox of the schema'
    serves: bool = False  # for ServesQuestion
    index: str | None = None  # the index that serves
    method: str | None = None  # its access method
    index_condition: str | None = None
    scans: tuple[Scan, ...] = ()  # for PlanQuestion


Answers = Mapping[Question, Answer]


# --- remedies -------------------------------------------------------------------------------------


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox must be given so that a finding shows there: the snapshot's shape, scaled."""

    rows: Mapping[str, int] = {}  # live rows by schema-qualified table
    dead: Mapping[str, int] = {}  # dead rows by table
    sequences: Mapping[str, int] = {}  # last value by sequence
    settings: Mapping[str, str] = {}  # server settings
    invalid_indexes: tuple[str, ...] = ()  # definitions; a schema dump leaves invalid ones out
    analyzed: bool = True  # run ANALYZE after filling
    vacuumed: bool = False  # run VACUUM after filling: the dead rows leave, their room stays


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What happened when a remedy ran on a sandbox."""

    proven: bool
    reason: str  # why not, or what was shown, in one sentence
    server: str = ""  # 'PostgreSQL 18.6; the database runs 15.18'
    locks: tuple[str, ...] = ()  # 'ShareUpdateExclusiveLock on public.orders', strongest first
    rewrites: tuple[str, ...] = ()  # tables rewritten
    scans: tuple[str, ...] = ()  # tables read in full under the lock
    wal_bytes: int = 0
    seconds: float = 0.0
    rows: int = 0  # synthetic rows that the tables held


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """A named change operation with its arguments and the statements that carry it out.

    `sql` runs in order, outside a transaction. `inverse` takes it back; empty where nothing can.
    `retry_safe` may be run again after any interruption. `manual` marks an act that only a person
    may decide (ending a session, dropping a slot): it is never executed and never proven.
    """

    operation: str
    arguments: Mapping[str, Any]
    sql: tuple[str, ...]
    inverse: tuple[str, ...] = ()
    retry_safe: tuple[str, ...] = ()
    shape: Shape = Shape()
    note: str = ""
    manual: bool = False
    proof: Proof | None = None

    @property
    def proven(self) -> bool:
        """Whether it ran on a sandbox and did what it says."""
        return self.proof is not None and self.proof.proven


# --- findings -------------------------------------------------------------------------------------


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One claim with everything needed to believe or refute it.

    `object` is a name without oids and `id` is made of rule and object alone, so that both are the
    same in every run. `harm` ranks findings across rules; see `howdah.check.harm`.
    """

    rule: str
    object: str
    severity: Severity
    claim: str  # one sentence
    evidence: tuple[Mapping[str, Any], ...]  # rows; units in the names
    confidence: Confidence
    refuted_by: str  # what would show that the claim is wrong
    cost_if_wrong: str  # what acting on a wrong claim would cost
    harm: float
    remedies: tuple[Remedy, ...] = ()
    window: Window | None = None  # where counters are part of the evidence

    @property
    def id(self) -> str:
        """Stable across runs, servers and renumbered oids."""
        return f"{self.rule}:{self.object}"


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule saw: `examined` of `of` objects, and the findings among them.

    `unknown` says why the rest could not be examined; `not_applicable` says why there was nothing
    to examine at all (and then `of` is 0).
    """

    examined: int = 0
    of: int = 0
    findings: tuple[Finding, ...] = ()
    unknown: str = ""
    not_applicable: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's verdict on one snapshot."""

    rule: str
    title: str
    kind: Kind
    reason: str  # 'examined 12 of 12 indexes', or why unknown, or why not applicable
    examined: int = 0
    of: int = 0
    findings: tuple[Finding, ...] = ()  # by falling harm


# --- rules ----------------------------------------------------------------------------------------

Examine = Callable[[Picture, Answers], Examination]
Ask = Callable[[Picture], Iterable[Question]]


def _nothing_to_ask(_: Picture) -> Iterable[Question]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: a pure function over a picture, and its documentation.

    `needs` names the facts without which the rule can say nothing; the engine turns a missing one
    into *unknown* before the rule is called. `ask` states questions for a planner; without answers
    the rule must say *unknown* for what depends on them.
    """

    id: str  # 'redundant-index'
    subject: str  # the module's name
    title: str
    severity: Severity  # the worst it can report
    objects: str  # what it examines, plural: 'indexes'
    what: str  # what it looks for
    why: str  # why that hurts
    wrong_when: str  # how it can be wrong
    source: str  # documentation or measurement behind it
    needs: tuple[str, ...]
    examine: Examine
    ask: Ask = _nothing_to_ask


def rule(
    *,
    id: str,
    title: str,
    severity: Severity,
    objects: str,
    needs: tuple[str, ...],
    what: str,
    why: str,
    wrong_when: str,
    source: str,
    ask: Ask = _nothing_to_ask,
) -> Callable[[Examine], Rule]:
    """Make a `Rule` of the decorated function; its module's name becomes the subject."""

    def make(examine: Examine) -> Rule:
        return Rule(
            id=id,
            subject=examine.__module__.rpartition(".")[2],
            title=title,
            severity=severity,
            objects=objects,
            what=what,
            why=why,
            wrong_when=wrong_when,
            source=source,
            needs=needs,
            examine=examine,
            ask=ask,
        )

    return make
