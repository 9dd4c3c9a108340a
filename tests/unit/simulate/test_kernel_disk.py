"""The disk cache of compiled code is never stale, and is used by the next process."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the kernel is compiled by numba")

from howdah.simulate.kernel import compiled, entry

FOLDER = Path(compiled.__file__).parent
LIBRARIES = {"__future__", "collections.abc", "llvmlite", "math", "numba", "numba.extending"}
LIBRARIES |= {"numpy", "typing", "howdah.simulate", "howdah.simulate.kernel.compiled"}
pytestmark = pytest.mark.xdist_group("kernel")  # compiled once


def test_the_stamp_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("a = 1")
    first = compiled.stamp_of([tmp_path], [])
    (tmp_path / "one.py").write_text("a = 2")
    changed = compiled.stamp_of([tmp_path], [])
    (tmp_path / "one.py").rename(tmp_path / "two.py")
    renamed = compiled.stamp_of([tmp_path], [])
    (tmp_path / "three.py").write_text("")
    added = compiled.stamp_of([tmp_path], [])
    assert len({first, changed, renamed, added}) == 4


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_compiled_code_uses_nothing_that_the_stamp_does_not_know(path: Path) -> None:
    """Else a change there would run old code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            inside = (node.module or "").startswith("howdah.simulate.kernel.compiled.")
            assert inside or node.module in LIBRARIES | {"pathlib"}, node.module
            if node.module == "howdah.simulate":
                assert [each.name for each in node.names] == ["numbers"]
        elif isinstance(node, ast.Import):
            assert {each.name for each in node.names} <= LIBRARIES | {"hashlib"}


def test_sources_that_changed_after_they_were_loaded_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert entry.unchanged()
    monkeypatch.setattr(compiled, "STAMP", "of another source")
    assert not entry.unchanged()


def test_the_next_process_compiles_nothing() -> None:
    entry.command()
    code = (
        "from howdah.simulate.kernel import entry; ready = entry.is_ready(); "
        "hits = entry.command().stats.cache_hits; print(ready, sum(hits.values()))"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["True", "1"]
