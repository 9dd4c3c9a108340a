"""Traffic: a few clients that do what customers, publishers and report writers do.

Owns the threads and their connections; all of them end when `stop` is called. The session that
holds the horizon is part of the traffic: a report that somebody forgot.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from howdah import query
from howdah.postgres import Server

_TRAFFIC = query.load("howdah.demo", "sql/traffic.sql")
_CLIENTS = 10
_PUBLISHERS = 2
_REST_SECONDS = 0.1  # of a calm customer, after everything that it does

Client = psycopg.Connection[Any]


class Traffic:
    """Clients at work on the shop until they are stopped."""

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._database = database
        self._over = threading.Event()
        self._calm = False
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._holder: Client | None = None
        self.transactions = 0

    def start(self) -> None:
        """Open the forgotten report, then let the clients go."""
        self._holder = self._server.connect(self._database, autocommit=False)
        self._holder.execute("SET application_name = 'monthly-report'")
        self._holder.commit()
        self._holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._holder.execute(_TRAFFIC.text("hold"))
        for number in range(_CLIENTS):
            self._spawn(self._customer, number)
        for number in range(_PUBLISHERS):
            self._spawn(self._publisher, number)

    def calm(self) -> None:
        """Let customers rest between what they do: the processors are for the diagnosis now."""
        self._calm = True

    def back_up(self) -> None:
        """Begin the nightly backup, as far as the others notice it."""
        with self._server.connect(self._database) as connection:
            connection.execute(_TRAFFIC.text("back_up"))

    def end_report(self) -> None:
        """Close the forgotten report: the act that only a person may decide."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def stop(self) -> None:
        """Stop every client and wait for it; raises what a client died of."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._failures:
            raise self._failures[0]

    def _spawn(self, work: Callable[[int, Client], None], number: int) -> None:
        def body() -> None:
            try:
                with self._server.connect(self._database) as connection:
                    work(number, connection)
            except psycopg.Error as error:
                self._failures.append(error)

        thread = threading.Thread(target=body, daemon=True, name=f"shop-{work.__name__}-{number}")
        thread.start()
        self._threads.append(thread)

    def _customer(self, number: int, connection: Client) -> None:
        dice = random.Random(number)
        for turn in itertools.count():
            if self._over.is_set() or (self._calm and self._over.wait(_REST_SECONDS)):
                return
            block, values = _action(dice, turn)
            # an order may be gone with its customer, as it may in any shop
            with suppress(psycopg.errors.ForeignKeyViolation):
                connection.execute(_TRAFFIC.text(block), values)
            self.transactions += 1

    def _publisher(self, number: int, connection: Client) -> None:
        while not self._over.wait(0.01 * (1 + number)):
            connection.execute(_TRAFFIC.text("publish_batch"))
            self.transactions += 1


# How often a customer does what, out of a hundred.
_HABITS = (
    ("place_order", 20),
    ("reserve", 40),
    ("find_by_sku", 3),
    ("visit", 8),
    ("fill_cart", 8),
    ("add_product", 12),
    ("customer_orders", 6),
    ("ship", 2),
    ("forget_customer", 1),
)
_ACTIONS = [name for name, share in _HABITS for _ in range(share)]


def _action(dice: random.Random, turn: int) -> tuple[str, dict[str, int | str]]:
    """What a customer does next, with the values it takes."""
    values: dict[str, int | str] = {
        "customer": dice.randint(1001, 20000),
        "product": dice.randint(1, 20000),
        "order": dice.randint(1, 20000),
        "warehouse": dice.randint(1, 2),
        "cart": dice.randint(1, 19990),
        "total": dice.randint(1, 500),
    }
    values["sku"] = f"SKU-{values['product']}"
    block = dice.choice(_ACTIONS)
    if block == "forget_customer":
        values["customer"] = 1 + turn % 1000  # nobody else orders in their name
    return block, values


@contextmanager
def running(server: Server, database: str) -> Iterator[Traffic]:
    """Traffic for the length of a block, stopped whatever happens in it."""
    traffic = Traffic(server, database)
    traffic.start()
    try:
        yield traffic
    finally:
        traffic.end_report()
        traffic.stop()
