"""The picture itself: every fact of the plan, asked inside one transaction, as values afterwards.

Owns the sequence of transactions and the status each fact ends with. Must never turn a failed
question into an empty answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.counters import CounterSample
from howdah.snapshot.model import Server, fact_types
from howdah.snapshot.plan import COUNTERS, GAP_REASONS, PARTS, Gap, Part
from howdah.snapshot.questions import ALL, Asked, Questions
from howdah.snapshot.rows import made
from howdah.snapshot.session import SERVER, Answer, Session, marked

SLICES = 8
"""A fact that does not fit into one transaction is read in so many."""

Progress = Callable[[str], None]


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What the picture's transaction brought."""

    server: Server
    taken_at: datetime
    seconds: float
    resets: Mapping[str, datetime | None] | None
    first_sample: Fact[CounterSample]
    facts: dict[str, Fact[Any]]
    extension_schemas: Mapping[str, str]


def gather(session: Session, *, progress: Progress) -> Gathered:
    """Read every fact of the plan at one moment; no transaction is open when this returns.

    Where the deadline comes before the last fact, the rest is read in transactions of their own,
    each under the same deadline: such a fact says how much younger than the picture it is.
    """
    began = session.clock.monotonic()
    with session.picture() as reading:
        server, taken_at = _server(session)
        questions = Questions(reading, server, session.options)
        sample = reading.ask(COUNTERS.text("counter_sample", server.major), {})
        resets = reading.ask(SERVER.text("resets"), {})
        asked = _ask(questions, PARTS, progress)
    seconds = reading.seconds
    while late := _late(asked, questions):
        after = session.clock.monotonic() - began
        answers, took = _again(session, questions, late, progress)
        seconds = max(seconds, took)
        asked |= {fact: _younger(answer, after) for fact, answer in answers.items()}
    progress("making rows")
    return Gathered(
        server=server,
        taken_at=taken_at,
        seconds=seconds,
        resets=_named_row(resets),
        first_sample=_fact(Asked(answer=sample), CounterSample),
        facts=_facts(asked),
        extension_schemas=questions.extension_schemas,
    )


def _ask(questions: Questions, parts: tuple[Part, ...], progress: Progress) -> dict[str, Asked]:
    """Ask for parts in order until the deadline; always for the first one."""
    asked: dict[str, Asked] = {}
    questions.reading.refresh_locked()
    for part in parts:
        if asked and questions.reading.is_late:
            break
        progress(part.fact)
        questions.fresh = not asked
        asked[part.fact] = questions.about(part)
    return asked


def _late(asked: dict[str, Asked], questions: Questions) -> tuple[Part, ...]:
    """The parts to ask in another transaction: not reached, or cut off by the deadline.

    What timed out although it was read in slices, or cannot be, is not asked again.
    """
    return tuple(
        part
        for part in PARTS
        if part.fact not in asked
        or (asked[part.fact].answer.status is Status.TIMEOUT and part.fact not in questions.tried)
    )


def _again(
    session: Session, questions: Questions, late: tuple[Part, ...], progress: Progress
) -> tuple[dict[str, Asked], float]:
    """Ask for what was not reached; for a part that was and took too long, slice by slice."""
    first = late[0]
    if first.is_sliced and first.fact in questions.asked:
        return _sliced(session, questions, first, progress)
    with session.picture() as reading:
        questions.reading = reading
        answers = _ask(questions, late, progress)
    return answers, reading.seconds


def _sliced(
    session: Session, questions: Questions, part: Part, progress: Progress
) -> tuple[dict[str, Asked], float]:
    """A part in several transactions; one that fails fails the part."""
    questions.tried.add(part.fact)
    pieces: list[Asked] = []
    seconds = 0.0
    for piece in _slices(session):
        questions.slice = piece
        with session.picture() as reading:
            questions.reading = reading
            pieces.append(_ask(questions, (part,), progress)[part.fact])
        seconds = max(seconds, reading.seconds)
        if pieces[-1].answer.cursor is None:
            break
    questions.slice = ALL
    whole = msgspec.structs.replace(
        pieces[-1],
        answer=msgspec.structs.replace(
            pieces[-1].answer, seconds=sum(piece.answer.seconds for piece in pieces)
        ),
        more=tuple(piece.answer for piece in pieces[:-1]),
    )
    return {part.fact: whole}, seconds


def _slices(session: Session) -> list[tuple[int, int]]:
    """Ranges of oids, both ends included, with about as many relations in each."""
    shares = [number / SLICES for number in range(1, SLICES)]
    with session.short() as reading:
        answer = reading.ask(SERVER.text("slices"), {"shares": shares})
        edges = _named_row(answer)
    inner = sorted(set((edges or {}).get("edges") or ()))
    return list(zip([ALL[0], *(edge + 1 for edge in inner)], [*inner, ALL[1]], strict=True))


def _younger(asked: Asked, seconds: float) -> Asked:
    where = f"in {len(asked.more) + 1} transactions" if asked.more else "in a transaction"
    note = f"read {seconds:.1f} s after the picture began, {where} of its own"
    return msgspec.structs.replace(asked, note=f"{asked.note}; {note}" if asked.note else note)


def _server(session: Session) -> tuple[Server, datetime]:
    cursor = session.connection.execute(marked(SERVER.text("server")))
    names = [column.name for column in cursor.description or ()]
    values = dict(zip(names, cursor.fetchone() or (), strict=True))
    taken_at: datetime = values.pop("taken_at")
    return msgspec.convert({**values, "search_path": session.own_path}, Server), taken_at


def _named_row(answer: Answer) -> dict[str, Any] | None:
    if answer.cursor is None:
        return None
    names = [column.name for column in answer.cursor.description or ()]
    return dict(zip(names, answer.cursor.fetchone() or (), strict=True))


def _facts(asked: dict[str, Asked]) -> dict[str, Fact[Any]]:
    """Values of every fact; each answer is let go of as soon as it is read."""
    kinds = fact_types()
    facts = {}
    for name in list(asked):
        facts[name] = _fact(asked.pop(name), kinds[name])
    return facts


def _fact(asked: Asked, kind: type[Any]) -> Fact[Any]:
    answer = asked.answer
    if answer.cursor is None:
        return Fact(status=answer.status, reason=answer.reason, seconds=answer.seconds)
    rows = made(answer.cursor, kind)
    for other in asked.more:
        rows += made(other.cursor, kind) if other.cursor is not None else ()
    reason = asked.note
    if asked.left_out:
        reason = f"{asked.left_out} left out: {GAP_REASONS[asked.gap]}"
    return Fact(
        status=_status(bool(rows), asked),
        rows=rows,
        reason=reason,
        left_out=asked.left_out,
        seconds=answer.seconds,
    )


def _status(there_are_rows: bool, asked: Asked) -> Status:
    if there_are_rows:
        return Status.PRESENT
    if asked.left_out:  # rows exist, and we saw none of them
        return Status.LOCKED if asked.gap is Gap.LOCK else Status.DENIED
    return Status.EMPTY
