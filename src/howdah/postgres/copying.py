"""Copying a data folder fast, and while it is in use.

Owns the copy of a tree: shared blocks where the file system can, holes kept, files that vanish
meanwhile skipped. Must never follow a link out of the tree.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from howdah.errors import Unsupported
from howdah.postgres.account import Account

_FICLONE = 0x40049409  # ioctl_ficlone(2): share another file's blocks, on Btrfs and XFS

Skip = Callable[[str], bool]


def nothing(_path: str) -> bool:
    """Skip nothing."""
    return False


def copy_tree(source: Path, target: Path, account: Account, skip: Skip = nothing) -> None:
    """Copy the folder `source` to `target`, which is created if need be and owned by `account`.

    `skip` is asked with each path relative to `source`, with slashes; a skipped folder is created
    empty when its path ends in "/*", which is how its content is asked for.
    """
    target.mkdir(mode=0o700, exist_ok=True)
    account.give(target)
    _copy_folder(source, target, "", account, skip)


def _copy_folder(source: Path, target: Path, under: str, account: Account, skip: Skip) -> None:
    try:
        entries = list(os.scandir(source))
    except FileNotFoundError:
        return
    for entry in entries:
        path = under + entry.name
        if skip(path):
            continue
        copy = target / entry.name
        if entry.is_symlink():
            _copy_link(entry, copy)
        elif entry.is_dir():
            copy.mkdir(mode=0o700, exist_ok=True)
            if not skip(f"{path}/*"):
                _copy_folder(Path(entry.path), copy, f"{path}/", account, skip)
        elif entry.is_file():
            # A relation may be dropped between the listing and now; recovery knows about it.
            with contextlib.suppress(FileNotFoundError):
                _copy_file(entry.path, copy)
        else:
            continue
        if copy.exists() or copy.is_symlink():
            account.give(copy)


def _copy_link(entry: os.DirEntry[str], copy: Path) -> None:
    """A link inside a data folder leads to a tablespace or to WAL on another disk."""
    raise Unsupported(
        f"cannot copy {entry.path}, which leads to {Path(entry.path).readlink()}",
        detail=f"A copy at {copy} would share it with the original.",
        hint="use servers without tablespaces and without a moved pg_wal",
    )


def _copy_file(source: str, target: Path) -> None:
    with Path(source).open("rb") as reading, target.open("wb") as writing:
        os.fchmod(writing.fileno(), os.fstat(reading.fileno()).st_mode & 0o777)
        if not _share(reading.fileno(), writing.fileno()):
            _copy_data(reading.fileno(), writing.fileno())


def _share(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _copy_data(source: int, target: int) -> None:
    """Copy the extents that hold data, so that a file of mostly holes stays one."""
    size = os.fstat(source).st_size
    os.truncate(target, size)
    position = 0
    while position < size:
        try:
            position = os.lseek(source, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole is left
            raise
        end = os.lseek(source, position, os.SEEK_HOLE)
        os.lseek(target, position, os.SEEK_SET)
        while position < end:
            copied = os.sendfile(target, source, position, end - position)
            if copied == 0:
                return  # truncated meanwhile; WAL replay repairs it
            position += copied
