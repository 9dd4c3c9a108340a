"""A snapshot as a file that a colleague can check without access to the database.

Owns the container: magic, format, checksum, compression. Must never leave half a file behind, and
must never read what it cannot vouch for.

A file is the line `HOWDAH SNAPSHOT <format>`, the SHA-256 of what follows in hexadecimal and a
newline, then zlib-compressed MessagePack of the snapshot.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from howdah.errors import BadFile
from howdah.snapshot.model import FORMAT, Snapshot

_MAGIC = b"HOWDAH SNAPSHOT "
_LEVEL = 6
_CHUNK = 1 << 20
_DIGEST_LINE = 65


def write(snapshot: Snapshot, path: Path) -> None:
    """Write the snapshot to `path`, replacing a file there only when the new one is complete.

    Readable by its owner only. Raises `BadFile` where the place cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _write_body(snapshot, file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> BadFile:
    return BadFile(
        f"cannot write {path}",
        detail=error.strerror or str(error),
        hint="choose a folder that exists, is writable and has room",
    )


def _write_body(snapshot: Snapshot, descriptor: int) -> None:
    """The digest goes in front, so its place is kept and filled at the end."""
    header = _MAGIC + str(snapshot.format).encode() + b"\n"
    os.write(descriptor, header + b"0" * (_DIGEST_LINE - 1) + b"\n")
    digest = hashlib.sha256()
    for chunk in _compressed(msgspec.msgpack.encode(snapshot)):
        digest.update(chunk)
        _write_all(descriptor, chunk)
    os.pwrite(descriptor, digest.hexdigest().encode(), len(header))
    os.fsync(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _compressed(data: bytes) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL)
    for start in range(0, len(data), _CHUNK):
        yield compressor.compress(data[start : start + _CHUNK])
    yield compressor.flush()


def read(path: Path) -> Snapshot:
    """Read a snapshot; the value equals the one that was written.

    Raises `BadFile` where the file is missing, foreign, truncated, damaged, or of a newer format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(
            f"cannot read {path}", detail=error.strerror or str(error), hint="check the path"
        ) from error
    return _decoded(path, _body(path, content))


def _body(path: Path, content: bytes) -> bytes:
    if not content.startswith(_MAGIC):
        raise BadFile(
            f"{path} is not a snapshot of Howdah",
            hint="take one with `howdah snapshot take DSN -o file`",
        )
    header, _, rest = content.partition(b"\n")
    number = header.removeprefix(_MAGIC)
    if number.isdigit() and int(number) > FORMAT:
        raise BadFile(
            f"{path} has format {int(number)}, and this Howdah reads up to {FORMAT}",
            hint="upgrade Howdah, or take the snapshot with this version",
        )
    digest, _, body = rest.partition(b"\n")
    if not number.isdigit() or hashlib.sha256(body).hexdigest().encode() != digest:
        raise _damaged(path)
    return body


def _decoded(path: Path, body: bytes) -> Snapshot:
    try:
        return msgspec.msgpack.decode(zlib.decompress(body), type=Snapshot)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, detail: str = "The checksum does not match the content.") -> BadFile:
    return BadFile(
        f"{path} is truncated or damaged",
        detail=detail,
        hint="copy the file again, or take a new one",
    )
