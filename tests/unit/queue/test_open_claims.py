"""What is left of claims after reports and settlements."""

from __future__ import annotations

from howdah.queue.desk import Assignment
from howdah.queue.model import Ack, Failure, Heartbeat, Left, Report
from howdah.queue.open_claims import ClaimId, Open, closed


def claim(worker: str, *rows: int) -> Open:
    given = Assignment(1, 1, rows, [0] * len(rows), ["(0,1)"] * len(rows), [1] * len(rows))
    return Open(worker=worker, at=0.0, assignment=given, positions=frozenset(range(len(rows))))


CLAIMS: dict[ClaimId, Open] = {(1, 1): claim("ann", 10, 11, 12), (2, 1): claim("bob", 20, 21)}


def ack(worker: str, generation: int, **said: object) -> Ack:
    values = {"done": (), "failed": (), "released": ()} | said
    return Ack(worker, generation, 1, 0.0, **values)  # type: ignore[arg-type] # fields of Ack


def test_nothing_ends_without_a_report() -> None:
    assert closed(CLAIMS, [Heartbeat("ann", 0.0)], []) == {(1, 1): set(), (2, 1): set()}


def test_acks_end_what_they_name() -> None:
    said: list[Report] = [
        ack("ann", 1, done=[0], failed=[Failure(1, "no")], released=[2]),
        ack("bob", 2, done=None),
    ]
    assert closed(CLAIMS, said, []) == {(1, 1): {0, 1, 2}, (2, 1): {0, 1}}
    assert closed(CLAIMS, said, [], well=True) == {(1, 1): {0}, (2, 1): {0, 1}}


def test_an_ack_of_the_rest_does_not_end_well_what_failed() -> None:
    said = [ack("ann", 1, done=None, failed=[Failure(1, "no")])]
    assert closed(CLAIMS, said, [])[1, 1] == {0, 1, 2}
    assert closed(CLAIMS, said, [], well=True)[1, 1] == {0, 2}


def test_an_ack_of_somebody_else_ends_nothing() -> None:
    assert closed(CLAIMS, [ack("bob", 1, done=None), ack("ann", 9, done=None)], [])[1, 1] == set()


def test_who_leaves_holds_nothing() -> None:
    assert closed(CLAIMS, [Left("ann", 0.0)], []) == {(1, 1): {0, 1, 2}, (2, 1): set()}


def test_settlements_end_claims_and_only_completed_ones_well() -> None:
    settled = [(1, 1, 11, False), (1, 1, 12, True), (7, 1, 10, True)]
    assert closed(CLAIMS, [], settled)[1, 1] == {1, 2}
    assert closed(CLAIMS, [], settled, well=True)[1, 1] == {1}
