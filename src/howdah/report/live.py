"""The screen of `howdah watch`: a view of plain values in, something that rich can draw out.

Owns the layout of one screen. Must never sample, connect or compute a share: `WatchView` holds what
was seen, and `missing` what could not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from howdah.check.knowledge.amounts import duration, number
from howdah.report import wording

T = TypeVar("T")

_TWO_COLUMNS = 100  # characters from which waits stand beside the rest
_HEAD = 2
_STYLE = {
    "on CPU": "green",
    "IO": "blue",
    "LWLock": "red",
    "Lock": "magenta",
    "IPC": "yellow",
    "Client": "cyan",
}


class WaitShare(msgspec.Struct, frozen=True, kw_only=True):
    """One wait event's share of database time; `kind` is its class, or 'on CPU'."""

    kind: str
    event: str  # '' on CPU
    share: float  # 0..1 of the sampled active sessions
    sessions: float  # on average


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """A session that others wait for and that waits for none."""

    pid: int
    who: str  # application or role
    state: str
    seconds: float | None  # in transaction
    waiters: int  # directly and indirectly
    statement: str


class HorizonHolder(msgspec.Struct, frozen=True, kw_only=True):
    """What has the oldest snapshot."""

    kind: str  # 'session', 'prepared transaction', 'replication slot', 'standby'
    name: str
    age: int  # transactions
    seconds: float | None


class QueueDepth(msgspec.Struct, frozen=True, kw_only=True):
    """One queue or outbox: rows that wait, dead versions, and how the depth changes."""

    name: str
    depth: int
    dead: int | None
    per_minute: float | None  # change of the depth


class WatchView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one screen shows. Sequences come ranked."""

    server: str  # 'PostgreSQL 18.6'
    database: str
    at: datetime
    samples: int
    seconds: float  # that the samples cover
    active: float  # sessions, on average
    waits: tuple[WaitShare, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    holder: HorizonHolder | None = None
    queues: tuple[QueueDepth, ...] = ()
    missing: tuple[str, ...] = ()  # 'blocking: denied (needs pg_monitor)'
    recording: str = ""  # the file that is written


def screen(view: WatchView, width: int, height: int) -> RenderableType:
    """One screen of that many characters and lines."""
    foot = min(len(view.missing), 2) + 1
    body = height - _HEAD - foot
    layout = Layout()
    layout.split_column(
        Layout(_head(view), size=_HEAD),
        Layout(_body(view, width, body), name="body"),
        Layout(_foot(view), size=foot),
    )
    return layout


def _body(view: WatchView, width: int, height: int) -> Layout:
    made = Layout()
    if width >= _TWO_COLUMNS:
        left = width // 2
        top, middle = max(6, height // 2), 4
        right = Layout(ratio=1)
        right.split_column(
            Layout(_blockers(view, width - left, top), size=top),
            Layout(_horizon(view), size=middle),
            Layout(_queues(view, width - left, height - top - middle)),
        )
        made.split_row(Layout(_waits(view, left, height), size=left), right)
        return made
    low = 5
    half = (height - low) // 2
    bottom = Layout(size=low)
    bottom.split_row(Layout(_horizon(view)), Layout(_queues(view, width // 2, low)))
    made.split_column(
        Layout(_waits(view, width, height - low - half)),
        Layout(_blockers(view, width, half), size=half),
        bottom,
    )
    return made


def _head(view: WatchView) -> RenderableType:
    first = Text(wording.clean(f"{view.database} on {view.server}"), style="bold")
    first.append(f"  {wording.moment(view.at)}", style="dim")
    second = f"{view.active:.1f} active sessions on average; {view.samples:,} samples in "
    return Group(first, Text(second + duration(view.seconds)))


def _foot(view: WatchView) -> RenderableType:
    lines = [_cut(f"not seen: {each}", "yellow") for each in view.missing[:2]]
    keys = "Ctrl-C ends" + (f"; recording to {view.recording}" if view.recording else "")
    return Group(*lines, _cut(keys, "dim"))


def _cut(text: str, style: str = "") -> Text:
    return Text(wording.clean(text), style=style, no_wrap=True, overflow="ellipsis")


def _panel(title: str, content: RenderableType, style: str = "") -> Panel:
    return Panel(content, title=title, title_align="left", border_style=style, padding=(0, 1))


def _grid(*justify: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for each in justify:
        # Numbers keep their width; texts give way, and `_cut` keeps them on one line.
        right = each == "right"
        table.add_column(justify="right" if right else "left", no_wrap=right)
    return table


def _waits(view: WatchView, width: int, height: int) -> Panel:
    """Shares as bars; what does not fit is summed in the last line."""
    if not view.waits:
        return _panel("Waits by share of database time", Text("nobody was active"))
    shown, rest = _split(view.waits, height - 2)
    bars = max(6, width // 4)
    table = _grid("left", "right", "right", "left")
    for each in shown:
        name = f"{each.kind}:{each.event}" if each.event else each.kind
        style = _STYLE.get(each.kind, "white")
        bar = Text("█" * max(1, round(bars * each.share)), style=style)
        table.add_row(_cut(name), _share(each.share), f"{each.sessions:.1f}", bar)
    if rest:
        left = _share(sum(each.share for each in rest))
        table.add_row(f"{len(rest)} more", left, f"{sum(each.sessions for each in rest):.1f}")
    return _panel("Waits by share of database time", table)


def _share(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share * 100:.0f}%"


def _blockers(view: WatchView, width: int, height: int) -> Panel:
    if not view.blockers:
        return _panel("Blockers", Text("none"))
    table = _grid("left", "right", "left")
    shown, rest = _split(view.blockers, height - 2)
    for each in shown:
        since = duration(each.seconds) if each.seconds is not None else ""
        who = f"{each.pid} {each.who} ({each.state})"
        text = f"{since}  {each.statement}"
        waiters = wording.plural(each.waiters, "waiter")
        table.add_row(_cut(who[: width // 2]), waiters, _cut(text))
    if rest:
        table.add_row(f"{len(rest)} more", str(sum(each.waiters for each in rest)), "")
    return _panel("Blockers", table, "red")


def _horizon(view: WatchView) -> Panel:
    holder = view.holder
    if holder is None:
        return _panel("Horizon", Text("nothing holds it"))
    since = f", {duration(holder.seconds)}" if holder.seconds is not None else ""
    lines = Group(
        _cut(f"{holder.kind} {holder.name}"),
        _cut(f"{number(holder.age)} transactions old{since}", "bold"),
    )
    return _panel("Horizon held by", lines)


def _queues(view: WatchView, width: int, height: int) -> Panel:
    if not view.queues:
        return _panel("Queues", Text("none recognised"))
    roomy = width >= _TWO_COLUMNS // 2
    table = _grid("left", "right", "right", *(["right"] if roomy else []))
    shown, rest = _split(view.queues, height - 2)
    for each in shown:
        change = "" if each.per_minute is None else f"{each.per_minute:+,.0f}/min"
        dead = "" if each.dead is None else f"{each.dead:,} dead"
        table.add_row(_cut(each.name), f"{each.depth:,}", change, *([dead] if roomy else []))
    if rest:
        table.add_row(f"{len(rest)} more", f"{sum(each.depth for each in rest):,}")
    return _panel("Queues", table)


def _split(items: Sequence[T], room: int) -> tuple[Sequence[T], Sequence[T]]:
    """What fits into so many lines, and the rest, which then needs the last of them."""
    if len(items) <= room:
        return items, ()
    return items[: max(0, room - 1)], items[max(0, room - 1) :]
