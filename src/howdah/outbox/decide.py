"""What a lane sends next, and what follows from the answers: the relay's decisions, pure.

Owns the order within a key, retries, and who is set aside. Must never read a clock, a table or a
socket: `now` is told in seconds of any clock that does not run backwards, and chance is a `Random`.

A lane has one call of its sink under way at a time, so that all that decides about order is here:
a message is *ready*, *held* behind an earlier one of its key that failed, *loose* (it has no key
and waits for its next attempt), *sending*, or settled. A key is *parked* when its messages are set
aside in a table; what the log still brings of it is set aside behind them.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Sequence
from random import Random

import msgspec

from howdah.outbox.model import Backoff, Policy
from howdah.outbox.sinks.sink import DELIVERED, Message, Outcome, Verdict

_HELD = Outcome(verdict=Verdict.HELD, reason="an earlier message of its key failed", code="held")


class State(enum.IntEnum):
    """Where a message is on its way."""

    PENDING = 0
    DELIVERED = 1
    PARKING = 2  # set aside, its row not yet committed
    PARKED = 3  # its row is in a commit


_DELIVERED = State.DELIVERED


class Item(msgspec.Struct, eq=False, gc=False):
    """One message on its way; only its lane changes it. See `item_of`."""

    id: int
    message: Message | None
    shard: int
    key: str | None
    """None where no order is owed."""
    size: int
    from_table: bool = False
    state: State = State.PENDING
    outcome: Outcome | None = None
    behind: bool = False
    attempts: int = 0  # that count against it
    tries: int = 0  # all of them
    stamp: int = -1  # what the lane had delivered when it last failed
    failed_at: float | None = None  # first

    def __repr__(self) -> str:
        return f"<Item {self.id} {self.key} {self.state.name}>"


def item_of(
    message: Message, shard: int = 0, *, key: str | None = None, from_table: bool = False
) -> Item:
    """A message that is to be sent."""
    return Item(message.id, message, shard, key, len(message.payload), from_table)


def items_of(messages: Sequence[Message], shards: Sequence[int]) -> list[Item]:
    """Messages that the log brought, each with its key and its stored shard."""
    return [
        Item(message.id, message, shard, message.key, len(message.payload))
        for message, shard in zip(messages, shards, strict=True)
    ]


class Settled(msgspec.Struct, kw_only=True):
    """What one call of the sink brought about."""

    delivered: list[Item] = []
    delivered_bytes: int = 0
    """Payloads of those that the log brought."""
    duplicates: int = 0
    retried: int = 0
    parked: list[Item] = []
    gone: list[Item] = []
    """Parked messages that were replayed: their rows may go."""
    refused: list[Item] = []
    """Parked messages that failed again: their rows stay."""


class _Held:
    __slots__ = ("due", "items")

    def __init__(self, items: Iterable[Item], due: float) -> None:
        self.items = deque(items)
        self.due = due


class Lane:
    """What one sink is to send, and in which order."""

    def __init__(
        self,
        *,
        policy: Policy,
        backoff: Backoff,
        max_attempts: int,
        pipelines_keys: bool = True,
        random: Random | None = None,
    ) -> None:
        self._policy = policy
        self._backoff = backoff
        self._max_attempts = max_attempts
        self._random = random or Random(0)
        self.pipelines_keys = pipelines_keys
        self._ready: deque[Item] = deque()
        self._held: dict[str, _Held] = {}
        self._loose: list[tuple[float, Item]] = []
        self._parked: dict[str, bool] = {}  # key: whether its rows are in the table
        self._delivered = 0
        self._sending = 0
        self._replaying: set[str | None] = set()  # keys with rows in the call that is under way

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send, now or later."""
        return not (self._ready or self._held or self._loose or self._sending)

    @property
    def parked_keys(self) -> frozenset[str]:
        """The keys whose messages are set aside."""
        return frozenset(self._parked)

    @property
    def parked_count(self) -> int:
        """How many keys are set aside."""
        return len(self._parked)

    def add(self, item: Item) -> None:
        """A message that the log brought."""
        if item.key in self._parked:
            self._set_aside(item)
        else:
            self._ready.append(item)

    def add_all(self, items: Sequence[Item]) -> None:
        """Messages that the log brought, in its order."""
        if not self._parked:
            self._ready.extend(items)
            return
        for item in items:
            self.add(item)

    def next_batch(self, now: float, most: int, most_bytes: int) -> list[Item]:
        """What to send in one call, in order; empty when nothing is due."""
        batch = _Batch(most, most_bytes, one_of_a_key=not self.pipelines_keys)
        self._take_loose(batch, now)
        self._take_held(batch, now)
        self._replaying = {item.key for item in batch.items if item.from_table}
        if self._parked or self._held or batch.one_of_a_key:
            self._take_ready(batch, now)
        else:
            batch.fill(self._ready)
        self._sending = len(batch.items)
        return batch.items

    def next_due(self) -> float | None:
        """When something that waits may be sent; None when nothing waits."""
        dues = [held.due for held in self._held.values()]
        dues += [due for due, _ in self._loose]
        return min(dues, default=None)

    def _take_loose(self, batch: _Batch, now: float) -> None:
        kept = []
        for due, item in self._loose:
            if due <= now and batch.fits(item):
                batch.add(item)
            else:
                kept.append((due, item))
        self._loose = kept

    def _take_held(self, batch: _Batch, now: float) -> None:
        for key in [key for key, held in self._held.items() if held.due <= now]:
            items = self._held[key].items
            while items and batch.fits(items[0]):
                probing = items[0].tries > 0
                batch.add(items.popleft())
                if probing:
                    break  # one that failed before goes alone: what is behind it need not fail too
            if not items:
                del self._held[key]

    def _take_ready(self, batch: _Batch, now: float) -> None:
        while self._ready and batch.has_room:
            item = self._ready[0]
            key = item.key
            if key is not None and key in self._parked:
                self._set_aside(item)
            elif key is not None and key in self._held:
                self._held[key].items.append(item)
            elif batch.fits(item):
                batch.add(item)
            else:  # only one message of a key may be in a call
                assert key is not None
                self._held[key] = _Held([item], now)
            self._ready.popleft()

    def returned(self, batch: Sequence[Item], now: float) -> None:
        """The sink failed as a whole: everything is as before, and no attempt is counted."""
        self._sent()
        for item in reversed(batch):
            key = item.key
            if key is None and item.from_table:
                self._loose.append((now, item))
            elif key is not None and (item.from_table or key in self._held):
                held = self._held.setdefault(key, _Held((), now))
                held.items.appendleft(item)
            else:
                self._ready.appendleft(item)

    def settle(self, batch: Sequence[Item], outcomes: Sequence[Outcome], now: float) -> Settled:
        """Take in what became of each message of a batch."""
        if outcomes.count(DELIVERED) == len(batch) == len(outcomes):
            return self._all_delivered(batch)
        self._sent()
        settled = Settled()
        self._delivered += sum(each.verdict is Verdict.DELIVERED for each in outcomes)
        back: dict[str, _Held] = {}
        for item, outcome in zip(batch, outcomes, strict=True):
            if outcome.verdict is Verdict.DELIVERED:
                self._deliver(item, outcome, settled)
            elif outcome.verdict is Verdict.HELD:
                self._hold(item, back, now)
            elif outcome.verdict is Verdict.RETRY and not self._gives_up(item, outcome, now):
                settled.retried += 1
                self._again(item, outcome, back, now)
            else:
                self._refuse(item, outcome, settled, back, now)
        for key, held in back.items():
            self._put_back(key, held, settled)
        return settled

    def _all_delivered(self, batch: Sequence[Item]) -> Settled:
        """The usual case, without a look at each key."""
        replaying = bool(self._replaying)
        self._sent()
        self._delivered += len(batch)
        size = 0
        for item in batch:
            item.state = _DELIVERED
            item.message = None
            size += item.size
        gone = [item for item in batch if item.from_table] if replaying else []
        size -= sum(item.size for item in gone)
        return Settled(delivered=list(batch), delivered_bytes=size, gone=gone)

    def _sent(self) -> None:
        self._sending = 0
        self._replaying = set()

    def _deliver(self, item: Item, outcome: Outcome, settled: Settled) -> None:
        item.state = State.DELIVERED
        item.message = None
        settled.duplicates += outcome.duplicate
        settled.delivered.append(item)
        if item.from_table:
            settled.gone.append(item)
        else:
            settled.delivered_bytes += item.size

    def _hold(self, item: Item, back: dict[str, _Held], now: float) -> None:
        if item.key is None:
            self._loose.append((now, item))
        else:
            back.setdefault(item.key, _Held((), now)).items.append(item)

    def _gives_up(self, item: Item, outcome: Outcome, now: float) -> bool:
        """Count the attempt; it counts only if others were delivered since the one before."""
        item.tries += 1
        item.outcome = outcome
        if item.failed_at is None:
            item.failed_at = now
        if item.stamp != self._delivered:
            item.attempts += 1
        item.stamp = self._delivered
        return item.attempts >= self._max_attempts

    def _again(self, item: Item, outcome: Outcome, back: dict[str, _Held], now: float) -> None:
        due = now + max(self.delay_seconds(item.tries), outcome.retry_after_seconds or 0.0)
        if item.key is None:
            self._loose.append((due, item))
            return
        held = back.setdefault(item.key, _Held((), due))
        held.items.append(item)
        held.due = due

    def delay_seconds(self, tries: int) -> float:
        """Before the next attempt: doubling, at most the most, between half of it and all."""
        doubled = self._backoff.first_seconds * 2.0 ** min(tries - 1, 60)
        return min(doubled, self._backoff.most_seconds) * (0.5 + self._random.random() / 2)

    def _refuse(
        self, item: Item, outcome: Outcome, settled: Settled, back: dict[str, _Held], now: float
    ) -> None:
        if outcome.verdict is Verdict.POISON:
            item.tries += 1
            item.attempts += 1
            item.outcome = outcome
        if item.failed_at is None:
            item.failed_at = now
        if item.from_table:
            settled.refused.append(item)
            if item.key is not None:
                self._held.pop(item.key, None)  # the rest are rows: they are loaded again
            return
        item.state = State.PARKING
        settled.parked.append(item)
        if item.key is not None and self._policy is not Policy.SKIP:
            self._parked[item.key] = False
            back.setdefault(item.key, _Held((), now))  # what is held behind it is set aside too

    def _put_back(self, key: str, held: _Held, settled: Settled) -> None:
        """What failed or was held goes before what was held already, or is set aside."""
        waiting = self._held.pop(key, None)
        if waiting is not None:
            held.items.extend(waiting.items)
        if key not in self._parked:
            self._held[key] = held
            return
        replayed = [item for item in held.items if item.from_table]
        for item in held.items:
            if not item.from_table:
                self._set_aside(item)
                settled.parked.append(item)
        if replayed and not any(item.key == key for item in settled.refused):
            self._held[key] = _Held(replayed, held.due)

    def _set_aside(self, item: Item) -> None:
        item.state = State.PARKING
        item.behind = True

    def is_parked(self, key: str) -> bool:
        """Whether the messages of that key are set aside."""
        return key in self._parked

    def note_parked(self, key: str) -> None:
        """Rows of the key are in the table."""
        self._parked[key] = True

    def can_release(self, key: str) -> bool:
        """Whether the key's rows were in the table, so that none there now means that it is free.

        Not while one of them is being replayed.
        """
        return self._parked.get(key, False) and not self.is_replaying(key)

    def release(self, key: str, joined: Iterable[Item]) -> None:
        """No row of the key is left: what joined and is in no commit goes out again, in order."""
        self._parked.pop(key, None)
        for item in sorted(joined, key=lambda each: each.id):
            item.state = State.PENDING
            item.behind = False
            self._ready.append(item)

    def is_replaying(self, key: str) -> bool:
        """Whether rows of that parked key are on their way."""
        return key in self._held or key in self._replaying

    def replay(self, items: Sequence[Item], now: float) -> None:
        """Send rows that were set aside: of one key in order, or single ones without an order."""
        for item in items:
            if item.key is None:
                self._loose.append((now, item))
            else:
                self._held.setdefault(item.key, _Held((), now)).items.append(item)


class _Batch:
    """A call of the sink that is being put together."""

    def __init__(self, most: int, most_bytes: int, *, one_of_a_key: bool) -> None:
        self.items: list[Item] = []
        self._most = most
        self._room = most_bytes
        self.one_of_a_key = one_of_a_key
        self._keys: set[str] | None = set() if one_of_a_key else None

    @property
    def has_room(self) -> bool:
        return len(self.items) < self._most and (self._room > 0 or not self.items)

    def fits(self, item: Item) -> bool:
        if not self.has_room:
            return False
        message = item.message
        assert message is not None
        return self._keys is None or message.key is None or message.key not in self._keys

    def fill(self, ready: deque[Item]) -> None:
        """Whatever is next, where any message may follow any other."""
        items, most, room = self.items, self._most, self._room
        while ready and len(items) < most and (room > 0 or not items):
            item = ready.popleft()
            items.append(item)
            room -= item.size
        self._room = room

    def add(self, item: Item) -> None:
        self.items.append(item)
        self._room -= item.size
        if self._keys is not None and item.message is not None and item.message.key is not None:
            self._keys.add(item.message.key)


def judged(items: Sequence[Item], refusals: Sequence[Outcome | None]) -> list[Outcome | None]:
    """The outcomes known before a call: refused messages, and what is held behind them.

    None for those that are to be sent.
    """
    stopped: set[str] = set()
    outcomes: list[Outcome | None] = []
    for item, refusal in zip(items, refusals, strict=True):
        assert item.message is not None
        key = item.message.key
        if key is not None and key in stopped:
            outcomes.append(_HELD)
            continue
        if refusal is not None and key is not None:
            stopped.add(key)
        outcomes.append(refusal)
    return outcomes
