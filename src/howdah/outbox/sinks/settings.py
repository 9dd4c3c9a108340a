"""Settings of sinks: frozen, bounded, and silent about secrets.

Owns the base of every sink's settings and how a mapping of options becomes one. Must never show a
secret: not in a repr, not in an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from howdah.config import suggestion
from howdah.errors import BadInput
from howdah.outbox.sinks.address import place
from howdah.postgres.connection import describe

_SECRET_WORDS = ("password", "secret", "token", "seed", "credential", "headers")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The base: its repr shows a URL without user and query, and blanks what is secret."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich would print the fields itself
        return list(self._shown())

    def _shown(self) -> Iterator[tuple[str, Any]]:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if field.name == "url":
                value = place(value)
            elif field.name == "dsn":
                value = describe(value)
            elif value and any(word in field.name for word in _SECRET_WORDS):
                value = "***"
            yield field.name, value


Kind = TypeVar("Kind", bound=msgspec.Struct)


def build(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """Settings of that kind; texts are converted, as from a command line or the environment.

    Raises `BadInput` for an unknown name, with the nearest known one, and for a bad value.
    """
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for name in values:
        if name not in known:
            raise BadInput(f"unknown option {name!r} of the sink", hint=suggestion(name, known))
    try:
        return msgspec.convert(dict(values), kind, strict=False)
    except msgspec.ValidationError as error:
        # msgspec names the field and the expected type, never the value.
        raise BadInput("an option of the sink is out of bounds", detail=str(error)) from None
