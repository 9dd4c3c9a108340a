"""The next step, while it is being decided.

Owns the lists that a step is made of, until they are taken. Must never decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from howdah.queue.model import Claim, Dead, Hold, Job, Later, Pause, Purge, Revoke


class Draft:
    """What has been decided since the last step."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.later: list[Later] = []
        self.dead: list[Dead] = []
        self.revokes: list[Revoke] = []
        self.parks: list[Job] = []
        self.moved: list[int] = []
        self.removed: list[Job] = []
        self.cancelled: list[int] = []
        self.purges: list[Purge] = []
        self.replays: list[int] = []
        self.discards: list[int] = []
        self.gone: list[str] = []
        self.freed: list[str] = []
        self.paused: Sequence[Pause] | None = None
        self._holds: dict[str, Hold | None] = {}

    def hold(self, hold: Hold) -> None:
        """That key is held from now on; the last word in a step counts."""
        self._holds[hold.key] = hold

    def lift(self, key: str) -> None:
        """That key is held no more."""
        self._holds[key] = None

    def fields(self) -> dict[str, Any]:
        """What is not empty, by the names of `Step`."""
        parts = {name: value for name, value in vars(self).items() if name[0] != "_" and value}
        if self.paused is not None:
            parts["paused"] = self.paused
        holds = [hold for hold in self._holds.values() if hold]
        lifted = [key for key, hold in self._holds.items() if not hold]
        return parts | ({"holds": holds} if holds else {}) | ({"lifted": lifted} if lifted else {})
