"""A bench as a picture that stands alone: a bar for each contender, one more with a held horizon.

Owns the picture only. Unlike the pictures of a diagnosis it is a file of its own, for documents, so
it carries its colours with it, for light and for dark.
"""

from __future__ import annotations

from howdah.bench.model import Contended, Report
from howdah.report.pictures.drawing import bar, breadth, fitted, label, line, quoted

_WIDTH = 720
_ROW = 40
_TOP = 52
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#1f2328}.small{font-size:11px;fill:#59636e}
.title{font-weight:600;font-size:14px}.ours{fill:#0a6b5d}.other{fill:#8a949e}.held{opacity:.55}
.axis{stroke:#d1d9e0}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.ours{fill:#3fb8a3}
.other{fill:#6e7681}.axis{stroke:#3d444d}}
"""


def draw(report: Report) -> str:
    """The SVG file's text; the bars share one scale, the fastest contender's."""
    rows = [each for each in report.contenders if each.per_second]
    left = max((breadth(each.name) for each in rows), default=0.0) + 12
    most = max((each.per_second or 0.0 for each in rows), default=1.0)
    scale = (_WIDTH - left - 110) / most
    body = label(0, 18, _title(report), style="title")
    body += label(0, 36, fitted(_condition(report), _WIDTH), style="small")
    for place, each in enumerate(rows):
        body += _row(each, _TOP + place * _ROW, left, scale)
    height = _TOP + max(1, len(rows)) * _ROW + 4
    body += line(left, _TOP - 6, left, height - 6, "axis")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{quoted(_title(report))}">'
    )
    return f"{head}<style>{_STYLE}</style>{body}</svg>\n"


def _row(each: Contended, y: float, left: float, scale: float) -> str:
    style = "ours" if each.name == "howdah" else "other"
    rate = each.per_second or 0.0
    body = label(left - 8, y + 12, each.name, anchor="end")
    tall = 13 if each.held else 26
    body += bar(left, y, rate * scale, tall, style, tip=f"{each.name}: {rate:,.0f} a second")
    body += label(left + rate * scale + 6, y + 11, f"{rate:,.0f}")
    held = each.held.per_second if each.held else None
    if held is not None:
        tip = f"{each.name}, horizon held: {held:,.0f} a second"
        body += bar(left, y + 15, held * scale, 13, f"{style} held", tip=tip)
        text = f"{held:,.0f} with the horizon held"
        body += label(left + held * scale + 6, y + 26, text, style="small")
    return body


def _title(report: Report) -> str:
    noun = "jobs" if report.bench == "queue" else "events"
    return f"{noun.capitalize()} a second, produced and handled at once"


def _condition(report: Report) -> str:
    server = report.server
    return (
        f"PostgreSQL {server.version}, {server.cores} cores, "
        f"fsync {server.settings.get('fsync')}, {report.plan.payload_bytes} byte items, "
        f"{report.plan.seconds:g} s, no-op handlers"
    )
