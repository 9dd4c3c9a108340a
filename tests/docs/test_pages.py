"""Every code block of every page runs.

`console` blocks are run line by line and their output compared (`...` stands for what differs from
run to run); `python` blocks are executed, `dsn` being a small database with Howdah installed and a
queue `default`, and what they print is compared with a `text` block that follows; `sql` blocks are
run by psql; `json` and `toml` blocks must parse. A block without a language is a diagram. `make`
lines are checked to name a target, because a test cannot run the suite that it is part of; what
`make demo` prints is compared in test_demo.py.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from howdah.cli.components import COMPONENTS
from howdah.postgres import Server, programs
from howdah.queue import Queue
from howdah.schema import install

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(
    r"^```(\w*)\n(.*?)^```$(?=(?:\n+```text\n(.*?)^```$)?)", re.MULTILINE | re.DOTALL
)
LANGUAGES = {"console", "python", "json", "toml", "text", "sql", ""}
SCHEMA = """
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_customer_again ON orders (customer_id);
INSERT INTO orders (customer_id) SELECT n FROM generate_series(1, 1000) AS n;
"""

pytestmark = pytest.mark.xdist_group("docs")


class Block(NamedTuple):
    page: Path
    number: int
    language: str
    text: str
    output: str | None = None  # of a python block: the text block right behind it

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}#{self.number}"


def pages() -> Iterator[Path]:
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield from sorted((ROOT / "src").rglob("README.md"))
    yield from sorted((ROOT / "tests").rglob("README.md"))


def blocks() -> list[Block]:
    return [
        Block(page, number, language, text, output if language == "python" and output else None)
        for page in pages()
        for number, (language, text, output) in enumerate(FENCE.findall(page.read_text()), 1)
    ]


BLOCKS = blocks()


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def test_blocks_say_their_language() -> None:
    unknown = [str(block) for block in BLOCKS if block.language not in LANGUAGES]
    assert not unknown, f"use one of {sorted(LANGUAGES)}: {unknown}"


@pytest.fixture(scope="module")
def shop() -> Iterator[dict[str, str]]:
    """An environment in which `postgresql:///shop` is a small database on a server of ours."""
    with Server.start() as server:
        server.create_database("shop")
        with server.connect("shop") as connection:
            connection.execute(SCHEMA.encode())
            install(connection, COMPONENTS)
            Queue("default").create(connection)
        yield os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PGHOST": str(server.socket_dir),
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "COLUMNS": "80",
            "NO_COLOR": "1",
        }


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_console_blocks_run(block: Block, shop: dict[str, str], tmp_path: Path) -> None:
    for command, expected in _commands(block.text):
        if "make" in command.split():
            target = command.split()[command.split().index("make") :]
            checked = subprocess.run(
                ["make", "-n", *target[1:]], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, checked.stderr
            continue
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=shop,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert "Traceback" not in ran.stdout
        if expected.strip():
            assert matches(expected, ran.stdout), f"$ {command}\n{ran.stdout}"


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each `$ ` line with the output written below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def matches(expected: str, got: str) -> bool:
    """Whether an output is what the page shows, `...` standing for anything."""
    tidy = [re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip() for text in (expected, got)]
    return doctest.OutputChecker().check_output(
        tidy[0], tidy[1], doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_blocks_run(block: Block, shop: dict[str, str], tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"dsn = 'dbname=shop'\n{block.text}"],
        cwd=tmp_path,
        env=shop,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    if block.output is not None:
        assert matches(block.output, ran.stdout), ran.stdout


@pytest.mark.parametrize("block", of("sql"), ids=str)
def test_sql_blocks_run(block: Block, shop: dict[str, str]) -> None:
    psql = [str(programs("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "shop"]
    ran = subprocess.run(
        psql, input=block.text, env=shop, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("block", of("json", "toml"), ids=str)
def test_data_blocks_parse(block: Block) -> None:
    parse = json.loads if block.language == "json" else tomllib.loads
    assert parse(block.text) is not None
