"""What a picture is, and the few SVG elements that pictures are made of.

Owns escaping, coordinates and class names; colours and fonts belong to the page's style sheet, so
that light and dark need no second drawing. Text in SVG does not wrap and shrinks with its picture,
so that every picture is drawn twice: for a wide page and for a narrow one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import msgspec

from howdah.report.wording import clean
from howdah.snapshot.facts import Fact

WIDE = 620
NARROW = 340
# Widths of letters at 12 px in the widest of the page's usual fonts, so that no other overflows.
_LETTER, _THIN, _BROAD = 7.6, 4.8, 11.8
_THIN_LETTERS = frozenset("iljftrI .,:;'|!()[]-/")
_BROAD_LETTERS = frozenset("mwMWOQGDN@%_&#<>=+")
BOLD = 1.13  # bold letters against regular ones
SMALL = 11 / 12


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """One picture. `reading` says in one sentence what it shows; `empty` why there is none."""

    name: str
    title: str
    units: str
    reading: str = ""
    wide: str = ""
    narrow: str = ""
    empty: str = ""


def drawn(
    *, name: str, title: str, units: str, reading: str, at: Callable[[int], tuple[float, str]]
) -> Drawing:
    """A drawing of `at(width)`, which returns height and body, for both widths."""
    wide, narrow = (_svg(f"{title}. {reading}", width, *at(width)) for width in (WIDE, NARROW))
    return Drawing(name=name, title=title, units=units, reading=reading, wide=wide, narrow=narrow)


def _svg(label: str, width: int, height: float, body: str) -> str:
    box = f'viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}"'
    return f'<svg {box} role="img" aria-label="{quoted(label)}">{body}</svg>'


def missing(*facts: tuple[str, Fact]) -> str:  # type: ignore[type-arg] # of any kind of row
    """Why a picture cannot be drawn, or '' where every fact is known."""
    for name, fact in facts:
        if not fact.known:
            return f"{name}: {fact.status}" + (f" ({fact.reason})" if fact.reason else "")
    return ""


def quoted(text: str) -> str:
    """Text for an element or an attribute."""
    return escape(clean(text), quote=True)


def breadth(text: str, *, scale: float = 1.0) -> float:
    """About how many pixels a text takes at most; `scale` for bold or small letters."""
    return scale * sum(map(_advance, text))


def _advance(letter: str) -> float:
    if not letter.isascii():
        return _BROAD
    return _THIN if letter in _THIN_LETTERS else _BROAD if letter in _BROAD_LETTERS else _LETTER


def fitted(text: str, width: float, *, scale: float = 1.0) -> str:
    """Text cut to so many pixels; two dots show the cut."""
    text = clean(" ".join(text.split()))
    if breadth(text, scale=scale) <= width:
        return text
    room, end = width - breadth("..", scale=scale), 0
    while end < len(text) and (room := room - scale * _advance(text[end])) >= 0:
        end += 1
    return text[:end].rstrip() + ".."


def label(x: float, y: float, text: str, *, style: str = "", anchor: str = "start") -> str:
    """A line of text, its baseline at y."""
    place = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {place} class="{style}" text-anchor="{anchor}">{quoted(text)}</text>'


def bar(x: float, y: float, width: float, height: float, style: str, *, tip: str = "") -> str:
    """A rectangle; what is not nothing is at least one pixel wide."""
    size = f'width="{max(1.0, width):.1f}" height="{height:.1f}"'
    title = f"<title>{quoted(tip)}</title>" if tip else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="2" class="{style}">{title}</rect>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} class="{style}"/>'


def dot(x: float, y: float, radius: float, style: str, *, tip: str = "") -> str:
    """A circle."""
    title = f"<title>{quoted(tip)}</title>" if tip else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{style}">{title}</circle>'


def area(points: Sequence[tuple[float, float]], style: str, *, tip: str = "") -> str:
    """A filled shape."""
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + "Z"
    title = f"<title>{quoted(tip)}</title>" if tip else ""
    return f'<path d="{path}" class="{style}">{title}</path>'


def steps(top: float, count: int = 4) -> list[float]:
    """Round values from 0 to at least `top`, about `count` of them.

    >>> steps(7)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    if top <= 0:
        return [0.0, 1.0]
    raw = top / count
    power = 10.0 ** (len(f"{int(raw)}") - 1) if raw >= 1 else 0.1
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= raw), 10 * power)
    return [place * step for place in range(int(-(-top // step)) + 1)]


def legend(x: float, y: float, width: float, names: Sequence[tuple[str, str]]) -> tuple[float, str]:
    """Coloured squares with names, wrapped to the width; the height used and the body."""
    body, left, top = "", x, y
    for style, name in names:
        need = 15 + breadth(name) + 8
        if left > x and left + need > x + width:
            left, top = x, top + 18
        body += bar(left, top - 9, 10, 10, style) + label(left + 15, top, name)
        left += need
    return top - y + 18, body
