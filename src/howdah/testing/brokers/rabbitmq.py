"""A RabbitMQ node of our own, beside any that the machine runs.

Owns its configuration and its own port mapper. Must never touch the system's node, its cookie or
its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.postgres import account
from howdah.testing.brokers.broker import LOOPBACK, Broker, Program, converse, free_port

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's, which starts the node in the foreground and as whoever calls it."""

_CONFIGURATION = """\
listeners.tcp.1 = {address}:{port}
log.console = true
log.console.level = warning
# The machine's fullness is not what a test is about.
disk_free_limit.absolute = 1MB
"""


class RabbitmqBroker(Broker):
    """One node, no plugins; durable queues and persistent messages survive `kill` and `restart`.

    It takes three to four seconds to start and a second processor while it does, so share it.
    """

    name = "rabbitmq"
    start_seconds = 90.0

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock=clock)
        self._mapper = free_port()
        self._distribution = free_port()
        runner = account.current()
        self.ids = runner.ids
        settings = _CONFIGURATION.format(address=LOOPBACK, port=self.port)
        (self.folder / "rabbitmq.conf").write_text(settings, encoding="ascii")
        (self.folder / "plugins").write_text("[].\n", encoding="ascii")
        for path in (self.folder, *self.folder.iterdir()):
            runner.give(path)

    @classmethod
    def missing(cls) -> str:
        """Debian's package; there is no wheel."""
        installed = _PROGRAM.is_file() and Path("/usr/bin/epmd").is_file()
        return "" if installed else "apt-get install --no-install-recommends rabbitmq-server"

    @property
    def url(self) -> str:
        """As AMQP clients write it; the user of a fresh node may connect from loopback only."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/"

    def programs(self) -> Sequence[Program]:
        """The port mapper, which the node would otherwise start for the whole machine; the node."""
        mapper = ["/usr/bin/epmd", "-port", str(self._mapper), "-address", LOOPBACK]
        return [
            Program(argv=mapper),
            Program(argv=["/bin/sh", str(_PROGRAM)], environment=self._environment()),
        ]

    def is_ready(self) -> bool:
        """The first frame of AMQP 0-9-1 names the server."""
        return converse(self.port, b"AMQP\x00\x00\x09\x01", b"RabbitMQ")

    def _environment(self) -> dict[str, str]:
        """What the starting script reads; the folder is the node's home, with its cookie."""
        folder = str(self.folder)
        return {
            "HOME": folder,
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"howdah{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            # The node replaces the script, so that signals reach it.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 -noinput -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
