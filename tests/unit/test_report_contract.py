"""The JSON contract: what it holds, its schema, its stability."""

from __future__ import annotations

import json as plain_json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from howdah.check.diagnosis import SCHEMA_VERSION
from howdah.check.model import Kind
from howdah.errors import BadFile
from howdah.report import json
from howdah.report.contract import contract, plain
from tests.golden import samples
from tests.golden.compare import same_as_golden
from tests.making import NOW

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "json.md"


def document(of: Any = None) -> dict[str, Any]:
    read: dict[str, Any] = plain_json.loads(json.text(contract(of or samples.diagnosis())))
    return read


def test_the_text_is_as_ever() -> None:
    same_as_golden("contract.json", json.text(contract(samples.silenced())))


def test_one_entry_per_finding_and_per_silent_rule() -> None:
    results = document()["results"]
    findings = [each for each in results if each["verdict"] == "finding"]
    assert len(findings) == sum(len(each.findings) for each in samples.SICK)
    silent = [each["rule"] for each in results if each["verdict"] != "finding"]
    assert silent == [each.rule for each in samples.SICK if each.kind is not Kind.FINDING]
    assert all(each["object"] is None for each in results if each["verdict"] != "finding")


def test_findings_come_ranked() -> None:
    ids = [each["id"] for each in document()["results"] if each["id"]]
    assert ids == [each.id for each in samples.diagnosis().ranked]


def test_the_summary_counts_open_findings_only() -> None:
    summary = document(samples.silenced())["summary"]
    assert summary == {
        "critical": 2,
        "warning": 1,
        "notice": 4,
        "suppressed": 1,
        "known": 1,
        "ok": 2,
        "unknown": 3,
        "not_applicable": 1,
    }


def test_known_is_null_without_a_baseline() -> None:
    assert {each["known"] for each in document()["results"]} == {None}
    known = {each["known"] for each in document(samples.silenced())["results"] if each["id"]}
    assert known == {True, False}


def test_it_reads_back() -> None:
    made = contract(samples.diagnosis())
    assert json.read(json.text(made)) == made


def test_a_newer_field_is_left_out_and_a_wrong_file_refused() -> None:
    newer = document() | {"later": 1}
    assert json.read(plain_json.dumps(newer)) == contract(samples.diagnosis())
    with pytest.raises(BadFile, match="not a diagnosis"):
        json.read(b'{"schema_version": 1}')


def test_any_value_of_evidence_becomes_json() -> None:
    row = plain(
        {
            "time": NOW,
            "span": timedelta(seconds=3),
            "nan": float("nan"),
            "set": frozenset({"b", "a"}),
            "deep": ({"x": float("inf")},),
        }
    )
    text = msgspec.json.encode(row).decode()
    assert plain_json.loads(text)["set"] == ["a", "b"]
    assert plain_json.loads(text)["deep"] == [{"x": "inf"}]


def test_the_shipped_schema_is_that_of_the_types() -> None:
    same = json.schema() == json.generate_schema()
    assert same, "write json.generate_schema() to src/howdah/report/contract.schema.json"


def test_documents_keep_to_the_shipped_schema() -> None:
    jsonschema = pytest.importorskip(
        "jsonschema", reason="needs jsonschema: pip install 'howdah[test]'"
    )
    validator = jsonschema.Draft202012Validator(plain_json.loads(json.schema()))
    for made in (samples.diagnosis(), samples.silenced(), samples.quiet()):
        validator.validate(document(made))
    broken = document()
    broken["results"][0]["verdict"] = "fine"
    assert not validator.is_valid(broken)
    del broken["results"][0]["verdict"]
    assert not validator.is_valid(broken)


def test_the_page_names_every_field_and_the_version() -> None:
    page = DOCUMENT.read_text()
    assert f"`schema_version` is {SCHEMA_VERSION}" in page
    parts = plain_json.loads(json.schema())["$defs"].values()
    fields = {name for part in parts for name in part.get("properties", {})}
    assert not sorted(name for name in fields if f"`{name}`" not in page)
