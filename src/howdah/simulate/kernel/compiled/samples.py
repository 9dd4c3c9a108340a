"""Samples: every column at a time, gathered as raw words into a row.

Owns the gathering. Sampling takes no sequence number and changes nothing but the integrals, which
are exact wherever they are cut.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, put
from howdah.simulate.kernel.compiled.tally import add, touch


@compiled
def touch_all(s: Word) -> None:
    """Bring all integrals up to now."""
    element = s + get(s + at.ELEMENTS) + get(s + at.CLIENT_COUNT) * at.ELEMENT_SIZE
    for _ in range(get(s + at.STATION_COUNT)):
        kind = get(element + at.E_TYPE)
        if at.T_QUEUE <= kind <= at.T_POOL:
            touch(s, element)
        element += at.ELEMENT_SIZE


@compiled
def gather(s: Word, row: Word) -> None:
    """All columns, as they are now, into the row at this address."""
    touch_all(s)
    columns = s + get(s + at.COLUMNS)
    for column in range(get(s + at.COLUMN_COUNT)):
        put(row + 8 * column, get(s + get(columns + 8 * column)))


@compiled
def sample(s: Word, due: Word) -> None:
    """The sample that is due."""
    put(s + at.NOW, max(due, get(s + at.NOW)))
    row = get(s + at.SAMPLE_AT)
    gather(s, row)
    put(s + at.SAMPLE_AT, row + 8 * get(s + at.COLUMN_COUNT))
    add(s + at.SAMPLE_ROOM, -1)
    add(s + at.SAMPLE_COUNT, 1)
    put(s + at.SAMPLE_NEXT, due + get(s + at.SAMPLE_PERIOD))
