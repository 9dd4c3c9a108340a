"""Tables as TOML: the library reads it, but does not write it.

Owns the text of a model's tables. Must never know what they mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

HEADED = ("clients", "stations", "controllers", "triggers", "parts")
BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(tree: Mapping[str, Any]) -> str:
    """The tree as TOML 1.0: tables of elements as headers, smaller ones on one line."""
    return "\n".join(_lines(tree, ())).strip() + "\n"


def _lines(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """A model: its own fields, then each element under its header, then parts as models."""
    for key, value in tree.items():
        if key not in HEADED:
            yield f"{_key(key)} = {_value(value)}"
    for family in ("clients", "stations", "controllers"):
        for name, element in tree.get(family, {}).items():
            yield from ("", f"[{_path((*path, family, name))}]")
            yield from (f"{_key(key)} = {_value(value)}" for key, value in element.items())
    for trigger in tree.get("triggers", ()):
        yield from ("", f"[[{_path((*path, 'triggers'))}]]")
        yield from (f"{_key(key)} = {_value(value)}" for key, value in trigger.items())
    for name, part in tree.get("parts", {}).items():
        here = (*path, "parts", name)
        yield from ("", f"[{_path(here)}]", *_lines(part, here))


def _path(path: tuple[str, ...]) -> str:
    return ".".join(_key(one) for one in path)


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else repr(value).replace("e+", "e")
    return json.dumps(value)  # words, whole numbers, true and false are the same in both
