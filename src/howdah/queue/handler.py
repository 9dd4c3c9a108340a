"""Handlers: the functions that do the work, and what is known of each.

Owns the registry of a queue, the typed payload made from a function's signature, and the
exceptions by which a handler says what should follow. Must never touch a database.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from howdah.config import suggestion
from howdah.errors import BadInput, Cannot, HowdahError
from howdah.queue.policy import Backoff, BudgetOptions, FailurePolicy, KindPolicy
from howdah.queue.unique import Unique

Runs = Literal["thread", "async", "process"]


class Retry(HowdahError):
    """Raised by a handler: this attempt failed, try again after `delay_seconds`."""

    def __init__(self, message: str = "", *, delay_seconds: float | None = None) -> None:
        super().__init__(message or "the handler asked for another attempt")
        self.delay_seconds = delay_seconds


class Fatal(Cannot):
    """Raised by a handler: no further attempt can succeed; the job becomes a dead letter."""


class Cancelled(HowdahError):
    """Raised inside a handler whose job was cancelled, or taken away because its lease ended."""

    # A class that is thrown into a thread is made without arguments.
    def __init__(self, message: str = "the job was called off or taken away") -> None:
        super().__init__(message)


class OutOfTime(HowdahError):
    """Raised inside a handler that has used up its `timeout_seconds`."""

    def __init__(self, message: str = "the job has used up its time") -> None:
        super().__init__(message)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the jobs of one kind are run and what follows their failure."""

    kind: str
    runs: Runs
    batch: bool = False  # the handler takes a list of jobs
    timeout_seconds: float | None = None
    keep_result: bool = False
    priority: int = 0
    tenant: str | None = None
    unique: Unique | None = None
    policy: KindPolicy = KindPolicy()


class Handler:
    """A function with its options: callable as it was, and able to be enqueued."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        self.function = function
        self.options = options
        self.kind = options.kind
        self._context_name, self._names, arguments = _payload_type(function, options)
        self.decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(arguments).decode
        """The arguments from a payload, converted to the types that the function declares."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here and now, without a queue."""
        return self.function(*args, **kwargs)

    def encode(self, arguments: Mapping[str, Any]) -> bytes:
        """The payload; `BadInput` for arguments that the function does not take."""
        if self._names is not None:
            for name in arguments:
                if name not in self._names:
                    raise BadInput(
                        f"{self.kind} takes no argument {name!r}",
                        hint=suggestion(name, self._names),
                    )
        try:
            payload = msgspec.json.encode(dict(arguments))
            self.decode(payload)
        except (msgspec.ValidationError, TypeError) as error:
            raise BadInput(
                f"{self.kind} cannot be given these arguments", detail=str(error)
            ) from error
        return payload

    def arguments_for(self, payload: bytes, context: Any) -> dict[str, Any]:
        """What the function is called with: the payload, and the context where it wants one."""
        found = self.decode(payload)
        if self._context_name is not None:
            found[self._context_name] = context
        return found


def _payload_type(
    function: Callable[..., Any], options: Options
) -> tuple[str | None, tuple[str, ...] | None, Any]:
    """The name of the context parameter, the names of the others (None: any), and their type.

    What the payload leaves out keeps the function's own default.
    """
    if options.batch:
        return None, None, dict[str, Any]
    hints = typing.get_type_hints(function)
    context_name: str | None = None
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return context_name, None, dict[str, Any]
        kind = hints.get(name, Any)
        if getattr(kind, "__name__", "") == "JobContext":
            context_name = name
        elif parameter.default is parameter.empty:
            fields[name] = kind
        else:
            fields[name] = typing.NotRequired[kind]
    return context_name, tuple(fields), typing.TypedDict("Arguments", fields)  # type: ignore[operator] # the names are known only here


class Registry:
    """The handlers of a queue by kind."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, function: Callable[..., Any], **given: Any) -> Handler:
        """Register a function; `BadInput` for a kind that is taken or options that clash."""
        options = _options(function, **given)
        if options.kind in self._handlers:
            raise BadInput(
                f"two handlers are called {options.kind!r}", hint="give one of them name='...'"
            )
        handler = self._handlers[options.kind] = Handler(function, options)
        return handler

    def get(self, kind: str) -> Handler | None:
        """The handler of that kind."""
        return self._handlers.get(kind)

    def of(self, runs: Runs) -> dict[str, Handler]:
        """The handlers that run that way."""
        return {k: h for k, h in self._handlers.items() if h.options.runs == runs}

    @property
    def policies(self) -> dict[str, KindPolicy]:
        """What the dispatcher must know of each kind."""
        return {kind: handler.options.policy for kind, handler in self._handlers.items()}


def _options(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    runs: Runs | None = None,
    batch: bool = False,
    batch_max: int = 500,
    max_attempts: int = 10,
    backoff: Backoff | None = None,
    on_failure: FailurePolicy = "block",
    retry_budget: BudgetOptions | None = None,
    timeout_seconds: float | None = None,
    keep_result: bool = False,
    priority: int = 0,
    tenant: str | None = None,
    unique: Unique | None = None,
) -> Options:
    is_async = inspect.iscoroutinefunction(function)
    if runs is None:
        runs = "async" if is_async else "thread"
    if (runs == "async") != is_async:
        raise BadInput(
            f"{function.__qualname__} is {'' if is_async else 'not '}a coroutine function "
            f"and cannot run as {runs!r}"
        )
    if batch and runs != "thread":
        raise BadInput(f"{function.__qualname__}: a handler of batches runs in a thread")
    policy = KindPolicy(
        max_attempts=max_attempts,
        backoff=backoff or Backoff(),
        on_failure=on_failure,
        budget=retry_budget,
        batch_max=batch_max,
    )
    return Options(
        kind=name or function.__name__,
        runs=runs,
        batch=batch,
        timeout_seconds=timeout_seconds,
        keep_result=keep_result,
        priority=priority,
        tenant=tenant,
        unique=unique,
        policy=policy,
    )
