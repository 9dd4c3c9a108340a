"""Ticks in a file that grows: what `howdah watch --record` writes, and others read meanwhile.

Owns the container. Must never need a proper end: whoever watches stops with Ctrl-C, or the machine
stops for them.

A file is the line `HOWDAH RECORDING <format>`, then frames: the length and the CRC-32 of a
MessagePack value, four bytes each, big-endian, then the value. The first frame says what was
watched, every other one is a `Tick`. A cut last frame is no damage.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from howdah.errors import BadFile, BadInput
from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.activity import WaitSample
from howdah.snapshot.model import Snapshot
from howdah.snapshot.sampler import Tick

FORMAT = 1
_MAGIC = b"HOWDAH RECORDING "
_FRAME = struct.Struct(">II")


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording is of."""

    howdah: str
    database: str
    version: str  # of the server, such as '18.6'
    started_at: str
    interval_seconds: float


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A recording as far as it goes; `is_cut` where its last frame was not complete."""

    watched: Watched
    ticks: tuple[Tick, ...]
    is_cut: bool


class Recording:
    """A recording being written; close it, or use it as a context manager."""

    def __init__(self, path: Path, watched: Watched) -> None:
        """Begin a new file, readable by its owner only; `BadFile` where that cannot be."""
        try:
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            self._file = path.open("ab")
        except OSError as error:
            raise BadFile(
                f"cannot write {path}",
                detail=error.strerror or str(error),
                hint="choose a folder that exists, is writable and has room",
            ) from error
        self._file.write(_MAGIC + str(FORMAT).encode() + b"\n")
        self._append(watched)

    def append(self, tick: Tick) -> None:
        """Add a tick; readers see it at once."""
        self._append(tick)

    def _append(self, value: Any) -> None:
        body = msgspec.msgpack.encode(value)
        self._file.write(_FRAME.pack(len(body), zlib.crc32(body)) + body)
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read(path: Path) -> Recorded:
    """Read a recording, also while it is being written.

    Raises `BadFile` where the file is missing, foreign, of a newer format, or damaged before its
    end.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(
            f"cannot read {path}", detail=error.strerror or str(error), hint="check the path"
        ) from error
    frames, is_cut = _frames(path, _checked(path, content))
    if not frames:
        raise BadFile(f"{path} holds nothing yet", hint="wait until the first tick was recorded")
    try:
        watched = msgspec.msgpack.decode(frames[0], type=Watched)
        ticks = tuple(msgspec.msgpack.decode(frame, type=Tick) for frame in frames[1:])
    except msgspec.MsgspecError as error:
        raise _damaged(path, str(error)) from error
    return Recorded(watched=watched, ticks=ticks, is_cut=is_cut)


def _checked(path: Path, content: bytes) -> bytes:
    header, _, rest = content.partition(b"\n")
    number = header.removeprefix(_MAGIC)
    if not header.startswith(_MAGIC) or not number.isdigit():
        raise BadFile(
            f"{path} is not a recording of Howdah",
            hint="record one with `howdah watch DSN --record file`",
        )
    if int(number) > FORMAT:
        raise BadFile(
            f"{path} has format {int(number)}, and this Howdah reads up to {FORMAT}",
            hint="upgrade Howdah",
        )
    return rest


def _frames(path: Path, rest: bytes) -> tuple[list[bytes], bool]:
    frames: list[bytes] = []
    position = 0
    while position < len(rest):
        if position + _FRAME.size > len(rest):
            return frames, True
        length, checksum = _FRAME.unpack_from(rest, position)
        body = rest[position + _FRAME.size : position + _FRAME.size + length]
        if len(body) < length:
            return frames, True
        if zlib.crc32(body) != checksum:
            raise _damaged(path, "A frame's checksum does not match its content.")
        frames.append(body)
        position += _FRAME.size + length
    return frames, False


def _damaged(path: Path, detail: str) -> BadFile:
    return BadFile(f"{path} is damaged", detail=detail, hint="copy the file again")


def with_waits(snapshot: Snapshot, recorded: Recorded) -> Snapshot:
    """The snapshot with the recording's waits instead of its own.

    Raises `BadInput` for a recording of another database or server version.
    """
    watched, server = recorded.watched, snapshot.server
    if (watched.database, watched.version) != (server.database, server.version):
        raise BadInput(
            f"the recording is of {watched.database} on {watched.version}, the snapshot of "
            f"{server.database} on {server.version}",
            hint="give the recording that was made of this database",
        )
    return msgspec.structs.replace(snapshot, wait_samples=wait_samples(recorded))


def wait_samples(recorded: Recorded) -> Fact[WaitSample]:
    """The recording's waits as the fact of a snapshot, for the rules that read one."""
    hidden = max((tick.hidden for tick in recorded.ticks), default=0)
    if hidden:
        return Fact(
            status=Status.DENIED,
            left_out=hidden,
            reason=f"the state of {hidden} sessions is hidden without pg_read_all_stats",
        )
    rows = []
    for number, tick in enumerate(recorded.ticks):
        at = number * recorded.watched.interval_seconds
        waits = [(wait.type, wait.event, wait.sessions) for wait in tick.waits] or [("", "", 0)]
        rows += [
            WaitSample(
                tick=number, at_seconds=at, wait_type=kind, wait_event=event, sessions=sessions
            )
            for kind, event, sessions in waits
        ]
    return Fact(status=Status.PRESENT if rows else Status.EMPTY, rows=tuple(rows))
