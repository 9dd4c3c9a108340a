"""All that is compiled: what the disk cache is keyed by lies in this folder, but for `numbers.py`.

Owns what happens in a running model, and the stamp of its source. Must never import anything that
the stamp does not know.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_HERE = Path(__file__).parent
_KERNEL = _HERE.parent


def stamp_of(folders: list[Path], files: list[Path]) -> str:
    """The hash of the names and contents of all sources."""
    found = hashlib.blake2b(digest_size=16)
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    for path in [*sources, *files]:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def stamp() -> str:
    """The hash of all that the compiled code is made of, as it lies on the disk now."""
    makers = [_KERNEL / "entry.py", _KERNEL / "linking.py", _KERNEL.parent / "numbers.py"]
    return stamp_of([_HERE], makers)


# Taken before any module of this folder is loaded; see `entry.unchanged`.
STAMP = stamp()
