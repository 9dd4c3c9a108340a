"""Where the value of an option comes from, and which values are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.config import resolve, suggestion
from howdah.errors import BadFile, BadInput


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Options as a feature declares them."""

    sample_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    rows: Annotated[int, msgspec.Meta(ge=1)] = 100
    values: bool = False


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "howdah.toml"
    path.write_text("[snapshot]\nsample_seconds = 2\nrows = 7\n[other]\nrows = 1\n")
    return path


def options(
    flags: dict[str, object] | None = None,
    environment: dict[str, str] | None = None,
    file: Path | None = None,
) -> Sampling:
    return resolve(
        Sampling, section="snapshot", flags=flags or {}, environment=environment or {}, file=file
    )


def test_flag_over_environment_over_file_over_default(file: Path) -> None:
    environment = {"HOWDAH_SNAPSHOT_SAMPLE_SECONDS": "3", "HOWDAH_OTHER_ROWS": "9"}
    assert options() == Sampling()
    assert options(file=file) == Sampling(sample_seconds=2, rows=7)
    assert options(None, environment, file) == Sampling(sample_seconds=3, rows=7)
    assert options({"sample_seconds": 4, "rows": None}, environment, file).sample_seconds == 4


def test_environment_speaks_in_text() -> None:
    environment = {"HOWDAH_SNAPSHOT_VALUES": "true", "HOWDAH_SNAPSHOT_ROWS": "12"}
    assert options(environment=environment) == Sampling(values=True, rows=12)


def test_real_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_SNAPSHOT_ROWS", "33")
    assert resolve(Sampling, section="snapshot", flags={}).rows == 33


def test_the_file_in_the_working_folder_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert options().rows == 7
    file.unlink()
    assert options().rows == 100


@pytest.mark.parametrize(
    "wrong", [{"rows": 0}, {"sample_seconds": 61}, {"sample_seconds": "soon"}, {"values": 3}]
)
def test_out_of_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="option out of bounds") as caught:
        options(wrong)
    assert next(iter(wrong)) in caught.value.detail


def test_unknown_option_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[snapshot]\nsample_secconds = 2\n")
    with pytest.raises(BadInput, match="unknown option 'sample_secconds'") as caught:
        options(file=path)
    assert caught.value.hint == "did you mean 'sample_seconds'?"


@pytest.mark.parametrize("content", ["[snapshot", "snapshot = 3", None, b"\xff"])
def test_bad_file(tmp_path: Path, content: str | bytes | None) -> None:
    path = tmp_path / "x.toml"
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(BadFile, match=r"x\.toml"):
        options(file=path)


@given(st.floats(allow_nan=False), st.integers())
def test_nothing_unchecked_is_kept(seconds: float, rows: int) -> None:
    try:
        found = options({"sample_seconds": seconds, "rows": rows})
    except BadInput:
        assert not (0 < seconds <= 60 and rows >= 1)
    else:
        assert 0 < found.sample_seconds <= 60
        assert found.rows >= 1


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_suggestion_names_a_known_name(name: str, known: list[str]) -> None:
    hint = suggestion(name, known)
    assert any(candidate in hint or repr(candidate) in hint for candidate in known)
