"""The templates of this package and how they are filled.

Owns escaping: everything is escaped but our own style sheets and pictures. Must never know what a
page says.
"""

from __future__ import annotations

import jinja2
from markupsafe import Markup

from howdah.report import wording

_LOADER = jinja2.PackageLoader("howdah.report", "templates")


def environment() -> jinja2.Environment:
    """Strict: a name that is not there is an error. `clean` and `svg` are its filters."""
    made = jinja2.Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(include_raw=raw)
    made.filters.update(clean=wording.clean, svg=Markup)
    return made


def raw(name: str) -> Markup:
    """A style sheet or script of this package, which needs no escaping."""
    source, _, _ = _LOADER.get_source(jinja2.Environment(autoescape=True), name)
    return Markup(source)  # our own file
