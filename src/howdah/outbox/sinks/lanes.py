"""Messages of one call sorted into lanes: one key, one lane, one message in flight in each.

Owns the order within a key for sinks whose broker settles messages one by one, and what becomes of
a call whose connection breaks half way. Must never start a message of a key before the earlier one
was delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from howdah.errors import HowdahError
from howdah.outbox.sinks.sink import DELIVERED, Message, Outcome, Verdict

Send = Callable[[Message], Awaitable[Outcome]]

HELD = Outcome(verdict=Verdict.HELD, reason="an earlier message of its key was not delivered")
NOT_SENT = Outcome(verdict=Verdict.RETRY, reason="the call ended before it was sent", code="unsent")


def split(messages: Sequence[Message]) -> list[list[int]]:
    """The positions of each key's messages, in order; a message without key has its own lane."""
    keyed: dict[str, list[int]] = {}
    every: list[list[int]] = []
    for position, message in enumerate(messages):
        if message.key is None:
            every.append([position])
        elif message.key in keyed:
            keyed[message.key].append(position)
        else:
            keyed[message.key] = [position]
            every.append(keyed[message.key])
    return every


def hold(messages: Sequence[Message], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes in which nothing of a key counts as delivered after its first failure.

    A message that did arrive behind one whose answer was lost is sent again with it; use this only
    where the broker removes duplicates, or where nothing can have arrived behind a failure.
    """
    if outcomes.count(DELIVERED) == len(messages) == len(outcomes):
        return list(outcomes)
    stopped: set[str] = set()
    held: list[Outcome] = []
    for message, outcome in zip(messages, outcomes, strict=True):
        if message.key is None:
            held.append(outcome)
        elif message.key in stopped:
            held.append(HELD)
        else:
            held.append(outcome)
            if outcome.verdict is not Verdict.DELIVERED:
                stopped.add(message.key)
    return held


def hold_unsent(messages: Sequence[Message], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes in which nothing that is still unsent stands behind a failure of its key."""
    if outcomes.count(DELIVERED) + outcomes.count(NOT_SENT) == len(messages) == len(outcomes):
        return list(outcomes)
    stopped: set[str] = set()
    held = list(outcomes)
    for at, message in enumerate(messages):
        if message.key is None:
            continue
        if outcomes[at] is NOT_SENT:
            held[at] = HELD if message.key in stopped else NOT_SENT
        elif outcomes[at].verdict is not Verdict.DELIVERED:
            stopped.add(message.key)
    return held


class Ending:
    """How a call ends when the whole sink failed while some messages were already delivered.

    Raising would forget them, and a sink without dedup would send them twice. So the outcomes are
    returned and the error is raised by the next call; nothing delivered: it is raised at once.
    """

    def __init__(self) -> None:
        self._error: HowdahError | None = None

    def forget(self) -> None:
        """A new connection: what ended the last one is past."""
        self._error = None

    def start(self) -> None:
        """At the beginning of a call: raise what the last one could not."""
        if self._error is not None:
            raise self._error

    def settle(self, outcomes: list[Outcome], error: HowdahError | None) -> list[Outcome]:
        """The outcomes of a call; raises `error` at once when nothing was delivered."""
        if error is None:
            return outcomes
        if not any(outcome.verdict is Verdict.DELIVERED for outcome in outcomes):
            raise error
        self._error = error
        return outcomes


class Lanes:
    """Publishes lanes side by side, up to `in_flight` messages at a time."""

    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        self._ending = Ending()

    def forget(self) -> None:
        """A new connection was opened."""
        self._ending.forget()

    async def publish(self, messages: Sequence[Message], send: Send) -> list[Outcome]:
        """One outcome per message. `send` raises only for what concerns the whole sink."""
        self._ending.start()
        outcomes = [NOT_SENT] * len(messages)
        lanes = split(messages)
        queue = iter(lanes)
        errors: list[HowdahError] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._in_flight, len(lanes))):
                group.create_task(_work(queue, messages, send, outcomes, errors))
        return self._ending.settle(hold(messages, outcomes), errors[0] if errors else None)


async def _work(
    lanes: Iterator[list[int]],
    messages: Sequence[Message],
    send: Send,
    outcomes: list[Outcome],
    errors: list[HowdahError],
) -> None:
    for lane in lanes:
        if errors:
            return
        try:
            await _one_lane(lane, messages, send, outcomes)
        except HowdahError as error:
            errors.append(error)


async def _one_lane(
    lane: list[int], messages: Sequence[Message], send: Send, outcomes: list[Outcome]
) -> None:
    for position in lane:
        outcomes[position] = await send(messages[position])
        if outcomes[position].verdict is not Verdict.DELIVERED:
            return
