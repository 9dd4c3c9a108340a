"""Replay files: a run as model, seed and script, with the hash that it must come to.

Owns the file's format and its steps. Must never hold a state: a replay runs everything again, so
the file stays small and proves itself.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from howdah.errors import BadFile, BadInput
from howdah.simulate.engine import Engine
from howdah.simulate.model import Model

FORMAT = 1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a run between events, at a time in nanoseconds."""

    time: int
    kind: str
    what: str = ""
    value: float | str | None = None

    def apply(self, engine: Engine) -> None:
        """Do it again. Raises BadInput."""
        match self.kind:
            case "set" if self.value is not None:
                engine.set(self.what, self.value)
            case "inject":
                engine.inject(self.what, int(self.value or 0))
            case "flush":
                engine.flush(self.what)
            case "drop":
                engine.drop(self.what)
            case "reseed":
                engine.reseed(int(self.value or 0))
            case _:
                raise BadInput(f"{self.kind} is nothing that is done to a run")


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A run, so that it can be had again."""

    model: Model
    seed: int
    script: tuple[Step, ...] = ()
    until: int  # nanoseconds
    events: int
    hash: str
    format: int = FORMAT

    def verify(self, found: int, events: int, path: Path) -> None:
        """Raises BadFile when the run came out differently."""
        if f"{found:016x}" != self.hash or events != self.events:
            raise BadFile(
                f"{path}: the run came out differently",
                detail=f"hash {found:016x} after {events} events; the file has {self.hash} "
                f"after {self.events}",
                hint="replay it with the version of Howdah, and the policies, that wrote it",
            )


def write(replay: Replay, path: Path) -> None:
    """Write a replay file: JSON, for people to read too."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(replay), indent=1) + b"\n")


def read(path: Path) -> Replay:
    """Read a replay file. Raises BadFile."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Replay)
    except (OSError, msgspec.DecodeError) as error:
        raise BadFile(f"{path} is no replay file", detail=str(error)) from error
    if found.format != FORMAT:
        raise BadFile(f"{path}: format {found.format} of replay files is not known")
    return found
