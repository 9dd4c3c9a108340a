"""Settings of a running graph by path: `db.speed`, `web.retry.most`, `ecs.policy.step`.

Owns which settings can be read and changed while running, and what a change brings about. Must
never accept what `semantics.md` does not name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from howdah.errors import BadInput
from howdah.simulate.reference.brain import Brain
from howdah.simulate.reference.clients import Client
from howdah.simulate.reference.controllers import Controller
from howdah.simulate.reference.delay import Delay
from howdah.simulate.reference.nodes import Cache, Choice, Gate
from howdah.simulate.reference.pool import Pool
from howdah.simulate.reference.queue import Queue
from howdah.simulate.reference.retries import Advised, Ruled
from howdah.simulate.reference.sharing import Sharing
from howdah.simulate.reference.sources import Source

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph

Value = float | str | None

# Settings that are a plain attribute, and how a value becomes one.
PLAIN: dict[type[Any], dict[str, Any]] = {
    Client: dict.fromkeys(("timeout", "hedge_after", "deadline", "mutation", "muted"), float),
    Queue: {"capacity": int, "drop_expired": bool},
    Sharing: {"quantum": float},
    Delay: {"factor": float},
    Pool: {"max_waiting": int},
    Gate: {"open": float},
    Controller: {"period": float, "frozen": float},
    Ruled: {"most": int, "factor": float, "longest": float, "deposit": float},
}
# Settings that let items in, or move what is scheduled.
LIMITS: dict[type[Any], str] = {Source: "rate", Queue: "servers", Sharing: "cores", Pool: "tickets"}
BRAINS = {Queue: ("discipline", "slowdown"), Gate: ("policy",), Choice: ("policy",)}
BRAINS |= {Controller: ("policy",)}
DISCIPLINES = ("fifo", "lifo")


def read(graph: Graph, path: str) -> Value:
    """The value now; raises BadInput."""
    element, setting = _find(graph, path)
    owner, setting = _owner(element, setting, path)
    if isinstance(owner, Brain):
        return owner.read(setting)
    if setting in _special(owner) or setting in _plain(owner):
        return _attribute(owner, setting)
    raise _unknown(path)


def write(graph: Graph, path: str, value: Value) -> None:
    """Change it, with all that follows at once put on the stack; raises BadInput."""
    element, setting = _find(graph, path)
    owner, setting = _owner(element, setting, path)
    if isinstance(owner, Brain):
        owner.write(setting, value)
    elif setting in _special(owner):
        _change(owner, setting, value)
    elif setting in _plain(owner):
        setattr(owner, setting, None if value is None else _plain(owner)[setting](value))
    else:
        raise _unknown(path)


def _find(graph: Graph, path: str) -> tuple[Any, str]:
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        if name in graph.elements:
            return graph.elements[name], ".".join(parts[length:])
    raise _unknown(path)


def _owner(element: Any, setting: str, path: str) -> tuple[Any, str]:
    """The brain or the retry rule that a longer path leads to."""
    first, _, rest = setting.partition(".")
    if not rest:
        return element, setting
    rest = rest.removeprefix("arguments.")
    if isinstance(element, Client) and first == "retry" and element.retry:
        retry = element.retry
        return (retry.brain if isinstance(retry, Advised) else retry), rest
    for kind, names in BRAINS.items():
        if isinstance(element, kind) and first in names:
            held = getattr(element, "slowdown" if first == "slowdown" else "policy")
            if held:
                return held, rest
    raise _unknown(path)


def _plain(owner: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, settings in PLAIN.items():
        if isinstance(owner, kind):
            found |= settings
    return found


def _special(owner: Any) -> set[str]:
    found = {name for kind, name in LIMITS.items() if isinstance(owner, kind)}
    if isinstance(owner, Queue):
        found |= {"speed", "discipline"}
    if isinstance(owner, Sharing):
        found |= {"speed", "overhead"}
    if isinstance(owner, Ruled):
        found |= {"budget"}
    if isinstance(owner, Cache):
        found |= {"full"}
    return found


def _attribute(owner: Any, setting: str) -> Value:
    value = 0.0 if isinstance(owner, Cache) else getattr(owner, setting)
    return value if value is None or isinstance(value, str) else float(value)


def _change(owner: Any, setting: str, value: Value) -> None:
    if isinstance(owner, Queue) and setting == "discipline":
        owner.set_discipline(value if isinstance(value, str) else DISCIPLINES[int(value or 0)])
    elif isinstance(owner, Queue) and setting == "speed":
        owner.speed = float(value or 0)
        owner.let_in()
    elif isinstance(owner, Sharing):
        owner.change(setting, float(value or 0))
    elif isinstance(owner, Ruled):
        owner.set_budget(None if value is None else float(value))
    elif isinstance(owner, Cache):
        if float(value or 0) > 0:
            owner.fill()
    else:
        owner.set_limit(float(value or 0))


def _unknown(path: str) -> BadInput:
    return BadInput(f"{path} is nothing that can be set in a running model")
