"""The values of a side-by-side bench: what is asked for, what was measured.

Owns the JSON contract of `howdah bench log|outbox|queue` (version 1). Must never measure or judge.
Rates are items per second, latencies milliseconds, sizes bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

VERSION = 1


class Bench(StrEnum):
    """What kind of work is measured."""

    LOG = "log"
    OUTBOX = "outbox"
    QUEUE = "queue"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one run does; the same for every contender."""

    bench: Bench
    against: tuple[str, ...] = ()  # empty: everyone who can take part
    seconds: Annotated[float, Meta(ge=0.2, le=3600)] = 10.0  # of each phase
    rate_per_second: Annotated[float, Meta(ge=1, le=10_000)] = 100.0  # of the latency phase
    payload_bytes: Annotated[int, Meta(ge=64, le=65_536)] = 100
    processes: Annotated[int, Meta(ge=1, le=32)] = 1  # that consume
    held_xmin: bool = False  # each contender a second time, with the horizon held
    wanted_per_second: Annotated[float, Meta(gt=0)] | None = None
    pgque_sql: str = ""  # path of pgque's installation script
    pgmq_sql: str = ""  # the same of pgmq; its Python package brings one


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From just before the insert until the handler is called, at the plan's low rate."""

    p50: float
    p99: float
    max: float
    count: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender did under one condition; None is what was not measured, see `notes`."""

    per_second: float | None = None  # through the whole system, produced and consumed at once
    latency_ms: Latency | None = None
    wal_bytes_per_item: float | None = None  # of the whole life of an item
    wal_bytes_to_produce: float | None = None  # its own row and index entries
    wal_bytes_to_consume: float | None = None  # everything beyond its own row
    dead_tuples: int | None = None  # at the end, of its own tables
    dead_tuples_made_per_item: float | None = None  # updates and deletes, whoever cleaned up after
    catalog_dead_tuples: int | None = None  # what truncating and creating tables left
    produced_per_second: dict[str, float] = {}  # alone, by the way of producing
    consumed_per_second: float | None = None  # a backlog alone
    items: int = 0
    per_second_over_time: tuple[float, ...] = ()  # tenths of the run; a collapse shows here
    notes: tuple[str, ...] = ()


class Contended(msgspec.Struct, frozen=True, kw_only=True):
    """One contender: its undisturbed figures, and those with the horizon held."""

    name: str
    per_second: float | None
    latency_ms: Latency | None
    wal_bytes_per_item: float | None
    dead_tuples: int | None
    ratio_to_howdah: float | None  # its rate over ours: 0.5 is half as fast
    what: str
    version: str
    settings: dict[str, str]
    undisturbed: Figures
    held: Figures | None = None
    kept: float | None = None  # rate with the horizon held over the undisturbed rate


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """A contender that did not take part."""

    name: str
    why: str
    install: str = ""  # what to type, where that helps


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    version: str
    embedded: bool
    cores: int
    settings: dict[str, str]


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """A system to leave for, with somebody's figure."""

    name: str
    per_second: float
    condition: str
    source: str


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Stay or leave, by the wanted rate and the measured ceiling."""

    verdict: str  # stay, near, leave, or unknown
    ceiling_per_second: float | None
    ceiling_of: str
    wanted_per_second: float | None
    text: str
    elsewhere: tuple[Elsewhere, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `contenders` come in the order of their rate, fastest first."""

    version: int = VERSION
    bench: Bench
    server: ServerFacts
    plan: Plan
    contenders: tuple[Contended, ...]
    not_installed: tuple[Absent, ...] = ()
    failed: tuple[Absent, ...] = ()
    advice: Advice | None = None
    notes: tuple[str, ...] = ()
