"""Making a list as short as it can be while a property holds.

Owns delta debugging (A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing
input", 2002). Must never assume that the property is monotone: the result is 1-minimal, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def one_minimal(items: Sequence[T], holds: Callable[[list[T]], bool]) -> list[T]:
    """A sublist that holds, and from which no single item can be taken; `items` must hold.

    >>> one_minimal(list(range(10)), lambda some: {2, 7} <= set(some))
    [2, 7]
    """
    kept, pieces = list(items), 2
    while len(kept) > 1:
        size = -(-len(kept) // pieces)
        parts = [kept[i : i + size] for i in range(0, len(kept), size)]
        rest = _smaller(kept, parts, holds)
        if rest is not None:
            pieces = 2 if len(rest) <= size else max(pieces - 1, 2)
            kept = rest
        elif size == 1:
            break
        else:
            pieces = min(2 * pieces, len(kept))
    if len(kept) == 1 and holds([]):
        return []
    return kept


def _smaller(
    kept: list[T], parts: list[list[T]], holds: Callable[[list[T]], bool]
) -> list[T] | None:
    """One of the parts alone, or everything but one of them."""
    for part in parts:
        if len(part) < len(kept) and holds(part):
            return part
    if len(parts) > 2:
        for i in range(len(parts)):
            rest = [item for j, part in enumerate(parts) if j != i for item in part]
            if holds(rest):
                return rest
    return None
