"""What can be simulated: the frozen description of a model.

Owns the words of a model and their bounds; the same structs are the Python API and the TOML and
YAML files (a table's `kind` names the struct). Must never hold running state, and never know an
engine. What each element means is written in `semantics.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class _Value(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """Frozen, named fields only, an unknown one is refused."""


# Distributions: seconds where they are times, plain numbers elsewhere.


class Constant(_Value, tag="constant", frozen=True, kw_only=True):
    """Always `value`."""

    value: NotNegative


class Exponential(_Value, tag="exponential", frozen=True, kw_only=True):
    """Memoryless, with this mean."""

    mean: Positive


class Uniform(_Value, tag="uniform", frozen=True, kw_only=True):
    """Between `low` and `high`."""

    low: NotNegative
    high: NotNegative


class LogNormal(_Value, tag="lognormal", frozen=True, kw_only=True):
    """The usual shape of think and service times: `median`, and `sigma` of its logarithm."""

    median: Positive
    sigma: Positive


class Erlang(_Value, tag="erlang", frozen=True, kw_only=True):
    """The sum of `stages` exponential ones; less variable than one."""

    stages: Count
    mean: Positive


class Pareto(_Value, tag="pareto", frozen=True, kw_only=True):
    """A heavy tail above `minimum`; the mean is finite for `shape` > 1."""

    minimum: Positive
    shape: Positive


class Empirical(_Value, tag="empirical", frozen=True, kw_only=True):
    """Quantiles at equal steps from 0 to 1, straight lines between: what calibration measured."""

    quantiles: tuple[NotNegative, ...]


Distribution = Constant | Exponential | Uniform | LogNormal | Erlang | Pareto | Empirical


class Zipf(_Value, tag="zipf", frozen=True, kw_only=True):
    """Keys 0 .. `keys` - 1; key k is asked for in proportion to 1 / (k + 1) ** `exponent`."""

    keys: Count
    exponent: NotNegative = 1.0


class Policy(_Value, tag="policy", frozen=True, kw_only=True):
    """A policy by name (a file of `policies/`) or `module:object` of your own; its arguments."""

    name: str
    arguments: Mapping[str, float | str] = {}


# Clients: where requests come from.


class Retry(_Value, tag="retry", frozen=True, kw_only=True):
    """At most `most` further attempts, each after a backoff.

    The n-th waits a draw of `backoff` times `factor` ** (n - 1), at most `longest` seconds.
    `budget`: a bucket of so many tokens, one each retry, `deposit` back for each success.
    """

    most: Annotated[int, msgspec.Meta(ge=0)] = 3
    backoff: Distribution = Constant(value=0.0)
    factor: Positive = 1.0
    longest: Positive = 3600.0
    budget: NotNegative | None = None
    deposit: NotNegative = 0.1


class _Client(_Value, frozen=True, kw_only=True):
    """What every client has. `timeout`: seconds until an attempt is given up by the client."""

    to: str
    timeout: Positive | None = None
    deadline: Positive | None = None  # seconds from the start of the request, over all attempts
    retry: Retry | Policy | None = None
    hedge_after: Positive | None = None  # a second attempt beside the first
    cancels: bool = False  # a timeout takes the waiting item out of its line
    demand: Distribution = Constant(value=0.0)  # core-seconds, for Sharing
    keys: Zipf | None = None  # for caches and keyed pools
    mutation: Share = 0.0  # of the retries, that draw demand and key anew
    band: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0  # 0 is served first
    group: Annotated[int, msgspec.Meta(ge=0, le=63)] = 0  # what policies call class


class Open(_Client, tag="open", frozen=True, kw_only=True):
    """Requests arrive at `rate` a second, whatever happens to the earlier ones."""

    rate: NotNegative
    interval: Literal["exponential", "even"] = "exponential"
    profile: tuple[tuple[NotNegative, NotNegative], ...] = ()  # (second, rate): steps over time


class Closed(_Client, tag="closed", frozen=True, kw_only=True):
    """`users`, each of whom thinks, asks, waits, and thinks again."""

    users: Count
    think: Distribution


class Agentic(_Client, tag="agentic", frozen=True, kw_only=True):
    """Sessions of agents: `parallel` requests at once, then a think, for `steps` rounds.

    A round ends when all its requests ended, or at the first success with `first_wins`.
    `holds`: share of requests whose tickets stay held over the following think time (an open
    transaction). `rollback`: share of rounds that are done again. `distinct`: share of a round's
    requests with a key of their own; the others ask for the key of the round's first.
    """

    rate: NotNegative  # sessions a second
    parallel: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    steps: Count = 1
    think: Distribution = Constant(value=0.0)
    first_wins: bool = False
    holds: Share = 0.0
    rollback: Share = 0.0
    distinct: Share = 1.0


Client = Open | Closed | Agentic


# Processors: what is contended for.


class Queue(_Value, tag="queue", frozen=True, kw_only=True):
    """`servers` with a waiting line; `capacity` counts those waiting and in service."""

    service: Distribution
    to: str = "reply"
    servers: Annotated[int, msgspec.Meta(ge=0)] = 1
    capacity: Count | None = None
    discipline: Literal["fifo", "lifo"] | Policy = "fifo"
    drop_expired: bool = False
    speed: NotNegative = 1.0
    slowdown: Policy | None = None


class Sharing(_Value, tag="sharing", frozen=True, kw_only=True):
    """Processor sharing on `cores`: efficiency 1 / (1 + `overhead` * runnable beyond the cores)."""

    cores: Positive
    to: str = "reply"
    overhead: NotNegative = 0.0
    speed: NotNegative = 1.0
    quantum: Positive | None = None  # wall-clock seconds until the item yields
    yield_to: str | None = None


class Delay(_Value, tag="delay", frozen=True, kw_only=True):
    """Everybody is served at once, for a time: a network, a think time."""

    time: Distribution
    to: str = "reply"
    factor: NotNegative = 1.0


class Pool(_Value, tag="pool", frozen=True, kw_only=True):
    """Tickets; an item keeps one until it passes the `Release` of this pool, or ends."""

    tickets: Annotated[int, msgspec.Meta(ge=0)]
    to: str
    order: Literal["fifo", "barging", "fewest"] = "fifo"
    max_waiting: Annotated[int, msgspec.Meta(ge=0)] | None = None
    keyed: bool = False  # one pool a key: row locks


class Cache(_Value, tag="cache", frozen=True, kw_only=True):
    """The `entries` keys used last; a hit leaves by `hit`, a miss by `miss`."""

    entries: Count
    hit: str = "reply"
    miss: str
    full: bool = True  # starts with keys 0 .. entries - 1


# Nodes: routing and policy; nothing waits in them.


class Release(_Value, tag="release", frozen=True, kw_only=True):
    """Gives back the ticket of `pool`."""

    pool: str
    to: str = "reply"


class Fill(_Value, tag="fill", frozen=True, kw_only=True):
    """Stores the item's key in `cache`."""

    cache: str
    to: str = "reply"


class Gate(_Value, tag="gate", frozen=True, kw_only=True):
    """`policy` admits an item or refuses it; it may watch one processor or pool."""

    policy: Policy
    to: str
    watch: str | None = None


class Choice(_Value, tag="choice", frozen=True, kw_only=True):
    """One of `to`: by `weights`, by the client's group (`by_group`), or by a policy."""

    to: tuple[str, ...]
    weights: tuple[NotNegative, ...] = ()
    by_group: bool = False
    policy: Policy | None = None


Station = Queue | Sharing | Delay | Pool | Cache | Release | Fill | Gate | Choice


class Controller(_Value, tag="controller", frozen=True, kw_only=True):
    """A policy called every `period` seconds that sets the limits of what it watches.

    The limit of a pool is its tickets, of a queue its servers, of a client its rate.
    """

    policy: Policy
    watch: tuple[str, ...]
    period: Positive


# Triggers: the disturbance.


class Set(_Value, tag="set", frozen=True, kw_only=True):
    """`path` ("db.speed") becomes `value`; at `until` the old value comes back."""

    path: str
    value: float
    until: Positive | None = None


class Scale(_Value, tag="scale", frozen=True, kw_only=True):
    """`path` is multiplied by `factor`; at `until` the old value comes back."""

    path: str
    factor: NotNegative
    until: Positive | None = None


class Inject(_Value, tag="inject", frozen=True, kw_only=True):
    """`count` requests of `client` at once."""

    client: str
    count: Count


class Flush(_Value, tag="flush", frozen=True, kw_only=True):
    """The cache forgets everything."""

    cache: str


class Down(_Value, tag="down", frozen=True, kw_only=True):
    """The processor starts nothing (speed 0) until `until`."""

    processor: str
    until: Positive | None = None


Action = Set | Scale | Inject | Flush | Down


class When(_Value, tag="when", frozen=True, kw_only=True):
    """A condition on a sampled column, held for `seconds`: ("db.waiting", ">", 100)."""

    column: str
    comparison: Literal["<", "<=", ">", ">="]
    value: float
    seconds: NotNegative = 0.0


class Trigger(_Value, tag="trigger", frozen=True, kw_only=True):
    """Actions at second `at`, or once when a condition holds. `until` in an action is absolute
    with `at`, and counted from the trigger with `when`."""

    actions: tuple[Action, ...]
    at: NotNegative | None = None
    when: When | None = None
    name: str = ""


class Model(_Value, tag="model", frozen=True, kw_only=True):
    """A directed graph of clients, processors and nodes, its controllers and its disturbances.

    `parts` are sub-models; their elements are called `part.element`, and a `to` inside a part
    means the part's own element if it has one of that name, else the outer one.
    """

    name: str = "model"
    clients: Mapping[str, Client]
    stations: Mapping[str, Station]
    controllers: Mapping[str, Controller] = {}
    triggers: tuple[Trigger, ...] = ()
    parts: Mapping[str, Model] = {}
    horizon: Positive = 1000.0  # seconds that a run takes when not told otherwise
    sample: Positive | None = None  # seconds between samples; a thousandth of the horizon
    settled_after: Positive | None = None  # the second after which the disturbance is over
