"""Traps that are held by what the source does not contain: wrong names, and tools not to be used.

Where a test on a server can hold a trap, it does (tests/postgres); here are the boundaries between
majors, which hold without a server of each major, and what the design rules out altogether.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import howdah
from howdah.check.model import Kind, Rule
from howdah.check.rules import all_rules
from howdah.postgres.versions import Wait, normal_wait
from howdah.query import NEWEST_MAJOR, Query, parse
from howdah.snapshot.facts.catalog import Setting
from tests.making import picture, row, server, verdict
from tests.renamed import CHANGED_SETTINGS_OF_19, EVER, NAMES, Name

SOURCE = Path(howdah.__file__).parent
PROGRAM_TEXTS = (".py", ".sql", ".jinja")

# The bare name means that of a subquery where pg_index has none: the comment there explains it.
EXPLAINED = {("catalog.sql", "indexes", "indnullsnotdistinct")}


def blocks() -> Iterator[tuple[Path, Query]]:
    """Every named block of SQL that the program can send."""
    for path in sorted(SOURCE.rglob("*.sql")):
        if "-- name:" in path.read_text():
            for versions in parse(path.name, path.read_text()).values():
                yield from ((path, block) for block in versions)


def named(text: str, name: str) -> bool:
    """Whether SQL reads that name: comments and output names (`AS name`) do not count."""
    return re.search(rf"(?<!AS )\b{name}\b", re.sub(r"--.*", "", text)) is not None


def serves_others(block: Query, name: Name) -> bool:
    """Whether the block is sent to a major that lacks the name; the newest serves all later."""
    last = EVER if block.until >= NEWEST_MAJOR else block.until
    return block.since < name.since or last > name.until


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name.trap}-{name.name}")
def test_no_block_reads_a_name_that_its_servers_lack(name: Name) -> None:
    wrong = [
        (path.name, block.name, name.name)
        for path, block in blocks()
        if named(block.text, name.name) and serves_others(block, name)
    ]
    assert set(wrong) <= EXPLAINED


def test_the_search_for_names_sees_what_it_should() -> None:
    """Were it blind, the test above would pass for nothing."""
    seen = {name.name for _, block in blocks() for name in NAMES if named(block.text, name.name)}
    assert seen >= {"num_timed", "checkpoints_timed", "conenforced", "indnullsnotdistinct"}
    assert named("SELECT a.wal_write FROM x", "wal_write")
    assert not named("SELECT a.wal_write_time AS wal_sync -- wal_write", "wal_write")
    assert not named("SELECT NULL AS wal_write", "wal_write")


def test_t1_ages_of_multixacts_are_taken_with_their_own_function() -> None:
    wrong = [
        (path.name, block.name)
        for path, block in blocks()
        if re.search(r"(?<!mxid_)\bage\((\w+\.)?\w*minmxid\)", block.text)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("event", "meant"),
    [
        ("BufferCleanup", Wait("BufferPin", "BufferPin")),
        ("BufferShared", Wait("LWLock", "BufferContent")),
        ("BufferShareExclusive", Wait("LWLock", "BufferContent")),
        ("BufferExclusive", Wait("LWLock", "BufferContent")),
    ],
)
def test_t3_the_buffer_class_of_19_is_folded_into_the_old_names(event: str, meant: Wait) -> None:
    assert normal_wait("Buffer", event) == meant


def test_t14_a_snapshot_calls_nothing_that_is_closed_to_pg_monitor() -> None:
    closed = r"\b(pg_ls_dir|pg_stat_file|pg_read_(binary_)?file|bt_index_\w+check|verify_heapam)\b"
    wrong = [
        (path.name, block.name)
        for path, block in blocks()
        if path.is_relative_to(SOURCE / "snapshot") and re.search(closed, block.text)
    ]
    assert wrong == []


def test_t21_generic_plans_are_asked_for_in_a_way_that_14_knows() -> None:
    """EXPLAIN (GENERIC_PLAN) is 16's; hints and advice do not reach cached plans."""
    for path, block in blocks():
        assert "GENERIC_PLAN" not in block.text, (path.name, block.name)
        assert not re.search(r"pg_plan_advice|pg_hint_plan", block.text), (path.name, block.name)


def test_t25_no_index_is_hypothetical() -> None:
    for path in SOURCE.rglob("*"):
        if path.suffix in PROGRAM_TEXTS:
            assert "hypopg" not in path.read_text().lower(), path.name


def test_t25_the_planners_costs_are_read_in_one_place_only() -> None:
    """There they tell a disabled node from another; nobody may call a lower cost a gain."""
    readers = set()
    for path in SOURCE.rglob("*.py"):
        if path.is_relative_to(SOURCE / "simulate"):
            continue  # its costs are those of disturbances
        for node in ast.walk(ast.parse(path.read_text())):
            is_attribute = isinstance(node, ast.Attribute) and node.attr in ("cost", "total_cost")
            is_key = isinstance(node, ast.Constant) and node.value in ("Total Cost", "Startup Cost")
            if is_attribute or is_key:
                readers.add(path.relative_to(SOURCE).as_posix())
    assert readers == {"sandbox/plan.py"}


def strings(path: Path) -> Iterator[str]:
    """The string constants of a module, docstrings left out."""
    tree = ast.parse(path.read_text())
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_t32_no_index_is_created_only_if_it_does_not_exist() -> None:
    """After a build that was cut short, the invalid index does exist."""
    guarded = re.compile(r"\bINDEX\b.*\bIF NOT EXISTS\b", re.IGNORECASE | re.DOTALL)
    texts = [(path.name, text) for path in SOURCE.rglob("*.py") for text in strings(path)]
    texts += [(path.name, re.sub(r"--.*", "", path.read_text())) for path in SOURCE.rglob("*.sql")]
    statements = [
        (name, text)
        for name, whole in texts
        for text in whole.split(";")
        if re.search(r"\bCREATE\b", text) and guarded.search(text)
    ]
    assert statements == []


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_t34_no_rule_reads_a_setting_that_means_something_else_in_19(rule: Rule) -> None:
    """A server of 19 with its own defaults has nothing wrong with its settings."""
    settings = [
        row(Setting, name=name, value=value, default=value, source="default")
        for name, value in CHANGED_SETTINGS_OF_19.items()
        if value is not None
    ]
    new = server(version_num=190000, version="19.0")
    result = verdict(rule, picture(of=new, settings=settings))
    assert result.kind is not Kind.FINDING


def test_t34_the_settings_that_19_changed_are_named_by_no_rule() -> None:
    """A rule that starts to use one must be keyed by version, and then be named here."""
    users = {
        (path.name, text)
        for path in (SOURCE / "check").rglob("*.py")
        for text in strings(path)
        if text in CHANGED_SETTINGS_OF_19
    }
    assert users == set()


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_t35_a_rule_that_looked_at_nothing_is_not_ok(rule: Rule) -> None:
    result = verdict(rule, picture())
    assert result.kind is not Kind.OK or result.examined > 0
