"""How a queue is configured: what the dispatcher is told before it decides anything.

Owns the options of a queue and of its kinds, their bounds and defaults. Must never hold anything
that changes while the queue runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from howdah.errors import BadInput

FailurePolicy = Literal["block", "park", "skip"]
Scope = Literal["queue", "kind", "tenant", "kind_tenant", "key"]

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class Rate(Struct, frozen=True, kw_only=True):
    """So many starts in so many seconds.

    `bucket`: a token bucket; `burst` starts at once (default `count`), then evenly. In any span of
    t seconds at most `burst + t * count / seconds`.
    `window`: at most `count` in every span of `seconds`, wherever the span begins.
    """

    count: Count
    seconds: Positive = 1.0
    form: Literal["bucket", "window"] = "bucket"
    burst: Count | None = None


class Allowance(Struct, frozen=True, kw_only=True):
    """What one counter of a limit allows: jobs running at once, starts in time, or both."""

    concurrency: Count | None = None
    rate: Rate | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """One limit: counted once per value of `by`, for the kinds named (all without).

    `overrides` gives another allowance to single values: a tenant, a kind, a key, or for
    `kind_tenant` the text "kind/tenant". A limit by `key` with a concurrency above one gives up
    the order inside the key; such keys always follow the policy `skip`.
    """

    name: str
    by: Scope = "queue"
    allow: Allowance
    kinds: frozenset[str] | None = None
    overrides: Mapping[str, Allowance] = {}

    def __post_init__(self) -> None:
        every = [self.allow, *self.overrides.values()]
        if any(each.concurrency is None and each.rate is None for each in every):
            raise BadInput(
                f"limit {self.name!r} limits nothing", hint="give a concurrency or a rate"
            )
        concurrent = any(each.concurrency is not None for each in every)
        if self.by == "key" and concurrent and self.kinds is not None:
            raise BadInput(
                f"limit {self.name!r}: the concurrency of a key cannot depend on the kind",
                detail="The jobs of one key stand in one line, whatever their kinds.",
                hint="drop `kinds`, or limit by kind_tenant",
            )


class Backoff(Struct, frozen=True, kw_only=True):
    """How long a failed job waits: `base`, `base * n` or `base * factor ** (n - 1)` before retry n.

    Jitter: `none`; `full` draws from [0, delay); `equal` from [delay / 2, delay).
    """

    form: Literal["fixed", "linear", "exponential"] = "exponential"
    base_seconds: NotNegative = 2.0
    factor: Annotated[float, Meta(ge=1)] = 2.0
    max_seconds: NotNegative = 3600.0
    jitter: Literal["none", "full", "equal"] = "equal"


class BudgetOptions(Struct, frozen=True, kw_only=True):
    """How many retries a kind may add to its successes: a brake on retry storms.

    Each success earns `ratio` of a retry, each second `per_second`; at most `most` are saved.
    A retry that the budget does not cover is put off to the backoff's maximum, never dropped.
    """

    ratio: NotNegative = 0.2
    per_second: NotNegative = 1.0
    most: Count = 100


class KindPolicy(Struct, frozen=True, kw_only=True):
    """How the jobs of one kind are treated."""

    max_attempts: Count = 10
    backoff: Backoff = Backoff()
    on_failure: FailurePolicy = "block"
    budget: BudgetOptions | None = None
    batch_max: Count = 500


class QueuePolicy(Struct, frozen=True, kw_only=True):
    """Everything the dispatcher of one queue is told.

    `ageing_seconds`: a job of priority p waits at most p times that long behind younger jobs of
    priority 0. `weights`: a tenant's share relative to the default of 1. `batch_seconds`: how much
    work one claim should hold. `spread_seconds`: below this much work, a few ready jobs are not
    spread over slots. `park_after_seconds`: a key held for longer than this has its waiting jobs
    set aside, so that they pin neither memory nor the log. `loaded_max`: jobs held in memory.
    `pinned_max`: an unfinished row with more rows than that behind it is copied out of the log, so
    that a job of ten hours does not pin ten hours of log.
    """

    default: KindPolicy = KindPolicy()
    kinds: Mapping[str, KindPolicy] = {}
    limits: tuple[Limit, ...] = ()
    weights: Mapping[str, Positive] = {}
    ageing_seconds: Positive = 60.0
    lease_seconds: Positive = 15.0
    batch_seconds: Positive = 0.1
    spread_seconds: Positive = 0.005
    park_after_seconds: NotNegative = 10.0
    loaded_max: Count = 50_000
    pinned_max: Count = 100_000
    seed: str = ""

    def __post_init__(self) -> None:
        names = [limit.name for limit in self.limits]
        if len(set(names)) < len(names):
            raise BadInput("two limits have the same name", detail=", ".join(sorted(names)))

    def of(self, kind: str) -> KindPolicy:
        """The policy of that kind; the queue's default if it has none of its own."""
        return self.kinds.get(kind, self.default)

    @property
    def terms(self) -> Terms:
        """What of it holds for the whole queue while a worker declares it."""
        return Terms(limits=self.limits, weights=self.weights)


class Terms(Struct, frozen=True, kw_only=True):
    """What one program asks of the whole queue: limits, and the shares of tenants."""

    limits: tuple[Limit, ...] = ()
    weights: Mapping[str, Positive] = {}
