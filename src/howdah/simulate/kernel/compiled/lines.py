"""Waiting lines: items linked to each other, so that any of them can leave at any time.

Owns the links. A line is two 32-bit references, head (the oldest) and tail, wherever its owner
keeps them. Must never count anything.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get32, put32
from howdah.simulate.kernel.compiled.records import item, item_reference


@compiled
def append(s: Word, line: Word, it: Word) -> None:
    """To the end of the line at the address `line`."""
    reference, tail = item_reference(s, it), get32(line + 4)
    put32(it + at.I_NEXT, at.NONE)
    put32(it + at.I_PREVIOUS, tail)
    put32(line + 4, reference)
    if tail < 0:
        put32(line, reference)
    else:
        put32(item(s, tail) + at.I_NEXT, reference)


@compiled
def unlink(s: Word, line: Word, it: Word) -> None:
    """Out of the line, wherever it stands in it."""
    following, previous = get32(it + at.I_NEXT), get32(it + at.I_PREVIOUS)
    if previous < 0:
        put32(line, following)
    else:
        put32(item(s, previous) + at.I_NEXT, following)
    if following < 0:
        put32(line + 4, previous)
    else:
        put32(item(s, following) + at.I_PREVIOUS, previous)
