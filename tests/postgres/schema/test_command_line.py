"""`howdah install`, `upgrade`, `uninstall`: what a person sees, and what it did."""

from __future__ import annotations

import subprocess

import pytest
from typer.testing import CliRunner, Result

from howdah.cli import app
from howdah.cli import install as commands
from howdah.errors import BadInput, Cannot
from howdah.postgres import programs
from howdah.testing import Database
from tests.postgres.schema.toys import Toyshop, shape, versions


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_from_nothing_and_back(
    database: Database, shop: Toyshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = shop.toy(1)
    monkeypatch.setattr(commands, "COMPONENTS", (toy, shop.pet(toy)))
    with database.connect() as connection:
        shown = run("install", database.dsn, "--dry-run")
        assert "would be: toy 1 installed" in shown.stderr
        assert shown.stdout.startswith("BEGIN;")
        assert shape(connection) == []
        psql = [str(programs("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.dsn]
        subprocess.run(psql, input=shown.stdout, text=True, check=True, capture_output=True)
        assert versions(connection) == [("pet", 1), ("schema", 1), ("toy", 1)]
        assert run("install", database.dsn).stdout.endswith(": nothing to do\n")

        newer = shop.toy(3)
        monkeypatch.setattr(commands, "COMPONENTS", (newer, shop.pet(newer)))
        with pytest.raises(Cannot, match="howdah upgrade"):
            run("install", database.dsn)
        done = run("upgrade", database.dsn, "--show-sql")
        assert "ADD COLUMN label" in done.stdout
        assert "toy 2 (expand) applied" in done.stdout
        assert "note: toy 3 (0003_no_word.sql) waits" in done.stdout
        contracted = run("upgrade", database.dsn, "--contract", "--with", "toy")
        assert "toy 3 (contract) applied" in contracted.stdout

        connection.execute("SELECT howdah.toy_put('x')")
        with pytest.raises(Cannot, match="tables with rows"):
            run("uninstall", database.dsn)
        told = run("uninstall", database.dsn, "--dry-run")
        assert "note: tables with rows: howdah.toy (about 1 rows" in told.stderr
        assert "schema howdah removed" in run("uninstall", database.dsn, "--yes").stdout
        assert shape(connection) == []


def test_an_unknown_component_suggests_the_nearest(
    shop: Toyshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "COMPONENTS", (shop.toy(1),))
    for verb in ("install", "upgrade"):
        with pytest.raises(BadInput, match="did you mean 'toy'"):
            run(verb, "host=nowhere.invalid", "--with", "toys")
