"""Pin, detach or drop: what happens to the log when a consumer does not come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from howdah.driver import run
from howdah.errors import BadInput, Moved, PositionLost, Superseded
from howdah.log import store
from howdah.log.model import Position
from tests.postgres.log.logged import Logged, put, texts


def test_pin_is_the_default_and_says_so(logged: Logged) -> None:
    slow = logged.consumer("slow", slow_bytes=8192)
    for number in range(3):
        logged.emit(str(number))
        logged.maintain()
    assert "slow" in logged.maintain()
    assert logged.drain(slow) == list("012")


def test_drop_stops_the_reader_at_its_next_commit(logged: Logged) -> None:
    """Its rows may be gone by then; it must not go on as if nothing were."""
    slow = logged.consumer("slow", when_slow="drop", slow_bytes=1)
    fast = logged.consumer("fast")
    logged.emit("1")
    with logged.connect() as connection:
        reading = slow.open(connection)
        page = reading.next_page()
        assert page is not None
        logged.drain(fast)
        assert logged.maintain() == ["turned", "pinned", "dropped"]
        assert logged.maintain() == ["reclaimed"]
        with pytest.raises(Superseded):
            reading.commit(page.end)
        with pytest.raises(PositionLost, match=r"dropped at .* for being slow"):
            slow.open(connection)
        logged.emit("2")
        slow.reanchor(connection, "earliest")
    assert logged.drain(slow) == ["2"]


def test_detach_sets_segments_aside_for_the_laggard(logged: Logged) -> None:
    slow = logged.consumer("slow", when_slow="detach", slow_bytes=1)
    fast = logged.consumer("fast")
    for number in range(4):
        logged.emit(str(number))
        assert logged.drain(fast) == [str(number)]
        done = logged.maintain()
        assert "detached" in done
    archives = "SELECT count(*) FROM howdah.log_archive"
    assert logged.do(archives) == [(4,)]
    assert sum(logged.bytes_of(segment) for segment in range(4)) == 0
    with logged.session() as late:  # with a number from before
        late.execute("INSERT INTO howdah.log_x$0 (topic, payload) VALUES ('t', 'late')")
        late.execute("COMMIT")
    assert logged.drain(slow) == [*"0123", "late"]
    assert logged.drain(fast) == ["late"]
    assert logged.maintain().count("reclaimed") == 5
    assert logged.do(archives) == [(0,)]
    assert logged.do("SELECT to_regclass('howdah.log_x$x0')") == [(None,)]


def test_a_detach_between_two_pages_of_a_window(logged: Logged) -> None:
    slow = logged.consumer("slow", when_slow="detach", slow_bytes=1)
    with logged.connect() as connection, connection.transaction():
        put(connection, *"abcd")
    with logged.connect() as connection:
        reading = slow.open(connection)
        first = reading.next_page(2)
        assert first is not None
        assert "detached" in logged.maintain()
        second = reading.next_page(2)
        assert second is not None
        assert texts(first.records + second.records) == list("abcd")


@pytest.mark.parametrize("look", ["peek", "page"])
def test_who_waits_for_a_detach_does_not_miss_its_rows(logged: Logged, look: str) -> None:
    """The functions were composed for the old tables; the names they lock mean new ones by then."""
    logged.consumer("slow", when_slow="detach", slow_bytes=1)
    logged.emit("1")
    window = Position(seen="1:1:", upto=logged.do("SELECT pg_current_snapshot()::text")[0][0])

    def found() -> bool:
        if look == "peek":
            return run(reader, store.peek("x", "1:1:")).waiting
        return texts(run(reader, store.page("x", window, 10, 1000)).records) == ["1"]

    with logged.connect() as reader, logged.session() as keeper, ThreadPoolExecutor() as pool:
        assert found()  # the function is planned in this session
        keeper.execute("SELECT howdah.maintain('x', 1)")
        assert keeper.execute("SELECT to_regclass('howdah.log_x$x0')").fetchone() != (None,)
        waiting = pool.submit(found)
        logged.wait_for_lock(reader)
        keeper.execute("COMMIT")
        # Either answer is right; nothing found would be a loss.
        told = waiting.exception()
        assert isinstance(told, Moved) or (told is None and waiting.result())
        assert found()


def test_a_repeatable_read_reader_older_than_a_detach_is_told(logged: Logged) -> None:
    slow = logged.consumer("slow", when_slow="detach", slow_bytes=1)
    logged.emit("1")
    with logged.session("repeatable read") as frozen:
        frozen.execute("SELECT 1")
        assert "detached" in logged.maintain()
        reading = slow.open(frozen)
        with pytest.raises(Moved) as told:
            reading.next_page()
        assert told.value.retryable
    assert logged.drain(slow) == ["1"]


def test_a_policy_is_set_and_checked(logged: Logged) -> None:
    slow = logged.consumer("slow")
    with logged.connect() as connection:
        slow.when_slow(connection, "drop", slow_bytes=1)
        with pytest.raises(BadInput, match="pin, detach or drop"):
            slow.when_slow(connection, "wait", slow_bytes=1)
        with pytest.raises(BadInput, match="1 byte"):
            slow.when_slow(connection, "drop", slow_bytes=0)
    assert logged.do("SELECT when_slow, slow_bytes FROM howdah.consumers('x')") == [("drop", 1)]
