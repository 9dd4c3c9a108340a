"""A relay's figures for Prometheus.

Owns their names. Must never listen on anything but loopback unless asked, nor be needed: it comes
with the extra `metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.outbox.model import Figures
from howdah.outbox.sinks.extra import needs

with needs("metrics", "prometheus-client"):
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

LOOPBACK = "127.0.0.1"

_COUNTERS = {
    "read": "Messages read from the outbox.",
    "delivered": "Messages that the sink confirmed.",
    "duplicates": "Of these, messages that the broker said it had already.",
    "retries": "Messages that the sink asked to be sent again.",
    "parked": "Messages set aside.",
    "replayed": "Parked messages that were delivered after all.",
    "commits": "Positions written.",
    "sink_failures": "Failures of the sink as a whole.",
    "database_failures": "Sessions with the database that were lost.",
}
_GAUGES = {
    "unsettled": "Messages read and not committed.",
    "parked_keys": "Keys that are set aside.",
    "epoch": "The relay's epoch; 0 before it has taken over.",
}


class RelayCollector(Collector):
    """Reads the figures when Prometheus asks."""

    def __init__(self, outbox: str, figures: Figures, clock: Clock = SYSTEM_CLOCK) -> None:
        self._outbox = outbox
        self._figures = figures
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Every figure with the label `outbox`."""
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"howdah_outbox_{name}", text, labels=["outbox"])
            counter.add_metric([self._outbox], getattr(self._figures, name))
            yield counter
        for name, text in _GAUGES.items():
            yield self._gauge(name, text, getattr(self._figures, name))
        oldest = self._figures.oldest_at
        lag = 0.0 if oldest is None else max(0.0, self._clock.now().timestamp() - oldest)
        yield self._gauge(
            "lag_seconds", "Age of the oldest message that is read and not settled.", lag
        )

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(f"howdah_outbox_{name}", text, labels=["outbox"])
        gauge.add_metric([self._outbox], value)
        return gauge


def serve(
    outbox: str, figures: Figures, port: int, *, address: str = LOOPBACK
) -> Callable[[], None]:
    """Answer `GET /metrics` from a thread; returns what ends it. Port 0 is not allowed here."""
    registry = CollectorRegistry()
    registry.register(RelayCollector(outbox, figures))
    server, thread = start_http_server(port, addr=address, registry=registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
