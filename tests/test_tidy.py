"""The house style, held by tests rather than by good intentions.

Each test names the rule of the house in its message, so that a failure says what to do.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from howdah.check.rules import all_rules

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "howdah"
MODULE_LINES = 450
FUNCTION_LINES = 25  # nine in ten
FUNCTION_LINES_MAX = 45
FILE_BYTES = 300_000

FEATURES = (
    *("postgres", "snapshot", "sandbox", "check", "driver", "schema", "log", "outbox", "queue"),
    *("bench", "report", "demo"),
)
BAD_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base", "core", "manager"}
# One word per idea: the word of the glossary to use instead.
BANNED_WORDS = {
    r"\bleverag(e|es|ing)\b": "use",
    r"\bseamless(ly)?\b": "say what happens",
    r"\bblazing(ly)?\b": "give the figure",
    r"\bstaging copy\b": "sandbox",
    r"\blinter finding\b": "finding",
    r"\bfix suggestion\b": "remedy",
}
# SQL that may ask the server for the time itself, and why.
SERVER_TIME = {
    "log/sql/schema.sql": "defines howdah.clock()",
    "testing/sql/queues.sql": "stops howdah.clock() and puts it back",
    "schema/sql/schema.sql": "is there before the log, which brings howdah.clock()",
    "schema/sql/store.sql": "the same",
    "outbox/sinks/sql/postgresql.sql": "runs where the messages arrive, without Howdah",
    "snapshot/sql/": "looks at any database, without Howdah",
    "demo/sql/": "plays an application that knows nothing of Howdah",
    "bench/contenders/sql/": "plays what others have built",
}
SQL_START = re.compile(
    r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|WITH|SET|VACUUM|ANALYZE|REINDEX)"
    r"\s+[\w\"{(*]"
)


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks, or would track, below the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def modules(folder: Path = SOURCE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function with the lines of its body; signature and docstring are documentation."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = isinstance(node.body[0], ast.Expr) and len(node.body) > 1
            first = node.body[1] if documented else node.body[0]
            size = (node.end_lineno or first.lineno) - first.lineno + 1
            yield f"{path.relative_to(ROOT)}:{node.name}", size


def test_modules_are_short() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in modules()
        if (n := len(p.read_text().splitlines())) > MODULE_LINES
    }
    assert not long, f"split by concept (at most {MODULE_LINES} lines): {long}"


def test_nine_functions_in_ten_are_short() -> None:
    sizes = [size for path in modules() for _, size in functions(path)]
    short = sum(size <= FUNCTION_LINES for size in sizes)
    assert short >= 0.9 * len(sizes), f"{short} of {len(sizes)} functions fit in {FUNCTION_LINES}"


def test_no_function_is_a_monster() -> None:
    long = {name: n for path in modules() for name, n in functions(path) if n > FUNCTION_LINES_MAX}
    assert not long, f"at most {FUNCTION_LINES_MAX} lines: {long}"


def test_every_feature_has_a_readme() -> None:
    missing = [name for name in FEATURES if not (SOURCE / name / "README.md").exists()]
    assert not missing, f"each feature folder explains itself in a README.md: {missing}"


def test_files_are_named_after_one_concept() -> None:
    bad = [str(path.relative_to(ROOT)) for path in modules() if path.stem in BAD_NAMES]
    assert not bad, f"name the concept instead: {bad}"


def test_every_module_says_what_it_owns() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, f"a module docstring says what it owns and what it must never do: {silent}"


def test_every_rule_subject_has_its_tests() -> None:
    subjects = {rule.subject for rule in all_rules()}
    for folder in (ROOT / "tests/unit/check", ROOT / "tests/postgres/rules"):
        missing = {name for name in subjects if not (folder / f"test_{name}.py").exists()}
        assert not missing, f"{folder.relative_to(ROOT)} lacks the tests of {sorted(missing)}"


def test_rule_ids_are_unique_and_speak() -> None:
    ids = [rule.id for rule in all_rules()]
    assert len(ids) == len(set(ids))
    for rule in all_rules():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id), rule.id
        for text in (rule.what, rule.why, rule.wrong_when, rule.source):
            assert len(text.split()) >= 3, f"{rule.id}: finish the sentence {text!r}"


def test_sql_lives_in_sql_files() -> None:
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                head = "".join(
                    str(v.value) if isinstance(v, ast.Constant) else "{" for v in node.values
                )
                if SQL_START.match(head):
                    found.append(f"{path.relative_to(ROOT)}: {head[:50]!r}")
    assert not found, "no SQL in f-strings; use a .sql block or psycopg.sql:\n" + "\n".join(found)


def test_every_sql_block_is_used() -> None:
    code = "\n".join(path.read_text() for path in modules())
    words = set(re.findall(r"\w+", code))
    unused = []
    for path in SOURCE.rglob("*.sql"):
        if path.parent.name == "migrations":  # found by their folder; see schema/scripts.py
            continue
        names = set(re.findall(r"^-- name: (\w+)", path.read_text(), re.MULTILINE))
        if f"{path.parent.name}/{path.name}" not in code and path.name not in code:
            unused.append(str(path.relative_to(ROOT)))
        unused += [f"{path.relative_to(ROOT)}:{name}" for name in names - words]
    assert not unused, f"delete dead SQL: {unused}"


def test_time_comes_from_the_clock() -> None:
    reading = re.compile(r"\b(time\.(time|monotonic|sleep|perf_counter)|datetime\.(now|utcnow))\(")
    found = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name not in ("clock.py", "guardian.py") and reading.search(path.read_text())
    ]
    assert not found, f"take a howdah.clock.Clock instead: {found}"


def test_sql_takes_the_time_from_the_clock() -> None:
    """Tests stop howdah.clock(); what asks the server itself would go on."""
    asking = re.compile(
        r"\b((clock|statement|transaction)_timestamp|now|timeofday)\s*\(\s*\)"
        r"|\b(current_timestamp|current_date|current_time|localtimestamp|localtime)\b",
        re.IGNORECASE,
    )
    paths = {str(path.relative_to(SOURCE)): path for path in SOURCE.rglob("*.sql")}
    asked = {name for name, path in paths.items() if asking.search(_without_comments(path))}
    found = sorted(name for name in asked if not name.startswith(tuple(SERVER_TIME)))
    assert not found, f"ask howdah.clock() instead: {found}"
    idle = [key for key in SERVER_TIME if not any(name.startswith(key) for name in asked)]
    assert not idle, f"no exception is needed for {idle}"
    in_log = asking.findall(_without_comments(paths["log/sql/schema.sql"]))
    assert len(in_log) == 1, "in the log only the definition of howdah.clock() asks the server"


def _without_comments(path: Path) -> str:
    return re.sub(r"--.*", "", path.read_text())


def test_tests_wait_for_signals() -> None:
    sleeping = re.compile(r"\b(time|asyncio)\.sleep\(")
    found = [
        str(p.relative_to(ROOT)) for p in modules(ROOT / "tests") if sleeping.search(p.read_text())
    ]
    assert not [f for f in found if not f.endswith("test_tidy.py")], f"use wait_until: {found}"


def test_every_suppression_has_a_reason() -> None:
    bare = re.compile(r"#\s*(noqa(: ?[A-Z0-9, ]+)?|type: ignore(\[[\w, -]+\])?)\s*$")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules() + modules(ROOT / "tests")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]
    assert not found, f"say why on the same line: {found}"


def test_no_swallowed_errors() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and all(isinstance(each, ast.Pass) for each in node.body)
    ]
    assert not found, f"handle it, or use contextlib.suppress with the reason: {found}"


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    paths = [p for p in tracked("src", "tests", "docs", "*.md") if p.name != "test_tidy.py"]
    found = [
        str(p.relative_to(ROOT))
        for p in paths
        if p.suffix in (".py", ".md", ".sql") and words.search(p.read_text())
    ]
    assert not found, f"do it or drop it: {found}"


def test_words_are_those_of_the_glossary() -> None:
    found = []
    for path in tracked("src", "docs", "*.md", "tests"):
        if (
            path.suffix not in (".py", ".md", ".sql", ".jinja", ".toml")
            or path.name == "test_tidy.py"
        ):
            continue
        text = path.read_text()
        found += [
            f"{path.relative_to(ROOT)}: {match.group()!r}, say: {instead}"
            for pattern, instead in BANNED_WORDS.items()
            if (match := re.search(pattern, text, re.IGNORECASE))
        ]
    assert not found, "\n".join(found)


def test_nothing_of_this_machine_is_tracked() -> None:
    local = re.compile(r"(?<![\w.])/(work|farm|root|opt/pg)/")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.name != "test_tidy.py" and local.search(path.read_text(errors="replace"))
    ]
    assert not found, f"no path of one machine in tracked files: {found}"


def test_files_are_small() -> None:
    large = {
        str(p.relative_to(ROOT)): p.stat().st_size
        for p in tracked()
        if p.stat().st_size > FILE_BYTES
    }
    assert not large, f"at most {FILE_BYTES} bytes: {large}"


LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize(
    "page",
    tracked("*.md", "docs/*.md", "src/*.md", "tests/*.md"),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: Path) -> None:
    dead = [
        target
        for target, _ in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not dead, f"{page.relative_to(ROOT)}: {dead}"


def test_generated_pages_are_current() -> None:
    made = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, f"run `make docs`:\n{made.stdout}{made.stderr}"
