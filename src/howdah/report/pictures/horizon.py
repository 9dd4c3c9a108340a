"""What keeps VACUUM from removing dead versions: every holder of an old snapshot, by age.

Owns the picture only. Whose horizon counts for which table, and what to do, is for the rules.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from howdah.check.knowledge.amounts import duration, number
from howdah.report.pictures.drawing import (
    SMALL,
    Drawing,
    bar,
    breadth,
    drawn,
    fitted,
    label,
    legend,
    missing,
)
from howdah.report.wording import plural
from howdah.snapshot.model import Snapshot

_HOLDERS = 10
_TITLE = "What holds the horizon"
_UNITS = "age in transactions: versions that died since then must stay"
_STYLE = {
    "session": "c1",
    "prepared transaction": "c3",
    "replication slot": "c4",
    "standby": "c2",
}


class Holder(msgspec.Struct, frozen=True):
    """Something with an old snapshot."""

    kind: str
    name: str
    age: int
    seconds: float | None


def draw(snapshot: Snapshot) -> Drawing:
    """A bar per holder, the oldest first."""
    why = missing(
        ("sessions", snapshot.sessions),
        ("prepared transactions", snapshot.prepared_transactions),
        ("replication slots", snapshot.slots),
    )
    holders = tuple(sorted(holders_of(snapshot), key=lambda each: (-each.age, each.name)))
    if why or not holders:
        empty = f"not sampled: {why}" if why else "nothing holds it: no snapshot is older than now"
        return Drawing(name="horizon", title=_TITLE, units=_UNITS, empty=empty)
    return drawn(
        name="horizon",
        title=_TITLE,
        units=_UNITS,
        reading=_reading(holders, snapshot),
        at=lambda width: _body(holders[:_HOLDERS], width),
    )


def holders_of(snapshot: Snapshot) -> Iterator[Holder]:
    """Sessions, prepared transactions, slots and standbys that hold an old transaction id."""
    for each in snapshot.sessions.rows:
        age = max(each.xmin_age or 0, each.xid_age or 0)
        if age and not each.is_own:
            what = each.application or each.role or each.backend_type or ""
            name = f"{each.pid} {what} ({each.state or 'state not visible'})"
            yield Holder("session", name, age, each.seconds_in_transaction)
    for prepared in snapshot.prepared_transactions.rows:
        if prepared.xid_age:
            yield Holder(
                "prepared transaction", prepared.gid, prepared.xid_age, prepared.seconds_prepared
            )
    for slot in snapshot.slots.rows:
        age = max(slot.xmin_age or 0, slot.catalog_xmin_age or 0)
        if age:
            catalog = " (catalogs only)" if not slot.xmin_age else ""
            yield Holder("replication slot", f"{slot.name}{catalog}", age, slot.seconds_inactive)
    for standby in snapshot.standbys.rows:
        if standby.xmin_age:
            yield Holder("standby", standby.application, standby.xmin_age, None)


def _reading(holders: tuple[Holder, ...], snapshot: Snapshot) -> str:
    first = holders[0]
    since = f" for {duration(first.seconds)}" if first.seconds is not None else ""
    text = f"The oldest is {first.kind} {first.name}: {number(first.age)} transactions{since}."
    hidden = sum(not each.is_visible for each in snapshot.sessions.rows)
    if len(holders) > _HOLDERS:
        text += f" {len(holders) - _HOLDERS} younger ones are not drawn."
    if hidden:
        verb = "is" if hidden == 1 else "are"
        text += f" {plural(hidden, 'session')} {verb} not visible to this role."
    return text


def _body(holders: tuple[Holder, ...], width: int) -> tuple[float, str]:
    kinds = dict.fromkeys(each.kind for each in holders)
    used, body = legend(0, 12, width, [(_STYLE[kind], kind) for kind in kinds])
    top, most = used + 6, max(each.age for each in holders)
    for place, each in enumerate(holders):
        y = top + place * 36
        age = f"{number(each.age)}"
        since = f", {duration(each.seconds)}" if each.seconds is not None else ""
        room = width - breadth(age + since, scale=SMALL) - 12
        body += label(0, y + 12, fitted(each.name, room))
        body += label(width, y + 12, f"{age}{since}", style="small", anchor="end")
        size = width * each.age / most
        body += bar(0, y + 17, size, 10, _STYLE[each.kind], tip=f"{each.name}: {age}")
    return top + len(holders) * 36, body
