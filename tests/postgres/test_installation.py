"""Finding installations on this machine, and refusing what is none."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from howdah.errors import Unsupported
from howdah.postgres import Installation, find_installations, installation, programs
from howdah.postgres.account import Account, current, passable
from howdah.postgres.folders import cache
from howdah.postgres.installations import _VERSION
from howdah.postgres.runnable import runnable
from howdah.testing.majors import candidates


def pretend(folder: Path, version: str) -> Path:
    """A folder with programs that answer like PostgreSQL's."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


def test_this_installation_is_found_by_any_of_its_paths(
    postgres_installation: Installation,
) -> None:
    bindir = postgres_installation.bindir
    for path in (bindir, bindir.parent, bindir / "postgres"):
        found = installation(path=path)
        assert (found.version, found.source) == (postgres_installation.version, "path")
        assert found.bindir.resolve() == bindir.resolve()
    assert installation(postgres_installation.major, bindir).major == postgres_installation.major


def test_one_per_major_first_wins(tmp_path: Path) -> None:
    first = pretend(tmp_path / "first" / "bin", "18.1")
    second = pretend(tmp_path / "second" / "bin", "18.2 (Some 18.2-1)")
    found = find_installations([first, second])
    assert [(one.version, one.source) for one in found if one.major == 18] == [("18.1", "path")]
    assert len({one.major for one in found}) == len(found)


def test_named_path_without_a_server(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="holds no PostgreSQL server"):
        find_installations([tmp_path])


def test_too_old_is_not_found_and_refused_by_name(tmp_path: Path) -> None:
    old = pretend(tmp_path / "bin", "13.9")
    assert 13 not in {one.major for one in find_installations([old])}
    with pytest.raises(Unsupported, match=r"holds PostgreSQL 13\.9, not 14 or later"):
        installation(path=old)


def test_wrong_major_at_a_path(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"holds PostgreSQL 16\.3, not 18"):
        installation(18, pretend(tmp_path / "bin", "16.3"))


def test_no_such_major_says_what_to_install() -> None:
    with pytest.raises(Unsupported) as caught:
        installation(99)
    assert caught.value.hint == "apt-get install postgresql-99"


def test_path_may_hold_a_link_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`initdb` is looked for beside the program that the link leads to."""
    real = pretend(tmp_path / "real" / "bin", "98.1")
    links = tmp_path / "links"
    links.mkdir()
    (links / "postgres").symlink_to(real / "postgres")
    monkeypatch.setenv("PATH", str(links), prepend=os.pathsep)
    found = installation(98)
    assert (found.bindir, found.source) == (real, "PATH")


def test_pg_config_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pg_config"
    config.write_text(f"#!/bin/sh\necho {tmp_path}/nothing\n")
    config.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert all(one.source != "pg_config" for one in find_installations())
    pretend(tmp_path / "nothing", "97.0")
    assert installation(97).source == "pg_config"


def test_program_that_is_missing(tmp_path: Path) -> None:
    bare = installation(path=pretend(tmp_path / "bin", "18.1"))
    assert bare.program("initdb") == tmp_path / "bin" / "initdb"
    with pytest.raises(Unsupported) as caught:
        bare.program("pg_dump")
    assert "has no pg_dump" in caught.value.message
    assert caught.value.hint


def test_programs_prefers_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "howdah.postgres.installations._discovered",
        lambda: iter((installation(path=tmp_path / "old"), installation(path=tmp_path / "new"))),
    )
    for name, version in (("old", "96.1"), ("new", "97.1")):
        folder = pretend(tmp_path / name, version)
        (folder / "pg_odd").write_text("#!/bin/sh\n")
        (folder / "pg_odd").chmod(0o755)
    assert programs("pg_odd") == tmp_path / "new" / "pg_odd"
    (tmp_path / "new" / "pg_odd").unlink()
    assert programs("pg_odd") == tmp_path / "old" / "pg_odd"


def test_no_such_program() -> None:
    with pytest.raises(Unsupported, match="no pg_nothing on this machine"):
        programs("pg_nothing")


@pytest.mark.parametrize(
    ("line", "version", "major"),
    [
        ("postgres (PostgreSQL) 18.6", "18.6", 18),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18", 15),
        ("postgres (PostgreSQL) 19beta2", "19beta2", 19),
        ("postgres (PostgreSQL) 20devel", "20devel", 20),
    ],
)
def test_versions_are_read(line: str, version: str, major: int) -> None:
    found = _VERSION.search(line)
    assert found
    assert (found["version"], int(found["major"])) == (version, major)
    one = Installation(major=major, version=version, bindir=Path(), source="path")
    expected = major * 10000 + (int(version.partition(".")[2]) if "." in version else 0)
    assert one.version_num == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another account")
def test_unreachable_installation_is_copied(tmp_path: Path) -> None:
    """As under a home that only root may enter."""
    account = current()
    home = tmp_path / "home"
    hidden = installation(path=pretend(home / "prefix" / "bin", "18.1"))
    home.chmod(0o700)
    assert not passable(hidden.bindir)
    moved = runnable(hidden, account)
    try:
        assert cache(account) in moved.bindir.parents
        assert account.run([moved.bindir / "postgres"]).stdout == "postgres (PostgreSQL) 18.1\n"
        assert runnable(hidden, account) == moved
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(moved.bindir.parents[2])


def test_account_is_not_root() -> None:
    account = current()
    assert account.uid != 0
    assert account.switched == (os.geteuid() == 0)
    assert account.run(["/usr/bin/id", "-u"]).stdout.strip() == str(account.uid)


def test_tested_installations_are_usable() -> None:
    usable = [one for one in candidates() if one.installation]
    for one in usable:
        assert one.installation
        assert one.installation.major == one.major
        moved = runnable(one.installation, current())
        assert isinstance(current(), Account)
        assert moved.version == one.installation.version
