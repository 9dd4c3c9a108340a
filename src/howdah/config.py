"""Configuration: frozen options with bounds, and where their values come from.

Owns the precedence (flag, environment, file, default), bounds, and the suggestion for a misspelt
name. Must never keep a value that was not checked. Option structs live with the feature they
configure; they are `msgspec.Struct`s with `Meta` bounds and the unit in the name.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from howdah.errors import BadFile, BadInput

ENVIRONMENT_PREFIX = "HOWDAH_"
DEFAULT_FILE = Path("howdah.toml")

Options = TypeVar("Options", bound=msgspec.Struct)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a hint, or the list of them when nothing is near.

    >>> suggestion("intervall", ["interval", "seconds"])
    "did you mean 'interval'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"one of {', '.join(names)}"


def resolve(
    kind: type[Options],
    *,
    section: str,
    flags: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Options:
    """Build `kind` from flags over environment over file over its defaults.

    `flags` whose value is None were not given. The environment variable of `sample_seconds` in
    section `snapshot` is `HOWDAH_SNAPSHOT_SAMPLE_SECONDS`. The file is TOML with one table per
    section; without `file`, `howdah.toml` is read if it is there.

    Raises `BadInput` for an unknown name or a value out of bounds, `BadFile` for a bad file.
    """
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = dict(_from_file(file, section))
    values |= _from_environment(
        environment if environment is not None else os.environ, section, names
    )
    values |= {name: value for name, value in flags.items() if value is not None}
    for name in values:
        if name not in names:
            raise BadInput(f"unknown option {name!r} in [{section}]", hint=suggestion(name, names))
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"option out of bounds in [{section}]", detail=str(error)) from error


def _from_environment(
    environment: Mapping[str, str], section: str, names: Iterable[str]
) -> dict[str, str]:
    variables = {name: f"{ENVIRONMENT_PREFIX}{section}_{name}".upper() for name in names}
    return {name: environment[var] for name, var in variables.items() if var in environment}


def _from_file(file: Path | None, section: str) -> Mapping[str, Any]:
    path = file or DEFAULT_FILE
    if file is None and not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFile(f"cannot read {path}", detail=str(error)) from error
    table = content.get(section, {})
    if not isinstance(table, dict):
        raise BadFile(f"{path}: [{section}] is not a table")
    return table
