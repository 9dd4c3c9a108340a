"""Recordings: readable while they grow, and after a cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.errors import BadFile
from howdah.snapshot import recording
from howdah.snapshot.facts import Status
from howdah.snapshot.recording import Recording, Watched
from howdah.snapshot.sampler import Blocked, Counters, Horizon, QueueDepth, Tick, WaitCount

WATCHED = Watched(
    howdah="0", database="shop", version="18.6", started_at="2026-01-01", interval_seconds=0.1
)


def tick(number: int, *, hidden: int = 0) -> Tick:
    return Tick(
        at=f"2026-01-01T00:00:{number:02}+00:00",
        waits=(WaitCount("IO", "WalSync", number),) if number else (),
        hidden=hidden,
        blocking=(Blocked(7, (8, 9)),),
        horizon=Horizon("session", "7", 12),
        queues=(QueueDepth("public.job", 5, 100),),
        counters=Counters(1, 2, 3, 4, None),
    )


def test_ticks_are_readable_while_being_written(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with Recording(path, WATCHED) as writing:
        assert recording.read(path).ticks == ()
        writing.append(tick(0))
        writing.append(tick(1))
        found = recording.read(path)
    assert found.ticks == (tick(0), tick(1))
    assert found.watched == WATCHED
    assert not found.is_cut


def test_a_cut_tail_costs_the_last_tick_only(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with Recording(path, WATCHED) as writing:
        writing.append(tick(0))
        whole = path.stat().st_size
        writing.append(tick(1))
    content = path.read_bytes()
    for length in range(whole, len(content)):
        path.write_bytes(content[:length])
        found = recording.read(path)
        assert found.ticks == (tick(0),)
        assert found.is_cut is (length > whole)


def test_damage_before_the_end_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with Recording(path, WATCHED) as writing:
        writing.append(tick(0))
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadFile, match="damaged"):
        recording.read(path)
    path.write_bytes(b"something else")
    with pytest.raises(BadFile, match="not a recording"):
        recording.read(path)


def test_waits_of_a_recording_are_a_fact(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with Recording(path, WATCHED) as writing:
        writing.append(tick(0))
        writing.append(tick(2))
    fact = recording.wait_samples(recording.read(path))
    assert [(row.tick, row.wait_event, row.sessions) for row in fact.rows] == [
        (0, "", 0),
        (1, "WalSync", 2),
    ]
    with Recording(path, WATCHED) as writing:
        writing.append(tick(1, hidden=3))
    assert recording.wait_samples(recording.read(path)).status is Status.DENIED
