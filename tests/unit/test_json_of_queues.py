"""docs/json.md names every field that `howdah queue ... --json` prints."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from howdah.queue import standing

PAGE = Path(__file__).parent.parent.parent / "docs" / "json.md"
PRINTED = [
    each
    for each in vars(standing).values()
    if isinstance(each, type) and issubclass(each, msgspec.Struct) and each is not msgspec.Struct
]


@pytest.mark.parametrize("kind", PRINTED, ids=lambda each: each.__name__)
def test_every_field_is_documented(kind: type[msgspec.Struct]) -> None:
    section = PAGE.read_text().partition("## The queue")[2]
    named = set(re.findall(r"[`\"](\w+)[`\"]", section))
    missing = {field.encode_name for field in msgspec.structs.fields(kind)} - named
    assert not missing, f"docs/json.md does not name {sorted(missing)} of {kind.__name__}"
