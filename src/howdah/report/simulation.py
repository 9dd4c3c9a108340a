"""What a simulation found, as one self-contained HTML page.

Owns the page's parts: facts, sections with text, tables and pictures. Must never decide or measure
anything: it is given finished figures.
"""

from __future__ import annotations

from functools import cache

import jinja2
import msgspec
from markupsafe import Markup

from howdah.report import wording
from howdah.report.html import raw
from howdah.report.pictures.drawing import Drawing


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


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("howdah.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(include_raw=raw)
    environment.filters.update(clean=wording.clean, svg=Markup)
    return environment.get_template("simulation.html.jinja")
