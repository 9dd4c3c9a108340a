"""`howdah queue`: what a person sees, and what it did."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from howdah import queue as queues
from howdah.cli import app
from howdah.cli.queue import app as verbs
from howdah.errors import BadInput
from howdah.postgres import programs
from howdah.queue import Queue
from howdah.schema import install
from howdah.testing import Database, wait_until
from howdah.testing.queues import drain

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

PROGRAM = """
from pathlib import Path
from threading import Event
from howdah.queue import JobContext, Queue

queue = Queue("shop", lease_seconds=5)

@queue.job
def touch(path: str) -> None:
    Path(path).write_text("done")

@queue.job
def hold(started: str, until: str) -> None:
    Path(started).write_text("here")
    while not Path(until).exists():
        Event().wait(0.01)

@queue.job(max_attempts=1)
def bad(word: str) -> None:
    raise ValueError("not " + word)

no_queue = 5
"""


def howdah(*words: str) -> Result:
    result = CliRunner().invoke(app, ["queue", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def as_json(*words: str) -> Any:
    return json.loads(howdah(*words, "--json").stdout)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as opened:
        install(opened, [queues.COMPONENT])
        yield opened


@pytest.fixture
def queue(connection: psycopg.Connection[Any]) -> Queue:
    queue = Queue("shop")

    @queue.job(max_attempts=1)
    def bad(word: str) -> None:
        raise ValueError(word)

    queue.create(connection)
    return queue


def test_a_queue_is_made_and_dropped(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    dry = howdah("create", "shop", database.dsn, "--dry-run")
    assert dry.stdout == "SELECT howdah.create_queue('shop'::text);\n"
    assert "would be: queue shop made" in dry.stderr
    assert as_json("status", "-", database.dsn)["queues"] == []
    assert "queue shop made" in howdah("create", "shop", database.dsn).stdout
    assert [each["queue"] for each in as_json("status", "-", database.dsn)["queues"]] == ["shop"]
    with pytest.raises(BadInput, match="would be gone"):
        howdah("drop", "shop", database.dsn)
    dropped = as_json("drop", "shop", database.dsn, "--yes")
    assert dropped["sql"] == ["SELECT howdah.drop_queue('shop'::text);"]
    with pytest.raises(BadInput, match="no queue"):
        howdah("pause", "shop", database.dsn, "--dry-run")


def test_dead_letters_are_listed_retried_and_discarded(
    database: Database, connection: psycopg.Connection[Any], queue: Queue
) -> None:
    jobs = [queue.enqueue(connection, "bad", {"word": f"w{n}"}).job for n in range(3)]
    drain(queue, connection)
    assert {each["job"] for each in as_json("dead", "shop", database.dsn)["jobs"]} == set(jobs)
    assert "ValueError: w0" in howdah("dead", "shop", database.dsn).stdout
    with pytest.raises(BadInput, match="job 999 is no dead letter"):
        howdah("retry", "shop", database.dsn, "--job", "999")
    with pytest.raises(BadInput, match="which dead letters"):
        howdah("discard", "shop", database.dsn)
    dry = howdah("retry", "shop", database.dsn, "--all", "--dry-run")
    assert dry.stdout.count("howdah.emit('reports_shop'") == 3
    assert drain(queue, connection) == []
    howdah("retry", "shop", database.dsn, "--job", str(jobs[0]))
    howdah("discard", "shop", database.dsn, "--job", str(jobs[1]), "--job", str(jobs[2]))
    assert [each.job for each in drain(queue, connection)] == [jobs[0]]
    assert [each["job"] for each in as_json("dead", "shop", database.dsn)["jobs"]] == [jobs[0]]


def test_printed_sql_does_what_the_command_does(
    database: Database, connection: psycopg.Connection[Any], queue: Queue
) -> None:
    printed = howdah("pause", "shop", database.dsn, "--kind", "it's {odd} %s", "--dry-run").stdout
    psql = [str(programs("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.dsn]
    subprocess.run(psql, input=printed, text=True, check=True, capture_output=True)
    drain(queue, connection)
    (status,) = as_json("status", "shop", database.dsn)["queues"]
    assert [each["kind"] for each in status["paused"]] == ["it's {odd} %s"]
    howdah("resume", "shop", database.dsn, "--kind", "it's {odd} %s")
    drain(queue, connection)
    assert as_json("status", "shop", database.dsn)["queues"][0]["paused"] == []


def test_purge_cancel_release_and_schedules(
    database: Database, connection: psycopg.Connection[Any], queue: Queue
) -> None:
    held = queue.enqueue(connection, "bad", {"word": "x"}, key="k").job
    later = [queue.enqueue(connection, "bad", {"word": "y"}, delay_seconds=60).job for _ in "12"]
    queue.cron("0 0 1 1 *", "bad", {"word": "z"}, name="yearly")
    drain(queue, connection)
    assert as_json("jobs", "shop", database.dsn)["held"][0]["key"] == "k"
    assert "key k" in howdah("jobs", "shop", database.dsn).stdout
    howdah("release", "shop", database.dsn, "--key", "k")
    howdah("cancel", "shop", database.dsn, "--job", str(later[0]))
    drain(queue, connection)
    listed = as_json("jobs", "shop", database.dsn)
    assert listed["held"] == []
    assert {each["job"] for each in listed["jobs"]} == {held, later[1]}
    with pytest.raises(BadInput, match="would be gone"):
        howdah("purge", "shop", database.dsn)
    howdah("purge", "shop", database.dsn, "--yes")
    drain(queue, connection)
    left = as_json("jobs", "shop", database.dsn)["jobs"]
    assert [each["job"] for each in left] == [held]
    (planned,) = as_json("schedules", "shop", database.dsn)["schedules"]
    assert (planned["name"], planned["fired_at"]) == ("yearly", None)
    assert planned["next_at"].endswith("-01-01T00:00:00Z")
    howdah("schedules", "shop", database.dsn, "--end", "yearly")
    assert as_json("schedules", "shop", database.dsn)["schedules"] == []
    with pytest.raises(BadInput, match="no state"):
        howdah("jobs", "shop", database.dsn, "--state", "runing")


def test_every_verb_ends_its_help_with_an_example() -> None:
    commands: Any = get_command(verbs)
    for name, command in commands.commands.items():
        assert command.epilog.startswith(f"Example: howdah queue {name}"), name
        assert CliRunner().invoke(app, ["queue", name, "--help"]).exit_code == 0


class Program:
    """A worker process of its own."""

    def __init__(self, folder: Path, dsn: str, *words: str) -> None:
        (folder / "shop.py").write_text(PROGRAM)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "howdah", "queue", "worker", "shop:queue", dsn, *words],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"HOWDAH_QUEUE_THREADS": "2"},
        )

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """The exit code, and the log lines as they were read."""
        _, told = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in told.splitlines()]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.postgres(newest=True)
def test_a_worker_process_drains_at_the_first_signal(
    database: Database, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    queue = Queue("shop")
    queue.create(connection)
    port = free_port()
    program = Program(tmp_path, database.dsn, "--json-log", "--metrics-port", str(port))
    started, until = tmp_path / "started", tmp_path / "until"
    bad = queue.enqueue(connection, "bad", {"word": "today"}, key="k", max_attempts=1).job
    hold = queue.enqueue(connection, "hold", {"started": str(started), "until": str(until)}).job
    wait_until(started.exists, seconds=20)
    wait_until(lambda: as_json("dead", "shop", database.dsn)["jobs"])
    (status,) = as_json("status", "shop", database.dsn)["queues"]
    assert [crew["slots"] for crew in status["workers"]] == [2]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    wanted = 'howdah_queue_attempts_total{kind="bad",outcome="failed",queue="shop"} 1.0'
    assert wanted in text
    assert 'howdah_queue_running{queue="shop"} 1.0' in text
    program.process.send_signal(signal.SIGTERM)
    late = queue.enqueue(connection, "touch", {"path": str(tmp_path / "late")}).job
    wait_until(lambda: program.process.poll() is None)
    until.write_text("go")
    code, lines = program.ended()
    assert code == 0
    (failed,) = [line for line in lines if line["what"] == "attempt failed"]
    assert (failed["job"], failed["kind"], failed["attempt"]) == (bad, "bad", 1)
    assert (failed["key"], failed["error"]) == ("k", "ValueError: not today")
    assert as_json("show", "shop", str(hold), database.dsn)["state"] == "finished"
    shown = as_json("show", "shop", str(late), database.dsn)
    assert shown["state"] in ("waiting", "finished")
    assert as_json("status", "shop", database.dsn)["queues"][0]["workers"] == []


@pytest.mark.postgres(newest=True)
def test_a_second_signal_ends_a_worker_at_once(
    database: Database, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    queue = Queue("shop")
    queue.create(connection)
    program = Program(tmp_path, database.dsn)
    started = tmp_path / "started"
    queue.enqueue(connection, "hold", {"started": str(started), "until": str(tmp_path / "never")})
    wait_until(started.exists, seconds=20)
    program.process.send_signal(signal.SIGINT)
    draining = "SELECT count(*) FROM howdah.log_reports_shop$0 WHERE payload LIKE '%Draining%'"
    wait_until(lambda: connection.execute(draining.encode()).fetchone() != (0,))
    assert program.process.poll() is None
    program.process.send_signal(signal.SIGINT)
    program.process.communicate(timeout=10)
    assert program.process.returncode == 130


def test_a_worker_says_what_is_wrong_with_its_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_of_errors.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for words, said in (
        (("nowhere:queue",), "cannot import 'nowhere'"),
        (("shop_of_errors:other",), "names no queue"),
        (("shop_of_errors:no_queue",), "is a int, not a Queue"),
        (("shop_of_errors:queue", "", "--threads", "0"), "out of bounds"),
    ):
        with pytest.raises(BadInput, match=said):
            howdah("worker", *words)
    (tmp_path / "howdah.toml").write_text("[queue]\nthreads = 3\nprocesses = 4\n")
    monkeypatch.setenv("HOWDAH_QUEUE_PROCESSES", "5")
    shown = json.loads(howdah("worker", "x:y", "--options", "--drain-seconds", "6").stdout)
    options = shown["options"]
    assert (options["threads"], options["processes"], options["drain_seconds"]) == (3, 5, 6.0)
