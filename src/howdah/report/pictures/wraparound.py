"""How far each database and table is from the end of its transaction ids and MultiXacts.

Owns the picture only. The stop line is 3,000,000 ids before the end of half the 32-bit circle
(PostgreSQL documentation, "Preventing Transaction ID Wraparound Failures"); the other lines are
settings.
"""

from __future__ import annotations

import msgspec

from howdah.check.knowledge.amounts import number, percent
from howdah.report.pictures.drawing import (
    SMALL,
    Drawing,
    bar,
    breadth,
    drawn,
    fitted,
    label,
    legend,
    line,
    missing,
)
from howdah.snapshot.model import Snapshot
from howdah.snapshot.picture import Picture

END = 2**31
STOP = END - 3_000_000
_DATABASES = 5
_TABLES = 6
_TITLE = "Distance to wraparound"
_UNITS = "age in ids, of 2,147,483,648"


class _Age(msgspec.Struct, frozen=True):
    name: str
    is_database: bool
    age: int


class _Scale(msgspec.Struct, frozen=True):
    """One kind of id: its ages, oldest first, and the lines that the settings draw."""

    title: str
    ages: tuple[_Age, ...]
    autovacuum: float | None
    failsafe: float | None


def draw(snapshot: Snapshot) -> Drawing:
    """Bars of ages for transaction ids and MultiXacts, with the lines where the server acts."""
    why = missing(("databases", snapshot.databases))
    if why or not snapshot.databases.rows:
        why = why or "the snapshot lists no database"
        return Drawing(name="wraparound", title=_TITLE, units=_UNITS, empty=f"not sampled: {why}")
    scales = _scales(Picture(snapshot))
    return drawn(
        name="wraparound",
        title=_TITLE,
        units=_UNITS,
        reading=_reading(scales),
        at=lambda width: _body(scales, width),
    )


def _scales(picture: Picture) -> tuple[_Scale, _Scale]:
    databases = picture.snapshot.databases.rows
    tables = picture.relations.values()
    xids = [_Age(d.name, True, d.xid_age) for d in databases]
    mxids = [_Age(d.name, True, d.mxid_age) for d in databases]
    table_xids, table_mxids = [], []
    for table in tables:
        name = f"{table.schema}.{table.name}"
        table_xids += _ages(name, table.xid_age, table.toast_xid_age)
        table_mxids += _ages(name, table.mxid_age, table.toast_mxid_age)
    return (
        _scale(picture, "Transaction ids", xids, table_xids, ""),
        _scale(picture, "MultiXact ids", mxids, table_mxids, "multixact_"),
    )


def _ages(name: str, age: int | None, toast: int | None) -> list[_Age]:
    found = [_Age(name, False, age)] if age is not None else []
    return found + ([_Age(f"{name} (toast)", False, toast)] if toast is not None else [])


def _scale(
    picture: Picture, title: str, databases: list[_Age], tables: list[_Age], kind: str
) -> _Scale:
    oldest = _oldest(databases)[:_DATABASES] + _oldest(tables)[:_TABLES]
    autovacuum = picture.setting_number(f"autovacuum_{kind}freeze_max_age")
    failsafe = picture.setting_number(f"vacuum_{kind}failsafe_age")
    if failsafe is not None and autovacuum is not None:
        failsafe = max(failsafe, 1.05 * autovacuum)  # the server raises a lower one to this
    return _Scale(title, tuple(oldest), autovacuum, failsafe)


def _oldest(ages: list[_Age]) -> list[_Age]:
    return sorted(ages, key=lambda each: (-each.age, each.name))


def _reading(scales: tuple[_Scale, _Scale]) -> str:
    ages = [(each.age, each.name, s.title) for s in scales for each in s.ages if each.is_database]
    age, name, title = max(ages)
    kind = "transaction ids" if title == "Transaction ids" else "MultiXact ids"
    return (
        f"Nearest to its end is database {name}: {number(age)} {kind} old, "
        f"{percent(age / STOP)} of the way to the stop."
    )


def _body(scales: tuple[_Scale, _Scale], width: int) -> tuple[float, str]:
    used, body = legend(0, 12, width, [("c1", "database"), ("c6", "table of this database")])
    top = used + 4.0
    for scale in scales:
        height, part = _panel(scale, width, top)
        body += part
        top += height
    return top, body


def _panel(scale: _Scale, width: int, top: float) -> tuple[float, str]:
    """One kind of id: a heading, the lines, and two rows of pixels per age."""
    names = width * 0.30
    room = width - names - 8
    body = label(0, top + 14, scale.title, style="strong")
    rows = top + 58
    bottom = rows + len(scale.ages) * 22
    body += _lines(scale, names, room, top + 44, bottom)
    for place, each in enumerate(scale.ages):
        y = rows + place * 22
        style = "c1" if each.is_database else "c6"
        tip = f"{each.name}: {number(each.age)}"
        body += label(names - 8, y + 12, fitted(each.name, names - 12), anchor="end")
        body += bar(names, y + 2, room * min(1.0, each.age / END), 13, style, tip=tip)
        body += _count(names, room, y, each.age)
    return bottom - top + 26, body


def _count(names: float, room: float, y: float, age: int) -> str:
    """The age in millions: beside the bar, or inside it where there is no room beside."""
    text = f"{age / 1e6:,.0f} M" if age >= 1e6 else number(age)
    end = names + room * min(1.0, age / END)
    if end + breadth(text) < names + room:
        return label(end + 5, y + 13, text, style="small halo")
    return label(end - 5, y + 13, text, style="small inside", anchor="end")


def _lines(scale: _Scale, names: float, room: float, top: float, bottom: float) -> str:
    """Where a vacuum is forced, where the failsafe and the stop begin.

    A name stands at the inner side of its line, and one step higher than a name it would touch.
    """
    marks = (
        (float(STOP), "stop", "mark stop"),
        (scale.failsafe, "failsafe", "mark warn"),
        (scale.autovacuum, "autovacuum", "mark"),
    )
    body, taken = "", [names + room + 1] * 3
    for at, name, style in marks:
        if at is not None:
            x = names + room * at / END
            size = breadth(name, scale=SMALL)
            left = x if x + size < min(taken) - 6 else x - size
            level = next((n for n in range(3) if left + size <= taken[n]), 2)
            taken[level] = left - 6
            y = top - level * 12
            body += line(x, y + 4, x, bottom, style)
            anchor = "start" if left == x else "end"
            body += label(x, y, name, style="small", anchor=anchor)
    return body
