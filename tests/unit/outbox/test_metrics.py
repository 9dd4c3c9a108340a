"""A relay's figures as Prometheus reads them, and its log lines as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from urllib.request import urlopen

from prometheus_client import CollectorRegistry, generate_latest

from howdah.outbox import metrics
from howdah.outbox.model import Figures
from howdah.outbox.telling import LOGGER, JsonLines, tell
from howdah.testing import FakeClock
from howdah.testing.brokers.broker import free_port


def test_every_figure_has_a_name_and_the_outbox_as_a_label() -> None:
    figures = Figures()
    figures.delivered, figures.parked_keys = 7, 2
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    figures.oldest_at = clock.now().timestamp() - 30
    registry = CollectorRegistry()
    registry.register(metrics.RelayCollector("orders", figures, clock))
    text = generate_latest(registry).decode()
    assert 'howdah_outbox_delivered_total{outbox="orders"} 7.0' in text
    assert 'howdah_outbox_parked_keys{outbox="orders"} 2.0' in text
    assert 'howdah_outbox_lag_seconds{outbox="orders"} 30.0' in text


def test_it_listens_on_loopback_until_it_is_ended() -> None:
    port = free_port()
    end = metrics.serve("orders", Figures(), port)
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"howdah_outbox_read_total" in answer.read()
    finally:
        end()


def test_log_lines_are_json_with_their_facts() -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JsonLines())
    LOGGER.addHandler(handler)
    try:
        tell(logging.WARNING, "parked", id=4, key=None, code="too-large")
    finally:
        LOGGER.removeHandler(handler)
    line = json.loads(lines[0])
    assert (line["what"], line["level"], line["id"], line["code"]) == (
        "parked",
        "warning",
        4,
        "too-large",
    )
    assert "key" not in line
    assert line["at"].endswith("Z")
