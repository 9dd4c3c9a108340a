"""Trials: a remedy is tried on a sandbox of the database's schema before it is shown.

Owns the protocol of a trial and its verdict. Must never run anything outside a marked sandbox, and
must never call a remedy proven that did not do, on a sandbox, what its finding asks for.

One trial, on a clone that nobody else sees:

1. shape: rows, dead rows, sequence positions and settings as the remedy's `shape` asks;
2. before: the finding must show on the sandbox, or nothing can be proven by its going away;
3. run: each statement, measured by the server itself;
4. after: the rule must be ok for the object, and no rule may report what it did not before;
5. back: the inverse must run, and then the retry-safe form, twice, with the same end as 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from howdah.check import shaping
from howdah.check.ask import answers
from howdah.check.evaluate import evaluate, questions, ranked
from howdah.check.graft import graft
from howdah.check.model import Finding, Kind, Proof, Remedy, Result, Rule
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import HowdahError
from howdah.postgres.lock_modes import LOCK_MODES
from howdah.sandbox.measure import measure
from howdah.sandbox.run import Run
from howdah.sandbox.sandbox import Sandbox
from howdah.snapshot import collect
from howdah.snapshot.model import Snapshot
from howdah.snapshot.options import TRIAL
from howdah.snapshot.picture import Picture

Progress = Callable[[str], None]

# Counters of 14 travel through a process of their own, twice a second at most, and a reload of the
# settings reaches the postmaster as a signal.
_SETTLE_SECONDS = 0.6
_SETTLE_TRIES = 4


class _NotProven(Exception):
    """A step of the protocol failed; the text is the reason that is shown."""


class Trials:
    """All trials of one diagnosis: one template, a clone of it per trial, one budget of time."""

    def __init__(
        self,
        template: Sandbox,
        database: Snapshot,
        rules: Sequence[Rule],
        *,
        seconds: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._template = template
        self._database = database
        self.picture = Picture(database)
        self._rules = tuple(rules)
        self._clock = clock
        self._deadline = clock.monotonic() + seconds
        self._seconds = seconds
        self._red: dict[bytes, frozenset[str]] = {}

    def prove(self, results: Sequence[Result], progress: Progress) -> tuple[Result, ...]:
        """The results again, each remedy with its proof or the reason why there is none.

        The most harmful findings are tried first; what the budget does not reach stays unproven.
        """
        proven: dict[str, Finding] = {}
        waiting = ranked(results)
        for number, finding in enumerate(waiting, 1):
            progress(f"trying remedies: {number} of {len(waiting)} findings, {finding.rule}")
            remedies = tuple(self._with_proof(finding, remedy) for remedy in finding.remedies)
            proven[finding.id] = msgspec.structs.replace(finding, remedies=remedies)
        return tuple(_with_findings(result, proven) for result in results)

    def _with_proof(self, finding: Finding, remedy: Remedy) -> Remedy:
        if remedy.manual:
            return remedy
        if self._clock.monotonic() > self._deadline:
            reason = f"not tried: the {self._seconds:g} s for trials were used up"
            return msgspec.structs.replace(remedy, proof=Proof(proven=False, reason=reason))
        return msgspec.structs.replace(remedy, proof=self._try(finding, remedy))

    def _try(self, finding: Finding, remedy: Remedy) -> Proof:
        rule = next(each for each in self._rules if each.id == finding.rule)
        missing = self._missing(finding, remedy)
        if missing:
            return Proof(proven=False, reason=missing)
        try:
            with Sandbox.clone(self._template) as sandbox:
                return _Trial(self, sandbox, rule, finding, remedy).run()
        except _NotProven as failed:
            return Proof(proven=False, reason=str(failed), server=self._template.fidelity)
        except HowdahError as error:
            return Proof(proven=False, reason=error.message, server=self._template.fidelity)

    def _missing(self, finding: Finding, remedy: Remedy) -> str:
        """Why the sandbox lacks what the remedy is about; empty if it does not."""
        rebuilt = self._template.rebuilt
        if rebuilt is None:
            return ""
        named = {finding.object, *map(str, remedy.arguments.values()), *remedy.shape.rows}
        reasons = (rebuilt.why_missing(name) for name in sorted(named))
        return next((reason for reason in reasons if reason), "")

    def look(self, sandbox: Sandbox, settings: Sequence[str]) -> tuple[Result, ...]:
        """Every rule's verdict on the database as the sandbox has it now."""
        seen = graft(self._database, collect.take(sandbox.dsn, TRIAL), settings=settings)
        picture = Picture(seen)
        asked = answers(sandbox, questions(picture, self._rules))
        return evaluate(picture, self._rules, asked)

    def looks(self, sandbox: Sandbox, settings: Sequence[str]) -> Iterator[tuple[Result, ...]]:
        """One look, and a few more where what was done may take a moment to show."""
        assert sandbox.server is not None, "a clone lives on a server of ours"
        tries = _SETTLE_TRIES if sandbox.server.major < 15 or settings else 1
        for number in range(tries):
            if number:
                self._clock.sleep(_SETTLE_SECONDS)
            yield self.look(sandbox, settings)

    def red(
        self, sandbox: Sandbox, remedy: Remedy, settings: Sequence[str], wanted: str
    ) -> frozenset[str]:
        """What is red before a remedy, `wanted` hopefully among it.

        Clones that were given the same shape are alike, so one look serves them all.
        """
        key = msgspec.msgpack.encode((remedy.shape, sorted(settings)))
        looks = self.looks(sandbox, settings)
        while wanted not in self._red.get(key, ()) and (results := next(looks, None)):
            self._red[key] = frozenset(finding.id for finding in ranked(results))
        return self._red[key]


class _Trial:
    """One trial in progress."""

    def __init__(
        self, trials: Trials, sandbox: Sandbox, rule: Rule, finding: Finding, remedy: Remedy
    ) -> None:
        self._trials = trials
        self._sandbox = sandbox
        self._rule = rule
        self._finding = finding
        self._remedy = remedy
        setting = remedy.arguments.get("setting")
        self._settings = [*remedy.shape.settings, *([str(setting)] if setting else [])]

    def run(self) -> Proof:
        try:
            rows = shaping.give(self._sandbox, self._remedy.shape, self._trials.picture)
            before = self._before()
            run = self._measured(self._remedy.sql, "the remedy")
            self._after(before, "the remedy")
            self._back(before)
        finally:
            shaping.reset_settings(self._sandbox, self._settings)
        return _proof(run, self._sandbox.fidelity, rows)

    def _before(self) -> frozenset[str]:
        """What is red on the sandbox before the remedy; the finding must be among it."""
        red = self._trials.red(self._sandbox, self._remedy, self._settings, self._finding.id)
        if self._finding.id not in red:
            raise _NotProven("the finding does not show on a sandbox of the schema")
        return red

    def _measured(self, statements: Sequence[str], what: str) -> Run:
        run = measure(self._sandbox, statements)
        if run.refusal is not None:
            raise _NotProven(f"{what} failed on the sandbox: {run.refusal.message}")
        return run

    def _after(self, before: frozenset[str], what: str) -> None:
        for results in self._trials.looks(self._sandbox, self._settings):
            red = {finding.id for finding in ranked(results)}
            mine = next(result for result in results if result.rule == self._rule.id)
            if self._finding.id not in red:
                break
        else:
            raise _NotProven(f"after {what} the finding is still there on the sandbox")
        if mine.kind is Kind.UNKNOWN:
            raise _NotProven(f"after {what} the rule cannot tell: {mine.reason}")
        if red - before:
            raise _NotProven(f"{what} brings up {', '.join(sorted(red - before))}")

    def _back(self, before: frozenset[str]) -> None:
        if self._remedy.inverse:
            self._measured(self._remedy.inverse, "the inverse")
        for _ in range(2 if self._remedy.retry_safe else 0):
            self._measured(self._remedy.retry_safe, "the retry-safe form")
        if self._remedy.retry_safe:
            self._after(before, "the retry-safe form")


def _with_findings(result: Result, proven: Mapping[str, Finding]) -> Result:
    findings = tuple(proven.get(finding.id, finding) for finding in result.findings)
    return msgspec.structs.replace(result, findings=findings)


def _proof(run: Run, server: str, rows: int) -> Proof:
    held = {
        (each.relation, mode)
        for statement in run.statements
        for each in statement.locks
        if each.kind in ("r", "p", "m")
        and not each.created
        and (mode := statement.strongest(each.relation))
    }
    strongest_first = sorted(held, key=lambda pair: (-LOCK_MODES.index(pair[1]), pair[0]))
    return Proof(
        proven=True,
        reason="ran on a sandbox, turned its rule ok and no other rule red; taken back and retried",
        server=server,
        locks=tuple(f"{mode} on {relation}" for relation, mode in strongest_first),
        rewrites=tuple(sorted({name for each in run.statements for name in each.rewritten})),
        scans=tuple(sorted({scan.relation for each in run.statements for scan in each.scanned})),
        wal_bytes=sum(each.wal_bytes for each in run.statements),
        seconds=sum(each.seconds for each in run.statements),
        rows=rows,
    )
