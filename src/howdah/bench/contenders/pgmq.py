"""pgmq: a message queue of SQL functions; a visibility timeout on every message.

Owns its contender only. Its functions come from a script that its Python package brings along, or
from `--pgmq-sql`; they are called as they are, without the package's pool. No part of it is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from psycopg.types.json import set_json_loads

from howdah import query
from howdah.bench.contender import Contender, Place, count
from howdah.bench.model import Absent, Bench
from howdah.bench.tally import Batch, Tally

_SQL = query.load("howdah.bench.contenders", "sql/pgmq.sql")
_READ = 100
_HIDDEN_SECONDS = 60
_POLL_SECONDS = 0.005


class Pgmq(Contender):
    """Messages by `send_batch`, read with a visibility timeout, deleted when handled."""

    name = "pgmq"
    what = "SQL functions: read hides a message for a while by UPDATE, DELETE acknowledges"
    benches = frozenset({Bench.LOG, Bench.OUTBOX, Bench.QUEUE})
    distributions = ("pgmq",)
    schemas = ("pgmq",)
    settings: ClassVar[dict[str, str]] = {
        "read": f"{_READ} messages, then one acknowledgement",
        "visibility timeout": f"{_HIDDEN_SECONDS} s",
        "poll when empty": f"{_POLL_SECONDS * 1000:g} ms",
    }

    def absent(self, scripts: dict[str, str]) -> Absent | None:
        return None if self.name in scripts else super().absent(scripts)

    def version(self) -> str:
        try:
            return str(import_module("pgmq.install").get_embedded_sql_version())
        except ImportError:
            return "of the given script"

    def prepare(self, place: Place) -> None:
        path = place.scripts.get(self.name)
        script = Path(path).read_text(encoding="utf-8") if path else _embedded()
        with closing(place.connect()) as connection:
            connection.execute(script.encode())
            connection.execute(_SQL.text("create").encode(), {"queue": place.queue})

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        del way
        many, one = _SQL.text("send_batch").encode(), _SQL.text("send").encode()
        with closing(place.connect()) as connection:
            for batch in batches:
                texts = batch.texts()
                if len(texts) == 1:
                    connection.execute(one, {"queue": place.queue, "item": texts[0]}, prepare=True)
                else:
                    connection.execute(many, {"queue": place.queue, "items": texts}, prepare=True)

    def consume(self, place: Place, tally: Tally) -> None:
        read, delete = _SQL.text("read").encode(), _SQL.text("delete").encode()
        asked = {"queue": place.queue, "hidden": _HIDDEN_SECONDS, "size": _READ}
        with closing(place.connect()) as connection:
            set_json_loads(_as_text, connection)
            while not tally.stopped.is_set():
                rows = connection.execute(read, asked, prepare=True).fetchall()
                if rows:
                    tally.items([row[1] for row in rows])
                    done = {"queue": place.queue, "ids": [row[0] for row in rows]}
                    connection.execute(delete, done, prepare=True)
                else:
                    tally.stopped.wait(_POLL_SECONDS)

    def unfinished(self, place: Place) -> int:
        return count(place, _SQL.text("unfinished"), {"queue": place.queue})


def _as_text(value: str | bytes) -> Any:
    """Nobody decodes what a no-op handler does not read; ours does not either."""
    return value


def _embedded() -> str:
    return str(import_module("pgmq.install").get_embedded_install_sql())


CONTENDERS = (Pgmq(),)
