"""Looking into an arena from Python: items in flight, and whether everything adds up.

Owns the reading of records outside of the kernel. Must never write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from howdah.simulate import engine as protocol
from howdah.simulate import model as models
from howdah.simulate import numbers
from howdah.simulate.kernel.compiled import layout as at

if TYPE_CHECKING:
    from howdah.simulate.kernel.engine import KernelEngine


def _records(engine: KernelEngine) -> NDArray[np.uint8]:
    """All item records ever used, one a row."""
    arena = engine.arena
    first, used = arena.get(at.ITEMS), arena.get(at.ITEM_UNUSED)
    return arena.bytes[first : first + used].reshape(-1, arena.item_size)


def _words(records: NDArray[np.uint8], field: int) -> NDArray[np.int64]:
    return np.ascontiguousarray(records[:, field : field + 8]).view(np.int64)[:, 0]


def _halves(records: NDArray[np.uint8], field: int) -> NDArray[np.int32]:
    return np.ascontiguousarray(records[:, field : field + 4]).view(np.int32)[:, 0]


def _live(engine: KernelEngine) -> NDArray[np.uint8]:
    records = _records(engine)
    return records[_words(records, at.I_SERIAL) >= 0]


def items_of(engine: KernelEngine) -> list[protocol.Item]:
    """What is in flight, by serial."""
    records = _live(engine)
    order = np.argsort(_words(records, at.I_SERIAL))
    return [_told(engine, records[index]) for index in order]


def _told(engine: KernelEngine, record: NDArray[np.uint8]) -> protocol.Item:
    names = {offset: name for name, offset in engine.program.offsets.items()}
    row = record.reshape(1, -1)
    place, state = int(_halves(row, at.I_PLACE)[0]), int(record[at.I_STATE])
    kept = state == at.KEPT
    return protocol.Item(
        serial=int(_words(row, at.I_SERIAL)[0]),
        client=names[int(_halves(row, at.I_CLIENT)[0])],
        request=int(_words(row, at.I_NUMBER)[0]),
        attempt=int(_halves(row, at.I_B)[0]) >> 12,
        element="" if kept else names.get(place, ""),
        since_ns=int(_words(row, at.I_BORN if kept else at.I_SINCE)[0]),
        in_service=state == at.SERVING,
        waited_for=bool(record[at.I_WAITED]),
        key=int(_halves(row, at.I_KEY)[0]),
    )


def checked(engine: KernelEngine) -> list[str]:
    """What does not add up: flow balance, Little's law, requests, and the items themselves."""
    model, offsets = engine.program.model, engine.program.offsets
    wrong = [f"{name}: {what}" for name in model.clients for what in _client(engine, offsets[name])]
    inside = _counted(engine)
    for name, station in model.stations.items():
        if isinstance(station, models.Queue | models.Sharing | models.Delay | models.Pool):
            offset = offsets[name]
            wrong += [f"{name}: {what}" for what in _place(engine, offset)]
            wrong += [f"{name}: {what}" for what in _population(engine, offset, inside)]
    return wrong


def _client(engine: KernelEngine, offset: int) -> list[str]:
    word = engine.arena.get
    ended = word(offset + at.C_SUCCEEDED) + word(offset + at.C_FAILED)
    if word(offset + at.C_REQUESTS) == ended + word(offset + at.C_OPEN):
        return []
    return ["requests are not succeeded + failed + open"]


def _place(engine: KernelEngine, offset: int) -> list[str]:
    word = engine.arena.get
    inside = word(offset + at.E_INSIDE)
    gone = sum(word(offset + each) for each in (at.E_LEFT, at.E_REFUSED, at.E_DROPPED))
    wrong = []
    if word(offset + at.E_ENTERED) != gone + inside:
        wrong.append("entered is not left + refused + dropped + inside")
    sojourns = word(offset + at.E_CLOCKS) + inside * engine.now_ns
    if (sojourns - word(offset + at.E_AREA)) & numbers.MASK:
        wrong.append("sojourns and ages are not the integral of inside")
    return wrong


def _counted(engine: KernelEngine) -> dict[tuple[int, int], int]:
    """How many items say that they are in a place in a state."""
    records = _live(engine)
    places, states = _halves(records, at.I_PLACE), records[:, at.I_STATE]
    pairs, counts = np.unique(np.stack((places, states)), axis=1, return_counts=True)
    return {
        (int(place), int(state)): int(count)
        for (place, state), count in zip(pairs.T, counts, strict=True)
    }


def _population(
    engine: KernelEngine, offset: int, counted: dict[tuple[int, int], int]
) -> list[str]:
    """The items that say they are here are as many as the element counts."""
    word = engine.arena.get
    wrong = []
    if counted.get((offset, at.WAITING), 0) != word(offset + at.E_WAITING):
        wrong.append("the items that wait are not as many as it counts")
    pool = word(offset + at.E_TYPE) == at.T_POOL
    if not pool and counted.get((offset, at.SERVING), 0) != word(offset + at.E_SERVING):
        wrong.append("the items in service are not as many as it counts")
    if word(offset + at.E_WAITING) + word(offset + at.E_SERVING) != word(offset + at.E_INSIDE):
        wrong.append("inside is not waiting + in service")
    return wrong
