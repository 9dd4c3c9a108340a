"""The shape of a simulator in the bench, and the two models that all of them run.

Owns the models' figures. Must never know one simulator more closely than another: all are asked
for the same run of the same model and give the same counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar

import msgspec


class Load(StrEnum):
    """What is simulated."""

    SINGLE_SERVER = "single-server"  # M/M/1 at 90 % load
    RETRY_STORM = "retry-storm"  # M/M/1/K with timeouts, wasted work and retries


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """The retry storm; rates a second, times in seconds.

    From `burst_from` to `burst_until` the arrivals are `burst` times as many; at this rate the
    burst leaves the system in its collapsed state, so that most of a run is retries.
    """

    rate: float = 0.6
    service: float = 1.0  # mean
    capacity: int = 100  # waiting and in service
    timeout: float = 30.0
    retries: int = 3
    backoff: float = 10.0  # uniform from 0
    burst: float = 8.0
    burst_from: float = 2000.0
    burst_until: float = 2100.0


STORM = Storm()
SINGLE_SERVER_RATE = 0.9  # arrivals a second at a mean service time of one second


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a run; alike in all simulators up to chance, which the bench checks."""

    requests: int
    retries: int
    served: int  # by the server, in time or not
    answered: int  # in time

    @property
    def events(self) -> int:
        """Arrivals, repeated ones, and departures: what every simulator must work through.

        Timeouts and whatever a simulator schedules for itself are not counted: it is the same
        count of the same work for all.
        """
        return self.requests + self.retries + self.served


class Simulator(ABC):
    """One simulator. A run's seed and length are given; its counts come back."""

    name: ClassVar[str]
    what: ClassVar[str]
    loads: ClassVar[frozenset[Load]]
    package: ClassVar[str] = ""  # what pip installs it from

    @abstractmethod
    def version(self) -> str:
        """Its version; `ImportError` where it is not installed."""

    @abstractmethod
    def run(self, load: Load, seconds: float, seed: int) -> Counts:
        """Simulate so many seconds of the model's time."""
