"""What a simulation found, on a terminal and as one self-contained HTML page.

Owns the parts of an answer: facts, sections with text, tables and pictures. Must never decide or
measure anything: it is given finished figures.
"""

from __future__ import annotations

from functools import cache

import jinja2
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from howdah.report import wording
from howdah.report.pictures.drawing import Drawing
from howdah.report.templating import environment


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under headings; all of it text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Drawing, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page. `verdict` is its one sentence; `again` the command that makes it again."""

    title: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    again: str = ""


def page(content: Page) -> str:
    """The page as the text of one file."""
    return _template().render(page=content)


def show(content: Page, console: Console) -> None:
    """The same on a terminal, without the pictures."""
    console.print(wording.clean(content.title), style="bold", markup=False)
    console.print(wording.clean(content.verdict), markup=False)
    for name, value in content.facts:
        console.print(f"[dim]{escape(name)}:[/dim] {escape(wording.clean(value))}")
    for section in content.sections:
        console.print()
        console.print(wording.clean(section.title), style="bold", markup=False)
        for text in section.text:
            console.print(wording.clean(text), markup=False)
        for table in section.tables:
            console.print(_grid(table))


def _grid(table: Table) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    for heading in table.head:
        grid.add_column(escape(heading), style=None)
    for row in table.rows:
        grid.add_row(*(escape(wording.clean(cell)) for cell in row))
    return grid


@cache
def _template() -> jinja2.Template:
    return environment().get_template("simulation.html.jinja")
