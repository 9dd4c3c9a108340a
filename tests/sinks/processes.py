"""What the adapters of brokers that are processes have in common: breaking and healing them.

Owns the faults of a process behind a proxy. Must never leave a broker broken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from howdah.testing.brokers import Broker
from tests.sinks.conformance import Adapter, Fault
from tests.sinks.lost_answers import Proxy


class ProcessAdapter(Adapter):
    """Kills, freezes, and loses the answer of a broker of ours."""

    faults: ClassVar[Collection[Fault]] = (Fault.DOWN, Fault.FROZEN, Fault.LOST_ACK)

    def __init__(self, broker: Broker, proxy: Proxy) -> None:
        self.broker = broker
        self.proxy = proxy
        self._paused = False
        self._down = False

    def harm(self, fault: Fault) -> None:
        if fault is Fault.DOWN:
            self._down = True
            self.broker.kill()
        elif fault is Fault.FROZEN:
            self.broker.pause()
            self._paused = True
        else:
            self.proxy.lose()

    def heal(self) -> None:
        self.proxy.keep()
        if self._paused:
            self.broker.resume()
            self._paused = False
        if self._down or not self.broker.running:
            self.broker.restart()
            self._down = False


def own(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that the message had: without ours and the broker's."""
    return {
        name: value
        for name, value in headers.items()
        if not name.lower().startswith(("howdah-", "nats-", "x-"))
    }
