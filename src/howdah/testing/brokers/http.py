"""An HTTP server that remembers what it was sent and misbehaves when told to.

Owns its thread and what it recorded. Must never listen on anything but loopback.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self

import msgspec

from howdah.testing.brokers.broker import LOOPBACK, free_port


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int  # what it was answered with; 0: with nothing


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer one request with.

    `hangs_up` closes the connection instead, after the request was recorded: a lost
    acknowledgement. `waits` holds the answer back until `resume`.
    """

    status: int = HTTPStatus.NO_CONTENT
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    hangs_up: bool = False
    waits: bool = False


class HttpBroker:
    """A server in a thread of this process, in the shape of the brokers.

    `answers` queues what the next requests get, one each; after them `default` holds again.
    """

    name: ClassVar[str] = "http"

    def __init__(self) -> None:
        self.port = free_port()
        self.default = Answer()
        self._requests: list[Request] = []
        self._script: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._server: _Server | None = None

    @classmethod
    def start(cls) -> Self:
        """Listen and serve."""
        broker = cls()
        broker.restart()
        return broker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @classmethod
    def missing(cls) -> str:
        """Nothing: it is Python's own."""
        return ""

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://{LOOPBACK}:{self.port}/"

    @property
    def running(self) -> bool:
        """Whether it takes connections."""
        return self._server is not None

    @property
    def requests(self) -> Sequence[Request]:
        """What came, in the order in which it was answered."""
        with self._lock:
            return tuple(self._requests)

    def answers(self, *answers: Answer) -> None:
        """What the next requests get, one each."""
        with self._lock:
            self._script.extend(answers)

    def forget(self) -> None:
        """Forget the requests and the script."""
        with self._lock:
            self._requests.clear()
            self._script.clear()
        self.default = Answer()

    def pause(self) -> None:
        """Take connections and answer nobody."""
        self._open.clear()

    def resume(self) -> None:
        """Undo `pause`; answers that waited are sent."""
        self._open.set()

    def stop(self) -> None:
        """Refuse new connections and drop those that are open."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.drop()
        self._open.set()
        server.server_close()

    kill = stop

    def restart(self) -> None:
        """Listen again at the same address; what was recorded stays."""
        self.stop()
        self._server = _Server(self)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    close = stop

    def record(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Note one request and say what it gets."""
        with self._lock:
            answer = self._script.popleft() if self._script else self.default
            status = 0 if answer.hangs_up else answer.status
            self._requests.append(
                Request(method=method, path=path, headers=headers, body=body, status=status)
            )
        return answer

    def hold(self, answer: Answer) -> None:
        """Let a paused server, or an answer that waits, wait."""
        if answer.waits:
            self._open.clear()
        self._open.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, broker: HttpBroker) -> None:
        self.broker = broker
        self._connections: set[socket.socket] = set()
        super().__init__((LOOPBACK, broker.port), _Handler)

    def adopt(self, connection: socket.socket) -> None:
        """Remember a connection, so that it can be dropped."""
        self._connections.add(connection)

    def drop(self) -> None:
        """Cut all connections."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is no news to a test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        """Take a connection."""
        super().setup()
        self.server.adopt(self.connection)

    def do_POST(self) -> None:  # the name that http.server calls
        """Record, and answer as told."""
        broker = self.server.broker
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = broker.record(self.command, self.path, headers, body)
        broker.hold(answer)
        if answer.hangs_up:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status != HTTPStatus.NO_CONTENT:
            self.wfile.write(answer.body)

    do_PUT = do_POST  # noqa: N815 # the name that http.server calls
    do_GET = do_POST  # noqa: N815 # as above

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `requests` tells more."""
