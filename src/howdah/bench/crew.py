"""The processes of one contender in one phase, seen from the bench.

Owns starting, ordering about and ending them. Must never leave one behind: whatever happens, the
end of the `with` block ends them all.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from howdah.bench.entrant import Orders, Said
from howdah.bench.tally import Counted
from howdah.clock import Clock
from howdah.errors import CouldNot, HowdahError, TimedOut

_CHILD = "howdah.bench.entrant"
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|\.\w+): .*$", re.MULTILINE)
"""The line of a traceback that says what happened; more lines may follow it."""
_READY_SECONDS = 60.0
_END_SECONDS = 30.0


class Entrant:
    """One process."""

    def __init__(self, orders: Orders, heard: queue.SimpleQueue[tuple[Entrant, Said | None]]):
        self.orders = orders
        self.said: dict[str, Said] = {}
        self._heard = heard
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 # closed by end()
        command = [sys.executable, "-m", _CHILD, msgspec.json.encode(orders).decode()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, line: str) -> None:
        """Send an order; a process that is gone is noticed elsewhere."""
        stdin = self._process.stdin
        if stdin is None or self._process.poll() is not None:
            return
        try:
            stdin.write(f"{line}\n".encode())
            stdin.flush()
        except BrokenPipeError:
            self.said.setdefault("gone", Said(what="gone"))

    def failure(self) -> HowdahError:
        """Why it ended early, in its own last words."""
        self._process.wait(timeout=_END_SECONDS)
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace")
        said = _EXCEPTION.findall(words) or words.splitlines() or ["without a word"]
        return CouldNot(
            f"a process of {self.orders.contender} ended with code {self._process.returncode}",
            detail=said[-1][:500],
        )

    def end(self) -> None:
        """Kill it if it still runs, and close what it held."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(timeout=_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # an order that it never read

    def _listen(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None, "asked for a pipe"
        decode = msgspec.json.Decoder(Said).decode
        for line in stdout:
            self._heard.put((self, decode(line)))
        self._heard.put((self, None))


class Crew:
    """Some processes at once; used as a context manager."""

    def __init__(self, orders: list[Orders], clock: Clock) -> None:
        self._clock = clock
        self._heard: queue.SimpleQueue[tuple[Entrant, Said | None]] = queue.SimpleQueue()
        self.entrants = [Entrant(each, self._heard) for each in orders]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for entrant in self.entrants:
            entrant.end()

    @property
    def consumers(self) -> list[Entrant]:
        """Those that consume."""
        return [each for each in self.entrants if each.orders.work is None]

    @property
    def producers(self) -> list[Entrant]:
        """Those that produce."""
        return [each for each in self.entrants if each.orders.work is not None]

    def ready(self) -> None:
        """Wait until all have started; nothing of that is measured."""
        self.until(lambda: self._all(self.entrants, "ready"), _READY_SECONDS, "to start")

    def go(self, entrants: list[Entrant]) -> None:
        """Let them begin."""
        for entrant in entrants:
            entrant.tell("go")

    def stop(self, entrants: list[Entrant]) -> None:
        """Ask them to finish what they have begun, and wait until they have."""
        for entrant in entrants:
            entrant.tell("stop")
        self.until(lambda: self._all(entrants, "ended"), _END_SECONDS, "to stop")

    def ended(self, entrants: list[Entrant]) -> bool:
        """Whether all of them have said their last word."""
        return self._all(entrants, "ended")

    def handled(self) -> int:
        """How many items all consumers have handled, as far as heard."""
        return sum(each.count for each in self.counts())

    def produced(self) -> int:
        """How many items were produced; known once the producers have ended."""
        return sum(each.said["ended"].produced for each in self.producers)

    def counts(self) -> list[Counted]:
        """The latest count of each consumer."""
        said = [each.said.get("ended") or each.said.get("counted") for each in self.consumers]
        return [each.counted for each in said if each is not None and each.counted is not None]

    def until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Listen until it is true; `TimedOut` after so many seconds."""
        deadline = self._clock.monotonic() + seconds
        while not true():
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise TimedOut(f"waited {seconds:g} s for a process {what}")
            self.listen(left)

    def listen(self, seconds: float) -> None:
        """Take in what is said next, waiting at most so long."""
        try:
            entrant, said = self._heard.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return
        if said is None:
            if "ended" not in entrant.said:
                raise entrant.failure()
        else:
            entrant.said[said.what] = said

    def _all(self, entrants: list[Entrant], what: str) -> bool:
        return all(what in each.said for each in entrants)
