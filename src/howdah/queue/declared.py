"""What the registered workers declare: how their kinds are treated, what they ask of the queue.

Owns which declaration counts when several are different. Must never know what a policy means.

The declaration of the process that began last counts. Not the report that came last: a process of
an older version registers again whenever its connection was lost, and must not win by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from howdah.queue.model import KindTold, Registered
from howdah.queue.policy import KindPolicy, Limit, QueuePolicy, Terms


class Kinds:
    """How every kind is treated: as registered, else as the dispatcher's own program has it."""

    def __init__(self, policy: QueuePolicy, told: Iterable[KindTold] = ()) -> None:
        self._own = policy
        self._told: dict[str, KindTold] = {}
        self.tell(told)

    def of(self, kind: str) -> KindPolicy:
        """The policy of that kind."""
        told = self._told.get(kind)
        return told.policy if told is not None else self._own.of(kind)

    def tell(self, told: Iterable[KindTold]) -> list[str]:
        """These were registered; the kinds that are treated differently now."""
        changed: list[str] = []
        for each in told:
            known = self._told.get(each.kind)
            if known is not None and known.since > each.since:
                continue
            if self.of(each.kind) != each.policy:
                changed.append(each.kind)
            self._told[each.kind] = each
        return changed


def of_kinds(worker: Registered) -> list[KindTold]:
    """What a worker says of its kinds."""
    return [KindTold(kind, policy, worker.since) for kind, policy in worker.policies.items()]


def merged(own: Terms, workers: Iterable[Registered]) -> Terms:
    """What holds for the whole queue: of every limit and share, the newest declaration.

    A limit counts as long as one registered worker declares it; the dispatcher's own always.
    """
    limits: dict[str, Limit] = {limit.name: limit for limit in own.limits}
    weights: dict[str, float] = dict(own.weights)
    for worker in sorted(workers, key=lambda worker: (worker.since, worker.worker)):
        if worker.terms is not None:
            limits |= {limit.name: limit for limit in worker.terms.limits}
            weights |= worker.terms.weights
    names = sorted(limits)
    return Terms(limits=tuple(limits[name] for name in names), weights=_sorted(weights))


def applied(policy: QueuePolicy, terms: Terms) -> QueuePolicy:
    """The policy with these limits and shares."""
    return msgspec.structs.replace(policy, limits=terms.limits, weights=terms.weights)


def _sorted(weights: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(weights.items()))
