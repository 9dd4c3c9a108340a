"""The verdict on a history: what each kind of failure looks like."""

from __future__ import annotations

from pathlib import Path

from howdah.testing.history import Kind, Op, Recorder, judge, recorded


def ops(*told: tuple[Kind, int]) -> list[Op]:
    return [
        Op(float(at), kind, "c" if kind == "delivered" else "p", "k", number)
        for at, (kind, number) in enumerate(told)
    ]


def emitted(*numbers: int) -> list[tuple[Kind, int]]:
    said: list[tuple[Kind, int]] = []
    for number in numbers:
        said += [("emitting", number), ("emitted", number)]
    return said


def delivered(*numbers: int) -> list[tuple[Kind, int]]:
    return [("delivered", number) for number in numbers]


def test_a_run_without_fault() -> None:
    verdict = judge(ops(*emitted(1, 2), *delivered(1, 2)), ["c"])
    assert verdict.kept
    assert verdict.events == 2
    assert verdict.repeated == (("c", 0),)


def test_repeating_from_a_position_keeps_order() -> None:
    verdict = judge(ops(*emitted(1, 2, 3, 4), *delivered(1, 2, 3, 2, 3, 4)), ["c"])
    assert verdict.kept
    assert verdict.repeated == (("c", 2),)


def test_a_gap_is_a_loss() -> None:
    assert judge(ops(*emitted(1, 2, 3), *delivered(1, 3)), ["c"]).lost == (("c", "k", 2),)


def test_each_consumer_is_judged() -> None:
    verdict = judge(ops(*emitted(1), *delivered(1)), ["c", "d"])
    assert verdict.lost == (("d", "k", 1),)


def test_a_late_first_delivery_is_disorder() -> None:
    verdict = judge(ops(*emitted(1, 2, 3), *delivered(1, 3, 2)), ["c"])
    assert verdict.disordered == (("c", "k", 2),)
    assert not verdict.kept


def test_an_unknown_outcome_may_go_either_way() -> None:
    assert judge(ops(("emitting", 1)), ["c"]).kept
    assert judge(ops(("emitting", 1), *delivered(1)), ["c"]).kept


def test_an_aborted_or_invented_event_is_a_phantom() -> None:
    told: list[tuple[Kind, int]] = [("emitting", 1), ("aborted", 1), *delivered(1, 2)]
    assert judge(ops(*told), ["c"]).phantoms == (("c", "k", 1), ("c", "k", 2))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    with Recorder(tmp_path, "p") as producer, Recorder(tmp_path, "c") as consumer:
        producer.emitting("k", 1)
        consumer.delivered(("k", 1), ("k", 2))
        producer.emitted("k", 1)
        producer.aborted("k", 2)
    torn = next(tmp_path.glob("p-*.jsonl"))
    torn.write_bytes(torn.read_bytes() + b'[1.0,"emitt')
    assert [(op.kind, op.actor, op.number) for op in recorded(tmp_path)] == [
        ("emitting", "p", 1),
        ("delivered", "c", 1),
        ("delivered", "c", 2),
        ("emitted", "p", 1),
        ("aborted", "p", 2),
    ]
