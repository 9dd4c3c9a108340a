"""The file: equal when read, refused when it is not what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.errors import BadFile
from howdah.snapshot import file
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.model import FORMAT
from tests.making import row, snapshot

SNAPSHOT = snapshot(relations=[row(Relation, oid=1, name="t", options=("fillfactor=70",))])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "shop.snap"
    file.write(SNAPSHOT, path)
    return path


def test_round_trip(written: Path) -> None:
    assert file.read(written) == SNAPSHOT
    assert [path.name for path in written.parent.iterdir()] == ["shop.snap"]


def test_a_cut_at_any_place_is_refused(written: Path) -> None:
    content = written.read_bytes()
    for length in range(0, len(content), 7):
        written.write_bytes(content[:length])
        with pytest.raises(BadFile, match=r"truncated or damaged|not a snapshot"):
            file.read(written)


def test_a_changed_byte_is_refused(written: Path) -> None:
    content = bytearray(written.read_bytes())
    content[-5] ^= 1
    written.write_bytes(bytes(content))
    with pytest.raises(BadFile, match="truncated or damaged") as caught:
        file.read(written)
    assert caught.value.hint


def test_foreign_newer_and_missing_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(BadFile, match="cannot read"):
        file.read(path)
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(BadFile, match="not a snapshot"):
        file.read(path)
    path.write_bytes(f"HOWDAH SNAPSHOT {FORMAT + 1}\nabc".encode())
    with pytest.raises(BadFile, match="reads up to"):
        file.read(path)


def test_an_unwritable_place_keeps_the_old_file(written: Path) -> None:
    with pytest.raises(BadFile, match="cannot write"):
        file.write(SNAPSHOT, written / "below-a-file")
    assert file.read(written) == SNAPSHOT
