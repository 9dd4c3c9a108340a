"""The contract as JSON text, its schema, and its way back.

Owns the encoding only. Must never add or drop a field: the names are those of
`howdah.report.contract`.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, cast

import msgspec

from howdah.errors import BadFile
from howdah.report.contract import Contract

SCHEMA_FILE = "contract.schema.json"


def as_dict(contract: Contract) -> dict[str, Any]:
    """The contract as plain dictionaries, lists, numbers and text."""
    return cast("dict[str, Any]", msgspec.to_builtins(contract))


def text(contract: Contract) -> str:
    """The contract as indented JSON that ends with a newline."""
    return _indented(contract)


def read(data: bytes | str) -> Contract:
    """A contract from its JSON; `BadFile` where it is not one.

    Fields that this version does not know are left out: a newer Howdah may have written them.
    """
    try:
        return msgspec.json.decode(data, type=Contract)
    except msgspec.DecodeError as error:
        raise BadFile(
            "this is not a diagnosis in JSON",
            detail=str(error),
            hint="howdah check DSN --json > diagnosis.json",
        ) from error


def schema() -> str:
    """The JSON Schema (2020-12) of the contract, as it is shipped."""
    return files("howdah.report").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")


def generate_schema() -> str:
    """The JSON Schema made of the types; a test holds it equal to the shipped file."""
    made = msgspec.json.schema(Contract)
    for part in made["$defs"].values():
        if "properties" in part:
            part["required"] = list(part["properties"])  # every field is always written
            for field in part["properties"].values():
                field.pop("default", None)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A diagnosis by Howdah",
    }
    return _indented(head | made)


def _indented(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
