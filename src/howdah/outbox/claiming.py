"""One relay's hold on its outbox, from session to session.

Owns taking over, waiting in second place, and the words for having lost it. Must never believe a
broker about who owns an outbox: the ledger decides.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket

from howdah.clock import Clock
from howdah.errors import CouldNot, Superseded
from howdah.outbox import store
from howdah.outbox.connecting import Line
from howdah.outbox.keeping import Source
from howdah.outbox.model import RelayOptions
from howdah.outbox.owning import Instance, Watch, is_stale, replaced, watched
from howdah.outbox.publishing import first_of
from howdah.outbox.telling import tell


class Claim:
    """Whether we own it, and under which epoch; None before we did, and once we do not."""

    def __init__(
        self, outbox: str, options: RelayOptions, stop: asyncio.Event, clock: Clock
    ) -> None:
        self.epoch: int | None = None
        self._outbox = outbox
        self._options = options
        self._stop = stop
        self._clock = clock
        self._me = Instance(name=f"{socket.gethostname()}/{os.getpid()}", since="")

    async def held(self, line: Line, source: Source, *, doubted: bool) -> bool:
        """Be the owner; False when the relay is told to stop before it is.

        `doubted` says that a broker has seen a newer relay. `Superseded` when the ledger has too.
        """
        if self.epoch is not None:
            await line.ask(source.resume(self.epoch, self._me))
            if not doubted:
                return True
            # A zombie came to the broker after us: a fresh epoch shuts it out.
            tell(logging.WARNING, "fenced-by-zombie", outbox=self._outbox, epoch=self.epoch)
        elif self._options.standby and not await self._turn(line, source):
            return False
        since = self._clock.now().isoformat(timespec="seconds")
        self._me = Instance(name=self._me.name, since=since)
        self.epoch = await line.ask(source.open(self._me))
        tell(logging.INFO, "took-over", outbox=self._outbox, epoch=self.epoch)
        return True

    async def explained(self, line: Line, source: Source, error: Superseded) -> Superseded:
        """Who owns it now, by the ledger; the error as it was where nobody can be asked."""
        epoch = self.epoch
        if epoch is None:
            return error
        try:
            owner = await line.ask(source.owner(), seconds=self._options.standby_seconds)
        except CouldNot:
            return error
        return replaced(self._outbox, epoch, owner)

    async def _turn(self, line: Line, source: Source) -> bool:
        """Wait in second place; False when told to stop."""
        watch = Watch()
        options = self._options
        tell(logging.INFO, "waiting", outbox=self._outbox, behind=await line.ask(source.owner()))
        while not self._stop.is_set():
            if not line.pooled and await line.ask(store.lock(self._outbox)):
                return True
            now = self._clock.monotonic()
            watch = watched(watch, await line.ask(source.sight()), now)
            if is_stale(watch, now, options.lease_seconds):
                return True
            await first_of(self._stop, seconds=options.standby_seconds)
        return False
