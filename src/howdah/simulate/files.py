"""Models as files: TOML, YAML or JSON, the same words as in Python.

Owns reading, with the line or the place of what is wrong, and writing. Must never judge what a
model means: `validate` does.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from howdah.errors import BadFile, Unsupported
from howdah.simulate.model import (
    Client,
    Controller,
    Model,
    Policy,
    Station,
    Trigger,
    When,
    Zipf,
)
from howdah.simulate.policies.policy import nearest
from howdah.simulate.toml import written

Format = Literal["toml", "yaml", "json"]
SUFFIXES: dict[str, Format] = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
ALONE = (Model, Controller, Trigger, When, Zipf)  # stand where nothing else can


def load(path: Path) -> Model:
    """The model of a file; its format is its suffix. Raises BadFile with line or place."""
    form = _format(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read", detail=str(error)) from error
    return loads(text, form, name=str(path))


def loads(text: str, form: Format, *, name: str = "model") -> Model:
    """The model of a text. `name` is how errors call it. Raises BadFile with line or place."""
    readers: dict[Format, Callable[[str, str], Any]] = {
        "toml": _toml,
        "yaml": _yaml,
        "json": _json,
    }
    tree = readers[form](text, name)
    if not isinstance(tree, dict):
        raise BadFile(f"{name} is no model", detail="a table of clients and stations is expected")
    return _model(tree, name, "")


def dump(model: Model, path: Path) -> None:
    """Write the model; what has its default is left out. Raises BadFile for an unknown suffix."""
    path.write_text(dumps(model, _format(path)), encoding="utf-8")


def dumps(model: Model, form: Format) -> str:
    """The model as text, without what has its default."""
    tree = plain(model)
    if form == "json":
        return json.dumps(tree, indent=2) + "\n"
    if form == "toml":
        return written(tree)
    text: str = _yaml_library().safe_dump(tree, sort_keys=False)
    return text


def plain(value: Any, place: str = "") -> Any:
    """A struct as tables, lists and words, without the fields that have their default.

    `place` is the field that holds it: where only one kind can stand, the kind is left out.
    """
    if isinstance(value, msgspec.Struct):
        alone = isinstance(value, ALONE) or (isinstance(value, Policy) and place != "retry")
        kept = {} if alone else {"kind": value.__struct_config__.tag}
        for field in msgspec.structs.fields(value):
            held = getattr(value, field.name)
            default = field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if default is msgspec.NODEFAULT or held != default:
                kept[field.name] = plain(held, field.name)
        return kept
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


# Reading, by format.


def _format(path: Path) -> Format:
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        known = ", ".join(SUFFIXES)
        raise BadFile(f"{path} is no model file", hint=f"a name that ends with one of {known}")
    return form


def _toml(text: str, name: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"{name} is no TOML", detail=str(error)) from error


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}, line {error.lineno}, column {error.colno}"
        raise BadFile(f"{where}: no JSON", detail=error.msg) from error


def _yaml(text: str, name: str) -> Any:
    yaml = _yaml_library()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        problem = getattr(error, "problem", None) or str(error)
        raise BadFile(f"{where}: no YAML", detail=str(problem)) from error


def _yaml_library() -> Any:
    try:
        import yaml
    except ImportError as error:
        hint = "pip install 'howdah[simulate]', or write the model as TOML or JSON"
        raise Unsupported("YAML needs PyYAML, which is not installed", hint=hint) from error
    return yaml


# From tables to structs, one element at a time so that errors have a place.

FAMILIES: dict[str, Any] = {"clients": Client, "stations": Station, "controllers": Controller}


def _model(tree: dict[str, Any], name: str, place: str) -> Model:
    given: dict[str, Any] = {key: value for key, value in tree.items() if key != "kind"}
    for family, kind in FAMILIES.items():
        if family in given:
            table = _table(given[family], name, f"{place}{family}")
            given[family] = {
                key: _struct(one, kind, name, f"{place}{family}.{key}")
                for key, one in table.items()
            }
    if "triggers" in given:
        rows = given["triggers"] if isinstance(given["triggers"], list) else []
        given["triggers"] = tuple(
            _struct(one, Trigger, name, f"{place}triggers[{index}]")
            for index, one in enumerate(rows)
        )
    if "parts" in given:
        parts = _table(given["parts"], name, f"{place}parts")
        given["parts"] = {
            key: _model(_table(one, name, f"{place}parts.{key}"), name, f"{place}parts.{key}.")
            for key, one in parts.items()
        }
    for family in ("clients", "stations"):
        given.setdefault(family, {})
    model: Model = _struct(given, Model, name, place.rstrip("."))
    return model


def _table(value: Any, name: str, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadFile(f"{name}, {place}: a table of named elements is expected")
    return {str(key): one for key, one in value.items()}


def _struct(value: Any, kind: Any, name: str, place: str) -> Any:
    """Convert; a word that is not known suggests the nearest."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        where = f"{place}{inner.rstrip('`')}".strip(".") or "the model"
        message = f"{name}, {where}: {reason}"
        raise BadFile(message, hint=_hint(value, kind, reason)) from error


def _hint(value: Any, kind: Any, reason: str) -> str:
    """What a wrong kind or field probably means."""
    quoted = reason.partition("`")[2].partition("`")[0] or reason.partition("'")[2].rstrip("'")
    kinds = {one.__struct_config__.tag: one for one in get_args(kind) or (kind,)}
    if "Invalid value" in reason and isinstance(value, dict) and quoted == value.get("kind"):
        return f"kind = {nearest(quoted, list(kinds))}"
    if "missing required field `kind`" in reason:
        return f"kind = one of {', '.join(kinds)}"
    if "unknown field" in reason and isinstance(value, dict):
        struct = Model if kind is Model else kinds.get(value.get("kind"))
        if struct is not None:
            return nearest(quoted, [field.name for field in msgspec.structs.fields(struct)])
    return ""
