"""Pictures: what they say, that they never pass ignorance for absence, that they escape."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from howdah.report.pictures import Drawing, blocking, draw_all, horizon, indexes, waits, wraparound
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.activity import Blocking, Session, WaitSample
from howdah.snapshot.facts.catalog import Database, Index, Setting
from howdah.snapshot.facts.counters import IndexStatistics
from howdah.snapshot.model import Snapshot
from tests.golden import samples
from tests.golden.compare import same_as_golden
from tests.making import fact, row, snapshot

SICK = draw_all(samples.sick_snapshot())
BLIND = draw_all(samples.blind_snapshot())
BARE = draw_all(snapshot())


@pytest.mark.parametrize("drawing", SICK, ids=lambda d: d.name)
def test_each_has_title_reading_units_and_two_widths(drawing: Drawing) -> None:
    assert drawing.title
    assert drawing.units
    assert not drawing.empty
    assert re.fullmatch(r"[A-Z0-9].*\.", drawing.reading), drawing.reading
    for svg, width in ((drawing.wide, 620), (drawing.narrow, 340)):
        root = ElementTree.fromstring(svg)
        assert root.get("width") == str(width)
        assert root.get("role") == "img"
        assert drawing.reading in (root.get("aria-label") or "")


@pytest.mark.parametrize("drawing", SICK, ids=lambda d: d.name)
def test_nothing_lies_outside_the_picture(drawing: Drawing) -> None:
    for svg in (drawing.wide, drawing.narrow):
        root = ElementTree.fromstring(svg)
        width, height = float(root.get("width") or 0), float(root.get("height") or 0)
        for each in root.iter():
            x, y = float(each.get("x", "0")), float(each.get("y", "0"))
            assert 0 <= x <= width, (drawing.name, each.attrib)
            assert 0 <= y <= height, (drawing.name, each.attrib)
            assert x + float(each.get("width", "0")) <= width + 1, (drawing.name, each.attrib)


@pytest.mark.parametrize("drawing", BLIND, ids=lambda d: d.name)
def test_what_was_not_seen_is_said_and_why(drawing: Drawing) -> None:
    assert drawing.empty.startswith("not sampled: ")
    assert "(" in drawing.empty
    assert not drawing.wide


def test_what_was_seen_to_be_absent_is_not_called_unseen() -> None:
    empty = {drawing.name: drawing.empty for drawing in BARE}
    assert empty["blocking"] == "nobody waits for a lock of another session"
    assert empty["horizon"].startswith("nothing holds it")
    assert empty["waits"] == "no session was active while we looked"
    assert empty["indexes"] == "there are no indexes"


def test_the_texts_are_as_ever() -> None:
    lines = [f"{d.title}\n  {d.reading or d.empty}\n  {d.units}" for d in (*SICK, *BLIND, *BARE)]
    same_as_golden("pictures.txt", "\n".join(lines))


def test_names_cannot_break_out() -> None:
    hostile = row(
        Session,
        pid=1,
        application='"><script>x</script>\x1b\x00',
        xmin_age=5,
        state="active",
        is_visible=True,
        query="</title><script>",
    )
    seen = snapshot(sessions=[hostile], blocking=[row(Blocking, pid=2, blockers=(1,))])
    for drawing in (horizon.draw(seen), blocking.draw(seen)):
        assert "<script" not in drawing.wide
        ElementTree.fromstring(drawing.wide)


# --- wraparound -----------------------------------------------------------------------------------


def _aged(xid: int, mxid: int, **more: object) -> Snapshot:
    databases = [row(Database, name="shop", is_current=True, xid_age=xid, mxid_age=mxid)]
    return snapshot(databases=databases, **more)  # type: ignore[arg-type] # facts by name


def test_the_nearer_of_both_kinds_of_id_is_told() -> None:
    assert "MultiXact" in wraparound.draw(_aged(10**6, 10**9)).reading
    assert "transaction ids" in wraparound.draw(_aged(10**9, 10**6)).reading


def test_a_failsafe_below_the_vacuum_age_is_drawn_where_the_server_puts_it() -> None:
    settings = [
        row(Setting, name="autovacuum_freeze_max_age", value="1000000000"),
        row(Setting, name="vacuum_failsafe_age", value="0"),
    ]
    (low, *_), room = _marks(_aged(1, 1, settings=settings)), 620 - 620 * 0.30 - 8
    assert low["autovacuum"] == pytest.approx(186 + room * 1e9 / 2**31, abs=0.2)
    assert low["failsafe"] == pytest.approx(186 + room * 1.05e9 / 2**31, abs=0.2)


def _marks(seen: Snapshot) -> list[dict[str, float]]:
    """Where the first panel's named lines stand."""
    root = ElementTree.fromstring(wraparound.draw(seen).wide)
    names = {"autovacuum", "failsafe", "stop"}
    found = {t.text or "": float(t.get("x", "0")) for t in root.iter("text") if t.text in names}
    return [found]


def test_without_settings_the_stop_is_still_drawn() -> None:
    assert set(_marks(_aged(1, 1))[0]) == {"stop"}


# --- blocking -------------------------------------------------------------------------------------


def _nodes(*pairs: tuple[int, tuple[int, ...]]) -> list[tuple[int, int, int]]:
    seen = snapshot(blocking=[row(Blocking, pid=pid, blockers=by) for pid, by in pairs])
    return [(node.pid, node.depth, node.more) for node in blocking.tree(seen)]


def test_waiters_hang_below_what_they_wait_for() -> None:
    assert _nodes((2, (1,)), (3, (2,)), (4, (1, 3))) == [(1, 0, 0), (2, 1, 0), (3, 2, 0), (4, 1, 1)]


def test_the_blocker_of_most_comes_first() -> None:
    assert [pid for pid, depth, _ in _nodes((2, (1,)), (4, (3,)), (5, (3,))) if not depth] == [3, 1]


def test_a_circle_is_cut_and_everybody_is_drawn_once() -> None:
    assert sorted(pid for pid, *_ in _nodes((1, (2,)), (2, (1,)), (3, (2,)))) == [1, 2, 3]


def test_hundreds_of_waiters_stay_one_picture() -> None:
    seen = snapshot(blocking=[row(Blocking, pid=pid, blockers=(1,)) for pid in range(2, 900)])
    drawing = blocking.draw(seen)
    assert "The first 24 are drawn." in drawing.reading
    assert len(drawing.wide) < 20_000


# --- waits ----------------------------------------------------------------------------------------


def _ticks(count: int, sessions: int = 1) -> list[WaitSample]:
    return [
        row(WaitSample, tick=tick, at_seconds=tick * 0.1, sessions=sessions, wait_type="IO")
        for tick in range(count)
    ]


def test_one_tick_is_no_profile() -> None:
    quiet = [row(WaitSample, tick=n, at_seconds=n / 10) for n in range(3)]
    assert waits.draw(snapshot(wait_samples=quiet)).empty == "no session was active while we looked"
    assert "one tick only" in waits.draw(snapshot(wait_samples=_ticks(1))).empty


def test_a_long_recording_is_gathered() -> None:
    assert len(waits.draw(snapshot(wait_samples=_ticks(6_000))).wide) < 8_000


def test_moments_without_anybody_count_as_nothing() -> None:
    samples_of_ends = [_ticks(11)[0], _ticks(11)[10]]
    svg = waits.draw(snapshot(wait_samples=samples_of_ends)).wide
    path = re.search(r'd="M([^"]*)Z"', svg)
    assert path is not None
    heights = [float(pair.split(",")[1]) for pair in path.group(1).split("L")][:11]
    assert len(set(heights[1:10])) == 1
    assert heights[0] < heights[1]


# --- horizon and indexes --------------------------------------------------------------------------


def test_a_session_that_is_not_visible_is_counted() -> None:
    seen = snapshot(
        sessions=[row(Session, pid=1, xmin_age=9, is_visible=True), row(Session, pid=2)]
    )
    assert "1 session is not visible" in horizon.draw(seen).reading


def test_the_own_session_holds_nothing() -> None:
    own = row(Session, pid=1, xmin_age=9, is_visible=True, is_own=True)
    assert horizon.draw(snapshot(sessions=[own])).empty


def test_an_unknown_window_is_said() -> None:
    index = row(Index, oid=1, schema="public", name="i", pages=9)
    seen = snapshot(
        window_hours=None, indexes=[index], index_statistics=[row(IndexStatistics, index=1)]
    )
    assert "since a time that is not known" in indexes.draw(seen).reading
    unread = snapshot(indexes=[index], index_statistics=fact(status=Status.DENIED, reason="no"))
    assert "index statistics: denied" in indexes.draw(unread).empty
