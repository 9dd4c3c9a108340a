"""A PostgreSQL server that Howdah starts, breaks, repairs and removes.

Owns the life of one server: its folder, its settings, its guardian. Must never start, stop or
delete anything in a data folder that does not carry the marker.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import BadInput, Cannot, CouldNot, TimedOut, Unsupported, from_database
from howdah.postgres import backup, folders, installations, marker, template
from howdah.postgres.account import Account, current
from howdah.postgres.connection import connect
from howdah.postgres.installations import Installation
from howdah.postgres.keeper import Keeper
from howdah.postgres.runnable import runnable
from howdah.postgres.settings import FILE, SANDBOX, render
from howdah.query import load

_QUERIES = load("howdah.postgres", "sql/server.sql")
_POLL_SECONDS = 0.005
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_LOG_TAIL_LINES = 15
_SIGNALS = {"smart": "SIGTERM", "fast": "SIGINT", "immediate": "SIGQUIT"}

Mode = Literal["smart", "fast", "immediate"]


class Server:
    """One server of ours. Use `Server.start`; as a context manager it is removed at the end.

    Not removed at once by `stop` or `kill`: `restart` brings it back. `close`, the end of the
    `with` block, the end of this process in whatever way: these stop it and remove its folder,
    all but a data folder that was named by the caller.
    """

    def __init__(
        self,
        installation: Installation,
        account: Account,
        *,
        settings: Mapping[str, str],
        data: Path | None,
        clock: Clock,
    ) -> None:
        self.installation = installation
        self._account = account
        self._settings = dict(settings)
        self._clock = clock
        run = folders.create_run(folders.runs(account), version=installation.version, clock=clock)
        self._folder = run.path
        self._keeper = Keeper(run, keeps_data=data is not None)
        self._pid = 0
        self.data = data or run.path / "data"
        self.log = data / "howdah.log" if data else run.path / "postgres.log"

    @classmethod
    def start(
        cls,
        installation: Installation | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        data: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Start a server and wait until it accepts connections; about half a second.

        `settings` come on top of our own, which make it fast and private: `fsync` off, a unix
        socket only. Without `data` the server is ephemeral. With it, the folder is created and
        marked, or started again if it is marked already, and stays when the server is closed.

        Raises `Unsupported` without an installation, `NotASandbox` for somebody else's folder,
        `Cannot` with the end of its log where the server stops instead of starting.
        """
        wanted = {**SANDBOX, **(settings or {})}
        render(wanted)  # what cannot be written is refused before anything is made
        account = current()
        data = data.absolute() if data else None
        chosen = runnable(installation or _fitting(data), account)
        _sweep_once(folders.runs(account))
        server = cls(chosen, account, settings=wanted, data=data, clock=clock)
        with server._closed_on_error():
            server._furnish(lambda target: template.fill(target, chosen, account))
            server._launch()
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Server {self.installation.version} in {self.data}>"

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return self.installation.major

    @property
    def version_num(self) -> int:
        """The version as the server counts it, such as 180006."""
        return self.installation.version_num

    @property
    def socket_dir(self) -> Path:
        """The folder of the unix socket, which only the server's account and root may enter."""
        return self._folder

    @property
    def port(self) -> int:
        """The port, which is also part of the socket's name."""
        return int(self._settings["port"])

    @property
    def pid(self) -> int:
        """The postmaster's process id; `CouldNot` while the server is down."""
        if not self.running:
            raise CouldNot("the server is not running", hint="restart() it")
        return self._pid

    @property
    def running(self) -> bool:
        """Whether the postmaster lives."""
        return self._keeper.running()

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings that it was started with, ours included."""
        return dict(self._settings)

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """The DSN of one of its databases; it holds no password, the socket's folder is private."""
        return make_conninfo(
            "", host=str(self.socket_dir), port=self.port, dbname=database, user=user
        )

    def connect(
        self,
        database: str = "postgres",
        *,
        user: str = "postgres",
        autocommit: bool = True,
        application_name: str = "howdah",
    ) -> psycopg.Connection:
        """Open a connection to one of its databases."""
        dsn = self.dsn(database, user)
        return connect(dsn, autocommit=autocommit, application_name=application_name)

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database, empty or as a copy of `template`; returns its DSN."""
        names = {"name": sql.Identifier(name), "template": sql.Identifier(template or "template1")}
        self._execute("create_database", names)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Remove a database if it exists; sessions in it are ended."""
        self._execute("drop_database", {"name": sql.Identifier(name)})

    def wait_ready(self, seconds: float = _START_SECONDS) -> None:
        """Wait until connections are accepted: on a standby, read-only ones.

        `Cannot` where the postmaster ended instead, `TimedOut` after `seconds`.
        """
        deadline = self._clock.monotonic() + seconds
        while not self._is_ready():
            if not self.running:
                raise Cannot(
                    f"PostgreSQL {self.installation.version} stopped while it started",
                    detail=self._log_tail(),
                    hint="look for FATAL above, and check the settings",
                )
            if self._clock.monotonic() > deadline:
                raise TimedOut(f"not ready after {seconds:g} s", detail=self._log_tail())
            self._clock.sleep(_POLL_SECONDS)

    def stop(self, mode: Mode = "fast", *, seconds: float = _STOP_SECONDS) -> None:
        """Stop the server and wait for that; the data stays, and `restart` brings it back.

        `fast` ends the sessions and writes a checkpoint, `immediate` leaves a crash to recover
        from, `smart` waits for the sessions to end. `TimedOut` after `seconds`.
        """
        if mode not in _SIGNALS:
            raise BadInput(f"no mode {mode!r}", hint=f"one of {', '.join(_SIGNALS)}")
        self._keeper.signal(_SIGNALS[mode])
        deadline = self._clock.monotonic() + seconds
        while self.running:
            if self._clock.monotonic() > deadline:
                raise TimedOut(f"not stopped after {seconds:g} s", detail=self._log_tail())
            self._clock.sleep(_POLL_SECONDS)

    def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop the server if it runs, change the given settings, start it and wait for it."""
        if self._keeper.closed:
            raise CouldNot("this server is closed", hint="start a new one")
        if self.running:
            self.stop()
        self._settings |= settings or {}
        self._launch()

    def kill(self) -> None:
        """Crash it: SIGKILL to the postmaster and all its children; `restart` recovers."""
        self._keeper.kill()

    def close(self) -> None:
        """Stop the server and remove its folder; harmless twice."""
        self._keeper.close()

    def standby(self, settings: Mapping[str, str] | None = None) -> Server:
        """A hot standby that streams from this server, which must be a running primary."""
        conninfo = make_conninfo("", host=str(self.socket_dir), port=self.port, user="postgres")
        # After a restart of either side the standby would wait 5 s before it tries again.
        ours = {"primary_conninfo": conninfo, "wal_retrieve_retry_interval": "100ms"}
        wanted = {**self._settings, **ours, **(settings or {})}
        copy = Server(
            self.installation, self._account, settings=wanted, data=None, clock=self._clock
        )
        with copy._closed_on_error(), self._copied_to(copy):
            signal = copy.data / "standby.signal"
            signal.touch()
            self._account.give(signal)
            copy._launch()
            copy._wait_streaming()
        return copy

    def clone(self, settings: Mapping[str, str] | None = None) -> Server:
        """An independent server with the same content, which may be changed and broken.

        Of a running server it holds all that was committed when the copy ended, and its cumulative
        statistics are empty; of a stopped server it is exact.
        """
        wanted = {**self._settings, **(settings or {})}
        copy = Server(
            self.installation, self._account, settings=wanted, data=None, clock=self._clock
        )
        with copy._closed_on_error():
            if self.running:
                with self._copied_to(copy):
                    copy._launch()
            else:
                copy._furnish(lambda data: backup.copy_stopped(self.data, data, self._account))
                copy._launch()
        return copy

    def promote(self, seconds: int = 60) -> None:
        """Make a standby a primary and wait for that; `TimedOut` after `seconds`."""
        with self.connect() as connection:
            row = connection.execute(_QUERIES.text("promote"), {"seconds": seconds}).fetchone()
        if row is None or not row[0]:
            raise TimedOut(f"not promoted after {seconds} s", detail=self._log_tail())

    @contextlib.contextmanager
    def _copied_to(self, copy: Server) -> Iterator[None]:
        with self.connect() as connection:
            row = connection.execute(_QUERIES.text("is_standby")).fetchone()
            if row is not None and row[0]:
                raise Unsupported("a standby cannot be copied", hint="copy its primary")
            taken = backup.copied_running(
                connection, self.major, self.data, copy.data, self._account
            )
            with taken:
                copy._furnish(lambda _data: None)
                yield

    def _wait_streaming(self) -> None:
        deadline = self._clock.monotonic() + _START_SECONDS
        with self.connect() as connection:
            while True:
                row = connection.execute(_QUERIES.text("receiver_status")).fetchone()
                if row is not None and row[0] == "streaming":
                    return
                if self._clock.monotonic() > deadline:
                    raise TimedOut("the standby does not stream", detail=self._log_tail())
                self._clock.sleep(_POLL_SECONDS)

    def _furnish(self, fill: Callable[[Path], None]) -> None:
        """Make the data folder: fill and mark a new one, or accept a marked one."""
        if self.data.is_dir() and any(self.data.iterdir()) and self.data.parent != self._folder:
            self._accept()
        else:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            fill(self.data)
            marker.write(self.data, version=self.installation.version, clock=self._clock)
        self._account.give(self.data)
        self._account.give(self._folder)

    def _accept(self) -> None:
        marker.require(self.data)
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(self.major):
            raise BadInput(
                f"{self.data} belongs to PostgreSQL {found}, not {self.major}",
                hint=f"pass installation({found})",
            )
        if folders.running_postmaster(self.data):
            raise CouldNot(f"a server runs in {self.data} already", hint="close that one first")

    def _launch(self) -> None:
        self._configure()
        program = self.installation.bindir / "postgres"
        self._pid = self._keeper.start(
            [str(program), "-D", str(self.data)],
            data=self.data,
            log=self.log,
            account=self._account,
        )
        self.wait_ready()

    def _configure(self) -> None:
        """Write our settings; replaced as a whole, so a planted link is not followed."""
        content = render({"unix_socket_directories": str(self.socket_dir), **self._settings})
        descriptor, name = tempfile.mkstemp(dir=self.data, prefix="howdah", suffix=".conf.new")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        self._account.give(Path(name))
        Path(name).replace(self.data / FILE)

    def _is_ready(self) -> bool:
        """The eighth line of postmaster.pid is the state that the postmaster reports there."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self._pid) and lines[7].strip() == "ready"

    def _log_tail(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            return str(error)
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _execute(self, block: str, names: Mapping[str, sql.Identifier]) -> None:
        text = _QUERIES.text(block, self.major)
        with self.connect() as connection:
            try:
                connection.execute(sql.SQL(text).format(**names))
            except psycopg.Error as error:
                raise from_database(error) from error

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise


def _fitting(data: Path | None) -> Installation:
    """The installation that an existing data folder needs, else the first one found."""
    version = data / "PG_VERSION" if data else None
    if version is not None and version.is_file():
        marker.require(version.parent)
        return installations.installation(int(version.read_text(encoding="ascii")))
    return installations.installation()


@functools.cache
def _sweep_once(base: Path) -> None:
    """Once per process is enough: what crashes later is the next process's to find."""
    folders.sweep(base)
