"""Diagnose: from a snapshot, and a schema to try things on, to a diagnosis.

Owns the order of the stages: rules, planner questions, rules again, trials. Must never write to the
database that is diagnosed: what runs, runs on a sandbox of its schema.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from howdah import __version__
from howdah.check.ask import answers
from howdah.check.diagnosis import Diagnosis, diagnosed, suppressed
from howdah.check.evaluate import evaluate, questions, ranked
from howdah.check.model import Answer, Answers, Proof, Question, Result, Rule
from howdah.check.remedies import name
from howdah.check.rules import all_rules
from howdah.check.suppression import Suppression, expired
from howdah.check.trial import Trials
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import CouldNot, HowdahError, Unsupported
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.snapshot.doctor import missing_facts
from howdah.snapshot.model import Snapshot
from howdah.snapshot.picture import Picture
from howdah.snapshot.schema import SchemaDump

Progress = Callable[[str], None]
SchemaSource = Callable[[], SchemaDump]
TRIAL_SECONDS = 60.0


def _silently(_text: str) -> None:
    """Progress that nobody watches."""


def schema_source(dsn: str | None, snapshot: Snapshot) -> SchemaSource:
    """Where the schema for the sandbox comes from: the snapshot's own, else the database's.

    The source raises `HowdahError` when it is called and there is no schema to be had.
    """

    def read() -> SchemaDump:
        if snapshot.schema is not None:
            return snapshot.schema
        if dsn is None:
            raise Unsupported(
                "the snapshot file holds no schema", hint="howdah snapshot take --schema"
            )
        try:
            return dump_schema(dsn)
        except CouldNot:  # a vacuum that truncates a table locks it out for a moment
            return dump_schema(dsn)

    return read


def with_schema(snapshot: Snapshot, dsn: str) -> Snapshot:
    """The snapshot with the database's schema in it, so that the file alone can be proven on."""
    return msgspec.structs.replace(snapshot, schema=dump_schema(dsn))


def diagnose(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] | None = None,
    schema: SchemaSource | None = None,
    trial_seconds: float = TRIAL_SECONDS,
    progress: Progress = _silently,
    clock: Clock = SYSTEM_CLOCK,
) -> Diagnosis:
    """Examine a snapshot by every rule (or these), and try the remedies.

    Without `schema`, or where no sandbox can be made of it, what only a planner knows is unknown
    and no remedy is proven; the reason is said with each.
    """
    started = clock.monotonic()
    chosen = all_rules() if rules is None else tuple(rules)
    picture = Picture(snapshot)
    progress("examining")
    asked = questions(picture, chosen)
    results = evaluate(picture, chosen, {})
    if asked or _has_remedies(results):
        progress("building a sandbox of the schema")
        with _sandbox(schema, snapshot.server.search_path) as (sandbox, reason):
            if sandbox is None:
                results = evaluate(picture, chosen, _unanswered(asked, reason))
                results = _unproven(results, reason)
            else:
                progress(f"asking a planner {len(asked)} questions")
                results = evaluate(picture, chosen, answers(sandbox, asked))
                trials = Trials(sandbox, snapshot, chosen, seconds=trial_seconds, clock=clock)
                results = trials.prove(results, progress)
    return Diagnosis(
        howdah=__version__,
        server=diagnosed(snapshot),
        taken_at=snapshot.taken_at,
        window=snapshot.window,
        seconds=snapshot.seconds + clock.monotonic() - started,
        results=results,
        grants=_grants(snapshot, chosen),
    )


def _grants(snapshot: Snapshot, rules: Sequence[Rule]) -> dict[str, str]:
    """By rule, the step of `howdah doctor` that opens the facts which it could not see."""
    missing = missing_facts(snapshot)
    hidden = {fact: step for fact, step in missing.items() if _is_hidden(snapshot, fact)}
    steps = {
        rule.id: sorted({hidden[fact] for fact in rule.needs if fact in hidden}) for rule in rules
    }
    return {rule: ", ".join(names) for rule, names in steps.items() if names}


def _is_hidden(snapshot: Snapshot, name: str) -> bool:
    """Whether a fact lacks what a rule needs; the settings for superusers only are paths."""
    fact = snapshot.fact(name)
    partly = fact.left_out > 0 or (bool(fact.reason) and name != "settings")
    return not fact.known or partly


def silence(
    diagnosis: Diagnosis,
    entries: Sequence[Suppression],
    baseline: frozenset[str] | None,
    today: datetime.date,
) -> Diagnosis:
    """The diagnosis with the suppressions that are in force today, and the known findings.

    A suppression whose day has passed suppresses nothing and becomes a note.
    """
    notes = tuple(
        f"the suppression of {entry.finding} ended on {entry.expires}: {entry.reason}"
        for entry in expired(entries, today)
    )
    return msgspec.structs.replace(
        diagnosis,
        suppressed=suppressed(diagnosis.ranked, entries, today),
        baseline=baseline,
        notes=(*diagnosis.notes, *notes),
    )


@contextmanager
def _sandbox(
    schema: SchemaSource | None, search_path: Sequence[str]
) -> Iterator[tuple[Sandbox | None, str]]:
    """A sandbox of the schema, or None and the reason why there is none."""
    if schema is None:
        yield None, "no sandbox was wanted"
        return
    try:
        sandbox = Sandbox.from_schema(_resolving_as(search_path, schema()))
    except HowdahError as error:
        yield None, f"no sandbox: {': '.join(filter(None, (error.message, error.detail)))}"
        return
    with sandbox:
        yield sandbox, ""


def _resolving_as(search_path: Sequence[str], dump: SchemaDump) -> SchemaDump:
    """The schema with the role's search_path, so that names mean in the sandbox what they mean."""
    path = ", ".join(name(schema) for schema in search_path)
    origin = msgspec.structs.replace(dump.origin, search_path=path or None)
    return msgspec.structs.replace(dump, origin=origin)


def _has_remedies(results: Iterable[Result]) -> bool:
    return any(not each.manual for found in ranked(results) for each in found.remedies)


def _unanswered(asked: Iterable[Question], reason: str) -> Answers:
    return {question: Answer(answered=False, reason=reason) for question in asked}


def _unproven(results: Iterable[Result], reason: str) -> tuple[Result, ...]:
    proof = Proof(proven=False, reason=reason)
    return tuple(
        msgspec.structs.replace(
            result,
            findings=tuple(
                msgspec.structs.replace(
                    finding,
                    remedies=tuple(
                        each if each.manual else msgspec.structs.replace(each, proof=proof)
                        for each in finding.remedies
                    ),
                )
                for finding in result.findings
            ),
        )
        for result in results
    )
