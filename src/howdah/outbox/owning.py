"""Who owns an outbox, and when a waiting relay may take over: what it saw of the owner.

Owns that decision, pure, and how an owner is named. Must never look at a clock of the database's
clients twice: `now` is told.

An owner that is idle writes nothing, so that its silence means nothing. Only silence while there is
work does: an owner with work writes at least every third of its lease.
"""

from __future__ import annotations

import msgspec

from howdah.errors import Superseded


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One relay, as it names itself in the ledger with everything that it writes."""

    name: str
    """Host and process id."""
    since: str
    """When it took over, by its own clock: RFC 3339, UTC."""

    @property
    def note(self) -> str:
        """As it is written: JSON."""
        return msgspec.json.encode(self).decode()


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose epoch is the newest one; `instance` is None where it did not say."""

    epoch: int
    instance: Instance | None

    def __str__(self) -> str:
        if self.instance is None:
            return f"epoch {self.epoch}"
        return f"{self.instance.name} at {self.instance.since} (epoch {self.epoch})"


def owner_of(epoch: int, note: str | None) -> Owner:
    """The owner that a row of the ledger names."""
    try:
        instance = None if note is None else msgspec.json.decode(note, type=Instance)
    except msgspec.MsgspecError:  # another version's note
        instance = None
    return Owner(epoch=epoch, instance=instance)


def replaced(outbox: str, epoch: int, owner: Owner | None = None) -> Superseded:
    """What a relay of `epoch` is told once it owns the outbox no more."""
    return Superseded(
        f"the relay of outbox {outbox} is superseded by {owner or 'another one'}",
        detail=f"This one was epoch {epoch}.",
        hint="stop this one, or run it with --standby",
    )


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at an outbox that another relay owns."""

    mark: int
    """Grows with everything that the owner writes."""
    working: bool
    """Whether something waits for the owner."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Since when the owner has had work and written nothing."""

    mark: int = -1
    since: float | None = None


def watched(watch: Watch, sight: Sight, now: float) -> Watch:
    """The watch after one more look."""
    if not sight.working:
        return Watch(mark=sight.mark)
    if watch.since is None or watch.mark != sight.mark:
        return Watch(mark=sight.mark, since=now)
    return watch


def is_stale(watch: Watch, now: float, lease_seconds: float) -> bool:
    """Whether the owner was silent for a whole lease while it had work."""
    return watch.since is not None and now - watch.since >= lease_seconds


def idle_wait(idle_for: float, *, busy_seconds: float, most_seconds: float) -> float:
    """How long to wait before the next look after so long without anything new.

    Short for a tenth of a second, then a tenth of the silence, at most `most_seconds`.

    >>> [idle_wait(t, busy_seconds=0.002, most_seconds=0.25) for t in (0.05, 1.0, 60.0)]
    [0.002, 0.1, 0.25]
    """
    if idle_for < 0.1:
        return min(busy_seconds, most_seconds)
    return min(max(busy_seconds, idle_for / 10), most_seconds)
