"""Who waits for whom: the sessions that block others, and below each of them its waiters.

Owns the picture only. A session that waits for several is drawn below the first of them and says
how many more there are; a circle of waiters (a deadlock about to be broken) is cut at one of them.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from howdah.check.knowledge.amounts import duration
from howdah.report.pictures.drawing import (
    BOLD,
    SMALL,
    Drawing,
    bar,
    drawn,
    fitted,
    label,
    line,
    missing,
)
from howdah.report.wording import plural
from howdah.snapshot.facts.activity import Lock, Session
from howdah.snapshot.model import Snapshot

_TITLE = "Blocking tree"
_UNITS = "sessions by process id; each waits for the one it hangs below"
_ROWS = 24
_HEIGHT = 46


class Node(msgspec.Struct, frozen=True):
    """One session of the tree."""

    pid: int
    depth: int
    more: int  # further sessions that it also waits for


def draw(snapshot: Snapshot) -> Drawing:
    """The tree as indented boxes."""
    why = missing(("blocking", snapshot.blocking))
    nodes = tree(snapshot)
    if why or not nodes:
        empty = f"not sampled: {why}" if why else "nobody waits for a lock of another session"
        return Drawing(name="blocking", title=_TITLE, units=_UNITS, empty=empty)
    return drawn(
        name="blocking",
        title=_TITLE,
        units=_UNITS,
        reading=_reading(nodes),
        at=lambda width: _body(nodes, snapshot, width),
    )


def tree(snapshot: Snapshot) -> tuple[Node, ...]:
    """Every blocker and waiter once, depth first, those with most waiters below them first."""
    waits = {each.pid: each.blockers for each in snapshot.blocking.rows if each.blockers}
    below: dict[int, list[int]] = defaultdict(list)
    for pid, blockers in sorted(waits.items()):
        below[blockers[0]].append(pid)
    roots = sorted({pid for pid in below if pid not in waits})
    found: dict[int, Node] = {}

    def walk(start: int) -> None:
        stack = [(start, 0)]
        while stack:
            pid, depth = stack.pop()
            if pid not in found:
                found[pid] = Node(pid, depth, max(0, len(waits.get(pid, ())) - 1))
                stack += [(child, depth + 1) for child in reversed(below[pid])]

    for root in sorted(roots, key=lambda pid: (-len(below[pid]), pid)):
        walk(root)
    for pid in sorted(waits):  # what is left waits in a circle
        walk(pid)
    return tuple(found.values())


def _reading(nodes: tuple[Node, ...]) -> str:
    roots = [node for node in nodes if node.depth == 0]
    waiting = len(nodes) - len(roots)
    heads = ", ".join(str(node.pid) for node in roots[:3])
    verb = "waits" if waiting == 1 else "wait"
    text = f"{plural(waiting, 'session')} {verb} behind {plural(len(roots), 'session')} ({heads})."
    if len(nodes) > _ROWS:
        text += f" The first {_ROWS} are drawn."
    return text


def _body(nodes: tuple[Node, ...], snapshot: Snapshot, width: int) -> tuple[float, str]:
    sessions = {each.pid: each for each in snapshot.sessions.rows}
    wanted = {each.pid: each for each in snapshot.locks.rows if not each.is_granted}
    body, last_at = "", {0: 0.0}
    for place, node in enumerate(nodes[:_ROWS]):
        y = place * float(_HEIGHT) + 2
        x = min(node.depth, 6) * (width * 0.045)
        if node.depth:
            trunk = x - width * 0.045 + 8
            body += line(trunk, last_at.get(node.depth - 1, 0) + 36, trunk, y + 18, "branch")
            body += line(trunk, y + 18, x, y + 18, "branch")
        last_at[node.depth] = y
        body += _box(node, sessions.get(node.pid), wanted.get(node.pid), x, y, width)
    return min(len(nodes), _ROWS) * _HEIGHT + 2.0, body


def _box(
    node: Node, session: Session | None, lock: Lock | None, x: float, y: float, width: int
) -> str:
    style = "box waiting" if node.depth else "box blocker"
    room = width - x - 22
    body = bar(x, y, width - x - 2, 38, style, tip=(session.query or "") if session else "")
    body += bar(x, y, 4, 38, "c1" if node.depth else "c3")
    body += label(x + 12, y + 16, fitted(_who(node, session), room, scale=BOLD), style="strong")
    return body + label(
        x + 12, y + 31, fitted(_what(node, session, lock), room, scale=SMALL), style="small"
    )


def _who(node: Node, session: Session | None) -> str:
    if session is None:
        return f"{node.pid} (not visible)"
    seconds = session.seconds_in_transaction
    since = f", {duration(seconds)} in transaction" if seconds is not None else ""
    name = session.application or session.role or ""
    return f"{node.pid} {name}: {session.state or 'state not visible'}{since}"


def _what(node: Node, session: Session | None, lock: Lock | None) -> str:
    more = f" and {node.more} more" if node.more else ""
    if node.depth and lock is not None:
        return f"waits for {lock.mode} on {lock.relation or lock.kind}{more}"
    query = (session.query if session else None) or "statement not visible"
    return f"waits{more}: {query}" if node.depth else query
