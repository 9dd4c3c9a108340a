"""Jobs: work to do once, on the log.

Owns dispatching, attempts, leases and schedules. Must never update a row of a hot table.
"""

from __future__ import annotations

from howdah.log import COMPONENT as LOG
from howdah.queue.api import BoundJob, Enqueued, JobOptions, Queue
from howdah.queue.context import JobContext, current_job
from howdah.queue.handler import Cancelled, Fatal, OutOfTime, Retry
from howdah.queue.metrics import Metrics
from howdah.queue.options import WorkerOptions
from howdah.queue.policy import Allowance, Backoff, BudgetOptions, KindPolicy, Limit, Rate
from howdah.queue.unique import Unique
from howdah.queue.worker import Worker
from howdah.schema.model import Component

COMPONENT = Component(name="queue", version=1, package="howdah.queue", requires=(LOG,))

__all__ = [
    "COMPONENT",
    "Allowance",
    "Backoff",
    "BoundJob",
    "BudgetOptions",
    "Cancelled",
    "Enqueued",
    "Fatal",
    "JobContext",
    "JobOptions",
    "KindPolicy",
    "Limit",
    "Metrics",
    "OutOfTime",
    "Queue",
    "Rate",
    "Retry",
    "Unique",
    "Worker",
    "WorkerOptions",
    "current_job",
]
