"""Every element of a model, written into its record.

Owns which field of the model goes where. Must never read the state of a running model: settings
that change while it runs are in `settings.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from howdah.errors import Unsupported
from howdah.simulate import model as models
from howdah.simulate import numbers
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.policies import Brain, brain
from howdah.simulate.kernel.program import Block, Sources

_UNBOUNDED = at.NEVER
_ENDS = {"reply": at.REPLY, "reject": at.REJECT}


def optional_time(seconds: float | None) -> int:
    """Nanoseconds; NEVER without a time."""
    return at.NEVER if seconds is None else numbers.nanoseconds(seconds)


class Writer:
    """Writes the elements of a model into the fixed part of its arena."""

    def __init__(
        self, block: Block, model: models.Model, offsets: dict[str, int], sources: Sources
    ) -> None:
        self.block, self.model, self.offsets, self.sources = block, model, offsets, sources
        self.brains: dict[str, Brain] = {}
        self.ranked: list[int] = []
        self.item_size = at.I_SIZE
        self.users = sum(
            one.users for one in model.clients.values() if isinstance(one, models.Closed)
        )
        self._counts = {at.GATES: 0, at.POOLS: 0, at.CHOICES: 0}
        zipfs = [one.keys for one in model.clients.values() if one.keys]
        self._keys = max([one.keys for one in zipfs], default=1)

    def write(self) -> None:
        """All of them."""
        elements = {**self.model.clients, **self.model.stations, **self.model.controllers}
        for number, (name, element) in enumerate(elements.items()):
            offset = self.offsets[name]
            self.block.put(offset + at.E_NUMBER, number)
            to = getattr(element, "to", None)
            if isinstance(to, str):
                self.block.put(offset + at.E_TO, self._place(to))
            _WRITERS[type(element)](self, name, element, offset)
        self.item_size = -(-self.item_size // 8) * 8

    def _place(self, name: str) -> int:
        return _ENDS.get(name) or self.offsets[name]

    def _listed(self, word: int, offset: int, most: int, what: str) -> int:
        """The next place in the list of gates, pools or choices."""
        index = self._counts[word]
        if index >= most:
            raise Unsupported(f"the kernel knows at most {most} {what} in a model")
        self._counts[word] = index + 1
        place = int(self.block.bytes[word : word + 8].view(np.int64)[0])
        self.block.put(place + 8 * index, offset)
        return index

    def _purpose(self, offset: int, name: str) -> None:
        self.block.name(offset, name)

    def _brain(self, path: str, policy: models.Policy, state: int, parameters: int) -> Brain:
        """A policy's numbers; `state` and `parameters` are the words that say where they are."""
        found = brain(policy)
        place = self.block.numbers(list(found.state), at.LIMITS)
        self.block.put(state, place)
        found.place = self.block.numbers(list(found.parameters), 1)
        self.block.put(parameters, found.place)
        self.brains[path] = found
        return found

    def _hook(self, found: Brain, word: int, hook: str) -> None:
        self.block.put(word, found.address(hook))

    # Clients.

    def _client(self, name: str, client: models.Client, offset: int, kind: int) -> None:
        put, putf = self.block.put, self.block.putf
        put(offset + at.E_TYPE, kind)
        self.block.name(offset + at.C_NUMBER_NAME, name)
        put(offset + at.C_TIMEOUT, optional_time(client.timeout))
        put(offset + at.C_HEDGE, optional_time(client.hedge_after))
        put(offset + at.C_DEADLINE, optional_time(client.deadline))
        put(offset + at.C_TIMEOUT_LANE, -1 if client.timeout is None else self.sources.lane())
        put(offset + at.C_HEDGE_LANE, -1 if client.hedge_after is None else self.sources.lane())
        put(offset + at.C_CANCELS, int(client.cancels))
        put(offset + at.C_BAND, client.band)
        put(offset + at.C_GROUP, client.group)
        putf(offset + at.C_MUTATION, client.mutation)
        for word, purpose in (
            (at.C_MUTATION_NAME, "mutation"),
            (at.C_DEMAND_NAME, "demand"),
            (at.C_KEY_NAME, "key"),
            (at.C_BACKOFF_NAME, "backoff"),
            (at.C_INTERVAL, "interval"),
            (at.C_OBSERVE, "observe"),
            (at.C_THINK_NAME, "think"),
            (at.C_FIRST, "first"),
            (at.C_HOLDS_NAME, "holds"),
            (at.C_ROLLBACK_NAME, "rollback"),
            (at.C_DISTINCT_NAME, "distinct"),
        ):
            self.block.name(offset + word, f"{name}/{purpose}")
        self.block.law(offset + at.C_DEMAND, numbers.law(client.demand))
        if client.keys:
            table = np.array(numbers.key_table(client.keys))
            put(offset + at.C_KEYS, self.block.table(table))
            put(offset + at.C_KEY_COUNT, len(table))
        put(offset + at.C_SLOT, self.sources.slot())
        putf(offset + at.C_REST, -1.0)
        self._retry(name, client.retry, offset)

    def _retry(self, name: str, retry: models.Retry | models.Policy | None, offset: int) -> None:
        put, putf = self.block.put, self.block.putf
        if isinstance(retry, models.Policy):
            put(offset + at.C_RETRY_ON, 2)
            found = self._brain(
                f"{name}.retry", retry, offset + at.C_STATE, offset + at.C_PARAMETERS
            )
            self._hook(found, offset + at.C_RETRY_HOOK, "retry")
            self._hook(found, offset + at.C_OBSERVE_HOOK, "observe")
            putf(offset + at.C_BUDGET, -1.0)
        elif retry is None:
            putf(offset + at.C_BUDGET, -1.0)
        else:
            put(offset + at.C_RETRY_ON, 1)
            put(offset + at.C_MOST, retry.most)
            putf(offset + at.C_FACTOR, retry.factor)
            putf(offset + at.C_LONGEST, retry.longest)
            putf(offset + at.C_BUDGET, -1.0 if retry.budget is None else retry.budget)
            putf(offset + at.C_TOKENS, retry.budget or 0.0)
            putf(offset + at.C_DEPOSIT, retry.deposit)
            self.block.law(offset + at.C_BACKOFF, numbers.law(retry.backoff))

    def _open(self, name: str, client: models.Open, offset: int) -> None:
        self._client(name, client, offset, at.T_OPEN)
        self.block.putf(offset + at.C_RATE, client.rate)
        self.block.put(offset + at.C_EVEN, int(client.interval == "even"))
        if client.profile:
            steps = np.zeros((len(client.profile), 2))
            for index, (second, rate) in enumerate(client.profile):
                steps[index].view(np.int64)[0] = numbers.nanoseconds(second)
                steps[index, 1] = rate
            self.block.put(offset + at.C_PROFILE, self.block.table(steps))
            self.block.put(offset + at.C_PROFILE_COUNT, len(client.profile))
            self.block.put(offset + at.C_PROFILE_SLOT, self.sources.slot())

    def _closed(self, name: str, client: models.Closed, offset: int) -> None:
        self._client(name, client, offset, at.T_CLOSED)
        self.block.law(offset + at.C_THINK, numbers.law(client.think))
        self.block.put(offset + at.C_USERS, client.users)

    def _agentic(self, name: str, client: models.Agentic, offset: int) -> None:
        self._client(name, client, offset, at.T_AGENTIC)
        put, putf = self.block.put, self.block.putf
        putf(offset + at.C_RATE, client.rate)
        put(offset + at.C_PARALLEL, client.parallel)
        put(offset + at.C_STEPS, client.steps)
        self.block.law(offset + at.C_THINK, numbers.law(client.think))
        put(offset + at.C_FIRST_WINS, int(client.first_wins))
        putf(offset + at.C_HOLDS, client.holds)
        putf(offset + at.C_ROLLBACK, client.rollback)
        putf(offset + at.C_DISTINCT, client.distinct)

    # Processors.

    def _queue(self, name: str, queue: models.Queue, offset: int) -> None:
        put = self.block.put
        put(offset + at.E_TYPE, at.T_QUEUE)
        put(offset + at.Q_SERVERS, queue.servers)
        put(offset + at.Q_CAPACITY, _UNBOUNDED if queue.capacity is None else queue.capacity)
        self.block.putf(offset + at.Q_SPEED, queue.speed)
        put(offset + at.Q_EXPIRED, int(queue.drop_expired))
        self.block.name(offset + at.Q_SERVICE_NAME, f"{name}/service")
        self.block.law(offset + at.Q_SERVICE, numbers.law(queue.service))
        put(offset + at.Q_SLOT, self.sources.slot())
        self.block.name(offset + at.Q_DEQUEUE, f"{name}/dequeue")
        for band in range(at.BANDS):
            put(offset + at.Q_LINES + 8 * band, -1)  # both ends are NONE
        if isinstance(queue.discipline, models.Policy):
            put(offset + at.Q_DISCIPLINE, 2)
            found = self._brain(
                *(f"{name}.discipline", queue.discipline),
                *(offset + at.Q_STATE, offset + at.Q_PARAMETERS),
            )
            self._hook(found, offset + at.Q_DEQUEUE_HOOK, "dequeue")
        else:
            put(offset + at.Q_DISCIPLINE, int(queue.discipline == "lifo"))
        if queue.slowdown:
            found = self._brain(
                *(f"{name}.slowdown", queue.slowdown),
                *(offset + at.Q_SLOWDOWN_STATE, offset + at.Q_SLOWDOWN_PARAMETERS),
            )
            self._hook(found, offset + at.Q_SLOWDOWN_HOOK, "slowdown")

    def _sharing(self, _name: str, sharing: models.Sharing, offset: int) -> None:
        put, putf = self.block.put, self.block.putf
        put(offset + at.E_TYPE, at.T_SHARING)
        putf(offset + at.P_CORES, sharing.cores)
        putf(offset + at.P_OVERHEAD, sharing.overhead)
        putf(offset + at.P_SPEED, sharing.speed)
        put(offset + at.P_SLOT, self.sources.slot())
        timed = sharing.quantum is not None
        put(offset + at.P_QUANTUM, numbers.nanoseconds(sharing.quantum) if sharing.quantum else -1)
        put(offset + at.P_QUANTUM_LANE, self.sources.lane() if timed else -1)
        put(offset + at.P_YIELD_TO, self._place(sharing.yield_to or sharing.to))
        self.ranked.append(offset + at.P_HEAP)

    def _delay(self, name: str, delay: models.Delay, offset: int) -> None:
        self.block.put(offset + at.E_TYPE, at.T_DELAY)
        law = numbers.law(delay.time)
        self.block.law(offset + at.D_TIME, law)
        self.block.name(offset + at.D_TIME_NAME, f"{name}/time")
        self.block.putf(offset + at.D_FACTOR, delay.factor)
        constant = law.kind == numbers.CONSTANT
        self.block.put(offset + at.D_LANE, self.sources.lane() if constant else -1)

    def _pool(self, _name: str, pool: models.Pool, offset: int) -> None:
        put = self.block.put
        put(offset + at.E_TYPE, at.T_POOL)
        put(offset + at.L_TICKETS, pool.tickets)
        put(
            offset + at.L_MOST_WAITING, _UNBOUNDED if pool.max_waiting is None else pool.max_waiting
        )
        put(offset + at.L_ORDER, ("fifo", "barging", "fewest").index(pool.order))
        put(offset + at.L_BIT, self._listed(at.POOLS, offset, 32, "pools"))
        put(offset + at.L_KEYED, int(pool.keyed))
        keys = self._keys if pool.keyed else 1
        place = self.block.reserve(at.KEY_SIZE * keys)
        for key in range(keys):
            put(place + key * at.KEY_SIZE + at.KEY_HEAD, -1)
        put(offset + at.L_KEYS, place)
        put(offset + at.L_KEY_COUNT, keys)
        if pool.order == "fewest":
            put(offset + at.L_COUNTS, self.item_size)
            self.item_size += 4
            if not pool.keyed:
                self.ranked.append(offset + at.L_HEAP)

    # Nodes.

    def _release(self, _name: str, node: models.Release, offset: int) -> None:
        self.block.put(offset + at.E_TYPE, at.T_RELEASE)
        self.block.put(offset + at.N_POOL, self.offsets[node.pool])

    def _fill(self, _name: str, node: models.Fill, offset: int) -> None:
        self.block.put(offset + at.E_TYPE, at.T_FILL)
        self.block.put(offset + at.N_POOL, self.offsets[node.cache])

    def _cache(self, _name: str, cache: models.Cache, offset: int) -> None:
        put = self.block.put
        keys = max(self._keys, cache.entries)
        place = self.block.reserve(at.CACHED_SIZE * keys)
        self.block.bytes[place : place + at.CACHED_SIZE * keys].view(np.int32)[:] = at.ABSENT
        put(offset + at.E_TYPE, at.T_CACHE)
        put(offset + at.E_TO, self._place(cache.hit))
        put(offset + at.K_MISS_TO, self._place(cache.miss))
        put(offset + at.K_ENTRIES, cache.entries)
        put(offset + at.K_KEYS, place)
        put(offset + at.K_KEY_COUNT, keys)
        put(offset + at.K_FIRST, at.NONE)
        put(offset + at.K_LAST, at.NONE)

    def _gate(self, name: str, gate: models.Gate, offset: int) -> None:
        put = self.block.put
        put(offset + at.E_TYPE, at.T_GATE)
        put(offset + at.G_BIT, self._listed(at.GATES, offset, 32, "gates"))
        put(offset + at.G_WATCH, self.offsets[gate.watch] if gate.watch else at.NONE)
        self.block.name(offset + at.G_ADMIT_NAME, f"{name}/admit")
        self.block.name(offset + at.G_OBSERVE, f"{name}/observe")
        found = self._brain(
            *(f"{name}.policy", gate.policy),
            *(offset + at.G_STATE, offset + at.G_PARAMETERS),
        )
        self._hook(found, offset + at.G_ADMIT_HOOK, "admit")
        self._hook(found, offset + at.G_OBSERVE_HOOK, "observe")

    def _choice(self, name: str, choice: models.Choice, offset: int) -> None:
        put = self.block.put
        put(offset + at.E_TYPE, at.T_CHOICE)
        put(offset + at.X_COUNT, len(choice.to))
        targets = self.block.reserve(at.TARGET_SIZE * len(choice.to))
        put(offset + at.X_TARGETS, targets)
        total = 0.0
        for way, to in enumerate(choice.to):
            total += choice.weights[way] if choice.weights else 1.0
            put(targets + way * at.TARGET_SIZE, self._place(to))
            self.block.putf(targets + way * at.TARGET_SIZE + at.TARGET_SUM, total)
        self.block.name(offset + at.X_NAME, f"{name}/route")
        put(offset + at.X_MODE, 1 if choice.by_group else 2 if choice.policy else 0)
        if choice.policy:
            put(offset + at.X_BYTE, self._listed(at.CHOICES, offset, at.WAYS, "choices by policy"))
            found = self._brain(
                *(f"{name}.policy", choice.policy),
                *(offset + at.X_STATE, offset + at.X_PARAMETERS),
            )
            self._hook(found, offset + at.X_HOOK, "route")

    def _controller(self, name: str, controller: models.Controller, offset: int) -> None:
        put = self.block.put
        put(offset + at.E_TYPE, at.T_CONTROLLER)
        put(offset + at.O_PERIOD, numbers.nanoseconds(controller.period))
        put(offset + at.O_SLOT, self.sources.slot())
        self.block.name(offset + at.O_TICK, f"{name}/tick")
        put(offset + at.O_WATCHED, len(controller.watch))
        for index, watched in enumerate(controller.watch):
            put(offset + at.O_WATCH + 8 * index, self.offsets[watched])
        found = self._brain(
            *(f"{name}.policy", controller.policy),
            *(offset + at.O_STATE, offset + at.O_PARAMETERS),
        )
        self._hook(found, offset + at.O_HOOK, "tick")


_WRITERS: dict[type[Any], Callable[..., None]] = {
    models.Open: Writer._open,
    models.Closed: Writer._closed,
    models.Agentic: Writer._agentic,
    models.Queue: Writer._queue,
    models.Sharing: Writer._sharing,
    models.Delay: Writer._delay,
    models.Pool: Writer._pool,
    models.Release: Writer._release,
    models.Fill: Writer._fill,
    models.Cache: Writer._cache,
    models.Gate: Writer._gate,
    models.Choice: Writer._choice,
    models.Controller: Writer._controller,
}
