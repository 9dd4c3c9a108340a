"""librdkafka's mock of a Kafka cluster, as a process of its own.

Runs alone, as `python -I -S mock_cluster.py LIBRARY SOCKET BROKERS`, with the standard library
only. Owns the mock cluster and the unix socket that takes orders: one JSON line each, answered
by one. Must never be imported by what it serves: a cluster inside a test's process could not be
killed.

Function names, the types of their arguments and the meaning of their results are those of
`rdkafka_mock.h` and `rdkafka.h` of librdkafka.
"""

from __future__ import annotations

import ctypes
import json
import socketserver
import sys
from pathlib import Path
from typing import Any

_PRODUCER = 0  # rd_kafka_type_t
_ALL_BROKERS = -1
_TEXT_BYTES = 512
_POINTERS = (
    "conf_new",
    "new",
    "mock_cluster_new",
    "mock_cluster_bootstraps",
    "mock_get_requests",
)
"""Functions that return an address; ctypes would cut it to an int."""


class Cluster:
    """Some brokers that listen on loopback and keep what they are sent in memory."""

    def __init__(self, library: str, brokers: int) -> None:
        self._lib = ctypes.CDLL(library)
        pointers = (
            "conf_new",
            "new",
            "mock_cluster_new",
            "mock_cluster_bootstraps",
            "mock_get_requests",
        )
        for name in pointers:
            self._function(name).restype = ctypes.c_void_p
        self._lib.rd_kafka_err2str.restype = ctypes.c_char_p
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        conf = ctypes.c_void_p(self._function("conf_new")())
        handle = self._function("new")(_PRODUCER, conf, text, ctypes.c_size_t(_TEXT_BYTES))
        if not handle:
            raise OSError(text.value.decode())
        self._cluster = ctypes.c_void_p(
            self._function("mock_cluster_new")(ctypes.c_void_p(handle), ctypes.c_int(brokers))
        )

    def bootstraps(self) -> str:
        """Addresses of all brokers, as clients take them."""
        found = self._function("mock_cluster_bootstraps")(self._cluster)
        return ctypes.string_at(found).decode()

    def create_topic(self, topic: str, partitions: int, replicas: int) -> str:
        """Create a topic with its leaders spread over the brokers."""
        return self._call("topic_create", topic.encode(), partitions, replicas)

    def fail_topic(self, topic: str, code: int) -> str:
        """Answer metadata requests about a topic with an error; 0 ends that."""
        self._function("mock_topic_set_error")(self._cluster, topic.encode(), ctypes.c_int(code))
        return ""

    def down(self, broker: int = _ALL_BROKERS) -> str:
        """Drop connections and refuse new ones."""
        return self._call("broker_set_down", ctypes.c_int32(broker))

    def up(self, broker: int = _ALL_BROKERS) -> str:
        """Listen again."""
        return self._call("broker_set_up", ctypes.c_int32(broker))

    def delay(self, milliseconds: int, broker: int = _ALL_BROKERS) -> str:
        """Hold every response back for that long."""
        return self._call("broker_set_rtt", ctypes.c_int32(broker), ctypes.c_int(milliseconds))

    def fail(self, api_key: int, codes: list[int]) -> str:
        """Answer the next requests of a kind with these errors, one each."""
        errors = (ctypes.c_int * len(codes))(*codes)
        key = ctypes.c_int16(api_key)
        self._function("mock_push_request_errors_array")(
            self._cluster, key, ctypes.c_size_t(len(codes)), errors
        )
        return ""

    def fail_partition(self, topic: str, partition: int, api_key: int, codes: list[int]) -> str:
        """As `fail`, for one partition."""
        return self._call(
            "partition_push_request_errors",
            topic.encode(),
            ctypes.c_int32(partition),
            ctypes.c_int16(api_key),
            ctypes.c_size_t(len(codes)),
            *(ctypes.c_int(code) for code in codes),
        )

    def heal(self, api_key: int) -> str:
        """Forget the errors that are still to be answered."""
        self._function("mock_clear_request_errors")(self._cluster, ctypes.c_int16(api_key))
        return ""

    def watch(self) -> str:
        """Start to count requests, from zero."""
        self._function("mock_start_request_tracking")(self._cluster)
        self._function("mock_clear_requests")(self._cluster)
        return ""

    def seen(self, api_key: int) -> int:
        """How many requests of a kind have come since `watch`; answered or not."""
        count = ctypes.c_size_t()
        found = self._function("mock_get_requests")(self._cluster, ctypes.byref(count))
        requests = (ctypes.c_void_p * count.value).from_address(found) if count.value else ()
        kind = self._function("mock_request_api_key")
        kind.restype = ctypes.c_int16
        kinds = [kind(ctypes.c_void_p(request)) for request in requests]
        self._function("mock_request_destroy_array")(ctypes.c_void_p(found), count)
        return kinds.count(api_key)

    def _call(self, name: str, *arguments: Any) -> str:
        """Call one function of the mock; its error's name, or nothing."""
        code = self._function(f"mock_{name}")(self._cluster, *arguments)
        return str(self._lib.rd_kafka_err2str(code).decode()) if code else ""

    def _function(self, name: str) -> Any:
        return getattr(self._lib, f"rd_kafka_{name}")


class _Orders(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Obey until the connection ends."""
        for line in self.rfile:
            order = json.loads(line)
            answer = getattr(self.server.cluster, order.pop("do"))(**order)  # type: ignore[attr-defined] # set by main
            self.wfile.write(json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Start the cluster and obey for ever; the guardian ends us."""
    library, socket, brokers = sys.argv[1:]
    Path(socket).unlink(missing_ok=True)
    cluster = Cluster(library, int(brokers))
    with socketserver.ThreadingUnixStreamServer(socket, _Orders) as server:
        server.cluster = cluster  # type: ignore[attr-defined] # how handlers reach it
        server.daemon_threads = True
        server.serve_forever()


if __name__ == "__main__":
    main()
