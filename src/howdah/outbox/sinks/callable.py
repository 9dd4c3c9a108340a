"""A Python function, synchronous or not, for one message or for a list of them.

Owns the meaning of what it raises. Must never take an unknown error for a message's fault: a bug
or an outage would park everything.

    async def ship(message: Message) -> None: ...
    sink = CallableSink(ship)

What it keeps:
- Order: per key; the function gets the next message of a key after it returned for the earlier one.
  A function for lists gets whole calls, one at a time.
- Duplicates, fencing, size: what the function makes of them. The uid is in the message.

What the function does, and what it means:
- returns: delivered. A function for lists may return one `Outcome`, or None, per message.
- raises `Refused`: this message is poison. Raises `NotNow`: try again, after a while if it says so.
- raises a `Cannot` of `howdah.errors`: the relay stops and says why.
- raises anything else: try again; in the order of its key, so nothing is lost by a bug.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from howdah.config import suggestion
from howdah.errors import BadInput, Cannot
from howdah.outbox.sinks.lanes import Lanes, hold
from howdah.outbox.sinks.settings import Settings, build
from howdah.outbox.sinks.sink import (
    DELIVERED,
    Dedup,
    Fence,
    Message,
    Ordering,
    Outcome,
    Promise,
    Sink,
    Verdict,
)

One = Callable[[Message], object]
Many = Callable[[Sequence[Message]], object]


class Refused(Exception):
    """Raised by the function: this message will never be accepted."""


class NotNow(Exception):
    """Raised by the function: try again, after `seconds` where they are given."""

    def __init__(self, reason: str, *, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class CallableSettings(Settings, frozen=True, kw_only=True):
    """How to call."""

    batch: bool = False
    """Whether the function takes a list of messages."""
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16
    """Calls at a time of a function for one message; synchronous ones run in as many threads."""
    publish_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] | None = None
    """Then an asynchronous function is cancelled; a synchronous one cannot be, and has no limit."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None


class CallableSink(Sink):
    """Calls a function."""

    name = "callable"

    def __init__(self, function: One | Many, settings: CallableSettings | None = None) -> None:
        self.settings = settings or CallableSettings()
        self._function = function
        self._asynchronous = any(
            inspect.iscoroutinefunction(each) for each in (function, type(function).__call__)
        )
        self._lanes = Lanes(self.settings.in_flight)

    @property
    def promise(self) -> Promise:
        """Per key; everything else is the function's."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.NONE,
            max_bytes=self.settings.max_bytes,
            fences=False,
            pipelines_keys=True,
        )

    async def open(self, fence: Fence) -> None:
        """Nothing to open."""
        del fence
        self._lanes.forget()

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """One call with the list, or one per message, keys side by side."""
        if not self.settings.batch:
            return await self._lanes.publish(messages, self._send)
        return hold(messages, await self._send_all(messages)) if messages else []

    async def _send(self, message: Message) -> Outcome:
        refusal = self._refusal(message)
        if refusal is not None:
            return refusal
        try:
            answer = await self._call(message)
        except Cannot:
            raise
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            return _judge(error)
        return answer if isinstance(answer, Outcome) else DELIVERED

    async def _send_all(self, messages: Sequence[Message]) -> list[Outcome]:
        limited = self.settings.max_bytes is not None
        if limited and any(self._refusal(message) for message in messages):
            return await self._each_alone(messages)
        try:
            answer = await self._call(messages)
        except Cannot:
            raise
        except Refused as error:
            if len(messages) == 1:
                return [_judge(error)]
            return await self._each_alone(messages)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            return [_judge(error)] * len(messages)
        return _outcomes(answer, len(messages))

    async def _each_alone(self, messages: Sequence[Message]) -> list[Outcome]:
        """Lists of one: finds the refused message, and keeps the order of keys."""

        async def alone(message: Message) -> Outcome:
            return self._refusal(message) or (await self._send_all([message]))[0]

        return await Lanes(1).publish(messages, alone)

    def _refusal(self, message: Message) -> Outcome | None:
        limit, needed = self.settings.max_bytes, len(message.payload)
        if limit is None or needed <= limit:
            return None
        reason = f"{needed} bytes, and {limit} are allowed"
        return Outcome(verdict=Verdict.POISON, reason=reason, code="too-large")

    async def _call(self, argument: Message | Sequence[Message]) -> object:
        function: Callable[[Any], Any] = self._function
        if not self._asynchronous:
            answer = await asyncio.to_thread(function, argument)
            return await answer if isinstance(answer, Awaitable) else answer
        async with asyncio.timeout(self.settings.publish_timeout_seconds):
            return await function(argument)

    async def close(self) -> None:
        """Nothing to close."""


def from_url(url: str, options: Mapping[str, Any]) -> CallableSink:
    """`python:package.module:function`."""
    return CallableSink(_imported(url), build(CallableSettings, options))


def _imported(url: str) -> Callable[[Any], object]:
    module, colon, name = url.removeprefix("python:").partition(":")
    if not colon or not module or not name:
        raise BadInput(f"{url!r} names no function", hint="python:package.module:function")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"could not import {module!r}",
            detail=str(error),
            hint="install it, or add its folder to PYTHONPATH",
        ) from error
    function = getattr(found, name, None)
    if function is None:
        raise BadInput(f"{module} has no {name!r}", hint=suggestion(name, vars(found)))
    if not callable(function):
        raise BadInput(f"{module}:{name} cannot be called")
    return function  # type: ignore[no-any-return]  # callable() tells mypy no more than that


def _judge(error: Exception) -> Outcome:
    code, reason = type(error).__name__, str(error) or type(error).__name__
    if isinstance(error, Refused):
        return Outcome(verdict=Verdict.POISON, reason=reason, code=code)
    seconds = error.seconds if isinstance(error, NotNow) else None
    return Outcome(verdict=Verdict.RETRY, reason=reason, code=code, retry_after_seconds=seconds)


def _outcomes(answer: object, count: int) -> list[Outcome]:
    if answer is None:
        return [DELIVERED] * count
    if not isinstance(answer, Sequence) or len(answer) != count:
        raise BadInput(
            "the function did not answer for each message",
            hint="return None, or a list with one Outcome or None per message",
        )
    return [each if isinstance(each, Outcome) else DELIVERED for each in answer]
