"""A TCP proxy before a broker that can lose the broker's answer, connection and all.

Owns its threads and sockets. Must never listen on anything but loopback.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from howdah.testing.brokers.broker import LOOPBACK

_PIECE = 65536


class Proxy:
    """Passes everything on, until `lose`: then the next answer is dropped and its connection cut.

    What the client sent has reached the broker by then, and was answered.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._losing = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing a socket does not wake a thread that waits in accept; shutting it down does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            _cut(each)

    def lose(self) -> None:
        """Lose the next answer of whichever connection."""
        self._losing.set()

    def keep(self) -> None:
        """Pass everything on again."""
        self._losing.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOOPBACK, self._target))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for pair, loses in (((client, server), False), ((server, client), True)):
                threading.Thread(target=self._pass, args=(*pair, loses), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, loses: bool) -> None:
        with contextlib.suppress(OSError):  # either side may be gone
            while piece := source.recv(_PIECE):
                if loses and self._losing.is_set():
                    self._losing.clear()
                    break
                target.sendall(piece)
        for each in (source, target):
            _cut(each)
        source.close()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)
