"""Whether every policy of a model exists, takes its arguments, and answers where it stands.

Owns which hook each place needs. Must never call a hook.
"""

from __future__ import annotations

from collections.abc import Iterator

from howdah.errors import BadInput
from howdah.simulate.model import Choice, Gate, Model, Policy, Queue
from howdah.simulate.policies.policy import find
from howdah.simulate.refusal import Refusal


def policies(model: Model) -> Iterator[Refusal]:
    """Refusals of the policies of a flat model."""
    for place, hook, policy in _placed(model):
        try:
            kind = find(policy.name)
            kind.initial(kind.parameters(policy.arguments))
        except BadInput as error:
            yield Refusal(place, error.message, error.hint)
            continue
        if hook not in kind.hooks:
            has = ", ".join(kind.hooks)
            yield Refusal(place, f"{policy.name} does not answer {hook} (it answers {has})")


def _placed(model: Model) -> Iterator[tuple[str, str, Policy]]:
    for name, client in model.clients.items():
        if isinstance(client.retry, Policy):
            yield f"{name}.retry", "retry", client.retry
    for name, station in model.stations.items():
        match station:
            case Queue(discipline=discipline, slowdown=slowdown):
                if isinstance(discipline, Policy):
                    yield f"{name}.discipline", "dequeue", discipline
                if slowdown is not None:
                    yield f"{name}.slowdown", "slowdown", slowdown
            case Gate(policy=policy):
                yield f"{name}.policy", "admit", policy
            case Choice(policy=Policy() as policy):
                yield f"{name}.policy", "route", policy
    for name, controller in model.controllers.items():
        yield f"{name}.policy", "tick", controller.policy
