"""What sessions wait for, as a share of the database's time.

Owns the rule on the wait profile. What a wait means belongs to
`howdah.check.knowledge.wait_causes`.
"""

from __future__ import annotations

from collections import Counter

from howdah.check import harm, remedies
from howdah.check.knowledge.wait_causes import cause
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, rule
from howdah.snapshot.picture import Picture

_IDLE = frozenset({"Activity", "Client", "Timeout"})  # waiting for work, not at work
_AT_WORK = frozenset({("Timeout", "VacuumDelay"), ("Timeout", "SpinDelay")})
_MINIMUM_TICKS = 10  # fewer looks are an anecdote
_NOTICE_SHARE = 0.20  # of the database's time
_WARNING_SHARE = 0.50
_MINIMUM_SESSIONS = 0.5  # waiting on average: below, nobody notices
_PAGES_PER_WAITING_SECOND = 10_000.0  # what a session reads in a second at 0.1 ms a page


def database_time(picture: Picture) -> Counter[tuple[str, str]]:
    """Sampled sessions at work, by wait; ("", "") is running on a processor.

    Waiting for a client, for a timer or for something to do is not the database's time.
    """
    counted: Counter[tuple[str, str]] = Counter()
    for row in picture.snapshot.wait_samples.rows:
        wait = (row.wait_type, row.wait_event)
        if row.wait_type not in _IDLE or wait in _AT_WORK:
            counted[wait] += row.sessions
    return counted


@rule(
    id="wait-profile",
    title="Sessions wait instead of working",
    severity=Severity.WARNING,
    objects="samples of the sessions",
    needs=("wait_samples",),
    what="A wait that takes 20 % or more of the database's time: of the sessions found at work, "
    "running on a processor included, waiting for clients and timers not.",
    why="Half of the time in one wait is half of the throughput, and more connections make it "
    "worse.",
    wrong_when="A few seconds of samples show these seconds only. Sessions that the role may not "
    "see are not counted. A cause is named only where the snapshot proves it.",
    source="PostgreSQL documentation, 'Wait Events'",
)
def wait_profile(picture: Picture, _: Answers) -> Examination:
    """Waits by their share of the database's time."""
    rows = picture.snapshot.wait_samples.rows
    ticks = max((row.tick for row in rows), default=-1) + 1
    if ticks < _MINIMUM_TICKS:
        reason = f"{ticks} samples are too few for shares; {_MINIMUM_TICKS} are needed"
        return Examination(examined=0, of=max(1, ticks), unknown=reason)
    counted = database_time(picture)
    total = counted.total()
    findings = [
        _waiting(picture, wait, sessions, total, ticks)
        for wait, sessions in counted.items()
        if wait[0] and sessions >= _NOTICE_SHARE * total and sessions >= _MINIMUM_SESSIONS * ticks
    ]
    return Examination(examined=ticks, of=ticks, findings=tuple(findings))


def _waiting(
    picture: Picture, wait: tuple[str, str], sessions: int, total: int, ticks: int
) -> Finding:
    kind, event = wait
    share, mean = sessions / total, sessions / ticks
    why = cause(picture, kind, event)
    because = f"likely cause: {why.text}" if why else "the snapshot does not show the cause"
    seconds = max(row.at_seconds for row in picture.snapshot.wait_samples.rows)
    profile = database_time(picture).most_common(6)
    return Finding(
        rule="wait-profile",
        object=f"{kind}:{event}",
        severity=Severity.WARNING if share >= _WARNING_SHARE else Severity.NOTICE,
        claim=f"{kind}:{event} takes {share:.0%} of the database's time, {mean:.1f} sessions on "
        f"average; {because}.",
        evidence=(
            {
                "wait": f"{kind}:{event}",
                "share_of_database_time": round(share, 3),
                "mean_sessions": round(mean, 2),
                "samples": ticks,
                "seconds": round(seconds, 1),
                **(why.evidence if why else {}),
            },
            *(
                {"wait": ":".join(each) if each[0] else "running", "sampled_sessions": count}
                for each, count in profile
            ),
        ),
        confidence=Confidence.ESTIMATED,
        refuted_by="a longer sample with another profile",
        cost_if_wrong="time spent on the wrong bottleneck",
        harm=harm.waste(_PAGES_PER_WAITING_SECOND, mean * 3600),
        remedies=(remedies.manual("relieve", {"wait": event}, (), why.advice),) if why else (),
    )
