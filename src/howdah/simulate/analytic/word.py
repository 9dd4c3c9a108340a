"""The value that every computed answer is: a figure, its formula, and where a run measures it.

Owns the struct and its constructors. Must never compute.
"""

from __future__ import annotations

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that is known without a run.

    A run measures it as the growth of the columns `top` over the growth of `bottom` (of time when
    empty), divided by `scale`; with `gauge` the mean of `top` over time.
    """

    where: str  # element, or "" for the model
    what: str
    value: float
    unit: str = ""
    formula: str
    exact: bool = True
    because: str = ""  # the assumption that the model breaks, when it is not exact
    top: tuple[str, ...] = ()
    bottom: tuple[str, ...] = ()
    gauge: bool = False
    scale: float = 1.0
