"""One reason why a model cannot be run.

Owns the value. Must never decide what is wrong.
"""

from __future__ import annotations

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """`place` is a path in the model, `hint` what was probably meant."""

    place: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"

    def inside(self, outer: str) -> Refusal:
        """The same, seen from what holds it."""
        return Refusal(f"{outer}.{self.place}", self.reason, self.hint)
