"""One decision, several drivers: store operations as generators, and who runs them.

Owns statements, queries and runners. Must never open or end a transaction of the caller.
"""

from __future__ import annotations

from howdah.driver.run import AsyncDriver, Driver, async_driver_of, driver_of, run, run_async
from howdah.driver.statement import Query, Statement, compose, statement
from howdah.driver.steps import Batch, Row, Rows, Steps, canned, together

__all__ = [
    "AsyncDriver",
    "Batch",
    "Driver",
    "Query",
    "Row",
    "Rows",
    "Statement",
    "Steps",
    "async_driver_of",
    "canned",
    "compose",
    "driver_of",
    "run",
    "run_async",
    "statement",
    "together",
]
