"""A model as a graph: elements in columns from the clients on, edges, and a loop among them marked.

Owns the layout. Must never leave an edge out: an edge that leads back is drawn beneath the boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from howdah.report.pictures.drawing import SMALL, Drawing, bar, drawn, fitted, label, line, quoted

_BOX = 34.0
_GAP = 18.0
_TOP = 10.0
Edge = tuple[str, str]


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Elements by name with their kind, and edges; `loop` are those of the sustaining loop."""

    elements: Mapping[str, str]
    edges: tuple[Edge, ...]
    loop: tuple[str, ...] = ()  # elements on it
    feedback: tuple[tuple[str, str, str], ...] = ()  # edges that are no way of an item: with a word


def draw(graph: Graph, *, reading: str) -> Drawing:
    """Columns from left to right on a wide page, rows from top to bottom on a narrow one."""
    return drawn(
        name="graph",
        title="The model",
        units="arrows are the ways of items; dashed ones feedback",
        reading=reading,
        at=lambda width: _body(graph, width),
    )


def layers(graph: Graph) -> list[list[str]]:
    """Elements by their distance from the clients, each in the order of declaration."""
    targets = {end for _, end in graph.edges}
    depth = {name: 0 for name in graph.elements if name not in targets}
    depth = depth or {next(iter(graph.elements)): 0}
    frontier = list(depth)
    following = defaultdict(list)
    for start, end in graph.edges:
        following[start].append(end)
    while frontier:
        reached = [(end, depth[start] + 1) for start in frontier for end in following[start]]
        frontier = []
        for end, far in reached:
            if end not in depth:
                depth[end] = far
                frontier.append(end)
    for name in graph.elements:
        depth.setdefault(name, 0)
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in graph.elements:
        found[depth[name]].append(name)
    return [each for each in found if each]


def _body(graph: Graph, width: int) -> tuple[float, str]:
    columns = layers(graph)
    across = width >= 500
    places = _across(columns, width) if across else _down(columns, width)
    lowest = max(y + _BOX for _, y, _ in places.values())
    body, back = "", lowest + 10
    for start, end in graph.edges:
        if start in places and end in places:
            both = {start, end} <= set(graph.loop)
            leads_back = places[end][0 if across else 1] <= places[start][0 if across else 1]
            body += _edge(
                places[start], places[end], "loop" if both else "edge", across, leads_back, back
            )
            back += 7 * leads_back
    for start, end, word in graph.feedback:
        body += _feedback(places[start], places[end], word, back)
        back += 16
    for name, (x, y, breadth) in places.items():
        style = "box loop" if name in graph.loop else "box"
        body += bar(x, y, breadth, _BOX, style, tip=f"{name}: {graph.elements[name]}")
        body += label(x + 6, y + 14, fitted(name, breadth - 10), style="strong")
        body += label(
            x + 6, y + 28, fitted(graph.elements[name], breadth - 10, scale=SMALL), style="small"
        )
    return back + 14, body


Places = dict[str, tuple[float, float, float]]


def _across(columns: Sequence[Sequence[str]], width: int) -> Places:
    step = (width - 4) / len(columns)
    breadth = min(150.0, step - 26)
    tallest = max(map(len, columns))
    return {
        name: (
            2 + place * step,
            _TOP + (_BOX + _GAP) * (row + (tallest - len(names)) / 2),
            breadth,
        )
        for place, names in enumerate(columns)
        for row, name in enumerate(names)
    }


def _down(columns: Sequence[Sequence[str]], width: int) -> Places:
    places: Places = {}
    for row, names in enumerate(columns):
        step = (width - 40) / len(names)
        for place, name in enumerate(names):
            breadth = min(160.0, step - 8)
            places[name] = (20 + place * step, _TOP + row * (_BOX + _GAP + 8), breadth)
    return places


def _edge(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    style: str,
    across: bool,
    leads_back: bool,
    back: float,
) -> str:
    x1, y1, b1 = start
    x2, y2, b2 = end
    if leads_back:
        path = (
            f"M{x1 + b1 / 2:.1f},{y1 + _BOX:.1f}V{back:.1f}H{x2 + b2 / 2:.1f}V{y2 + _BOX + 5:.1f}"
        )
        return _path(path, style) + _tip(x2 + b2 / 2, y2 + _BOX, (0, -1), style)
    if across:
        a, b = (x1 + b1, y1 + _BOX / 2), (x2, y2 + _BOX / 2)
        middle = (a[0] + b[0]) / 2
        bend = f"C{middle:.1f},{a[1]:.1f} {middle:.1f},{b[1]:.1f}"
        path = f"M{a[0]:.1f},{a[1]:.1f}{bend} {b[0] - 5:.1f},{b[1]:.1f}"
        return _path(path, style) + _tip(*b, (1, 0), style)
    a, b = (x1 + b1 / 2, y1 + _BOX), (x2 + b2 / 2, y2)
    return _path(f"M{a[0]:.1f},{a[1]:.1f}L{b[0]:.1f},{b[1] - 5:.1f}", style) + _tip(
        *b, (0, 1), style
    )


def _feedback(
    start: tuple[float, float, float], end: tuple[float, float, float], word: str, back: float
) -> str:
    x1, y1, b1 = start
    x2, y2, b2 = end
    a, b = x1 + b1 / 2, x2 + b2 / 2
    drawn = line(a, y1 + _BOX, a, back, "mark") + line(a, back, b, back, "mark")
    drawn += line(b, back, b, y2 + _BOX, "mark") + _tip(b, y2 + _BOX, (0, -1), "edge")
    return drawn + label((a + b) / 2, back - 3, word, style="small halo", anchor="middle")


def _path(path: str, style: str) -> str:
    return f'<path d="{quoted(path)}" class="{style}"/>'


def _tip(x: float, y: float, towards: tuple[int, int], style: str) -> str:
    """An arrow's head at its end."""
    dx, dy = towards
    left = (x - 7 * dx - 4 * dy, y - 7 * dy - 4 * dx)
    right = (x - 7 * dx + 4 * dy, y - 7 * dy + 4 * dx)
    return _path(
        f"M{left[0]:.1f},{left[1]:.1f}L{x:.1f},{y:.1f}L{right[0]:.1f},{right[1]:.1f}", style
    )
