"""What is still to happen: slots, lanes and a heap, and the first of them all.

Owns the order of events: (time, sequence number), nothing else. A source that has at most one
event pending has a slot; constant delays stand in a lane (a ring, already in order); everything
else is in the heap. Must never know what an event means.
"""

from __future__ import annotations

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import Word, compiled, get, put


@compiled
def copy_entry(source: Word, target: Word) -> None:
    """One entry over another."""
    put(target, get(source))
    put(target + 8, get(source + 8))
    put(target + 16, get(source + 16))
    put(target + 24, get(source + 24))


@compiled
def write_entry(entry: Word, time: Word, sequence: Word, code: Word, serial: Word) -> None:
    """All four words of an entry."""
    put(entry, time)
    put(entry + 8, sequence)
    put(entry + 16, code)
    put(entry + 24, serial)


@compiled
def next_sequence(s: Word) -> Word:
    """The next number of the one sequence."""
    sequence = get(s + at.SEQUENCE)
    put(s + at.SEQUENCE, sequence + 1)
    return sequence


@compiled
def before(time: Word, sequence: Word, entry: Word) -> Word:
    """Whether (time, sequence) comes before the entry."""
    other = get(entry)
    return time < other or (time == other and sequence < get(entry + 8))


@compiled
def heap_push(s: Word, time: Word, sequence: Word, code: Word, serial: Word) -> None:
    """Into the heap; its head is source 0."""
    heap, place = s + get(s + at.HEAP), get(s + at.HEAP_COUNT)
    put(s + at.HEAP_COUNT, place + 1)
    put(s + at.HEAP_ROOM, get(s + at.HEAP_ROOM) - 1)
    while place > 0:
        parent = (place - 1) >> 2
        entry = heap + parent * at.ENTRY_SIZE
        if not before(time, sequence, entry):
            break
        copy_entry(entry, heap + place * at.ENTRY_SIZE)
        place = parent
    write_entry(heap + place * at.ENTRY_SIZE, time, sequence, code, serial)
    if place == 0:
        write_entry(s + at.HEADER_SIZE, time, sequence, code, serial)


@compiled
def _smallest_child(heap: Word, place: Word, count: Word) -> Word:
    """The address of the smallest of up to four children; 0 when there is none."""
    first = (place << 2) + 1
    if first >= count:
        return 0
    best = heap + first * at.ENTRY_SIZE
    last = min(first + 4, count)
    for child in range(first + 1, last):
        entry = heap + child * at.ENTRY_SIZE
        if before(get(entry), get(entry + 8), best):
            best = entry
    return best


@compiled
def heap_pop(s: Word) -> None:
    """Take the heap's first entry away; the next one becomes the head of source 0."""
    heap, count = s + get(s + at.HEAP), get(s + at.HEAP_COUNT) - 1
    put(s + at.HEAP_COUNT, count)
    put(s + at.HEAP_ROOM, get(s + at.HEAP_ROOM) + 1)
    if count == 0:
        put(s + at.HEADER_SIZE, at.NEVER)
        return
    moved = heap + count * at.ENTRY_SIZE
    time, sequence, place = get(moved), get(moved + 8), 0
    while True:
        child = _smallest_child(heap, place, count)
        if child == 0 or before(time, sequence, child):
            break
        copy_entry(child, heap + place * at.ENTRY_SIZE)
        place = (child - heap) >> 5
    copy_entry(moved, heap + place * at.ENTRY_SIZE)
    copy_entry(heap, s + at.HEADER_SIZE)


@compiled
def schedule(s: Word, time: Word, code: Word, serial: Word) -> None:
    """An event of no particular source."""
    heap_push(s, time, next_sequence(s), code, serial)


@compiled
def schedule_lane(s: Word, lane: Word, time: Word, code: Word, serial: Word) -> None:
    """An event in a lane, if it is in order there and there is room; else in the heap."""
    if lane < 0:
        schedule(s, time, code, serial)
        return
    sequence = next_sequence(s)
    record = s + get(s + at.LANES) + lane * at.LANE_SIZE
    held, mask = get(record + at.LANE_HELD), get(record + at.LANE_MASK)
    if held == 0:
        head = s + at.HEADER_SIZE + (lane + 1) * at.ENTRY_SIZE
        write_entry(head, time, sequence, code, serial)
    elif time < get(record + at.LANE_LAST) or held > mask:
        if held > mask and get(s + at.STATUS) == at.DONE:
            put(s + at.STATUS, at.GROW)  # the lane is longer from the next event on
        heap_push(s, time, sequence, code, serial)
        return
    put(record + at.LANE_LAST, time)
    put(record + at.LANE_HELD, held + 1)
    place = (get(record + at.LANE_FIRST) + held) & mask
    ring = s + get(record + at.LANE_RING)
    write_entry(ring + place * at.ENTRY_SIZE, time, sequence, code, serial)


@compiled
def lane_pop(s: Word, lane: Word) -> None:
    """Take a lane's first entry away; the next one becomes its head."""
    record = s + get(s + at.LANES) + lane * at.LANE_SIZE
    held = get(record + at.LANE_HELD) - 1
    first = (get(record + at.LANE_FIRST) + 1) & get(record + at.LANE_MASK)
    put(record + at.LANE_HELD, held)
    put(record + at.LANE_FIRST, first)
    head = s + at.HEADER_SIZE + (lane + 1) * at.ENTRY_SIZE
    if held == 0:
        put(head, at.NEVER)
    else:
        copy_entry(s + get(record + at.LANE_RING) + first * at.ENTRY_SIZE, head)


@compiled
def schedule_slot(s: Word, slot: Word, time: Word, code: Word, serial: Word) -> None:
    """The event of a source that has only one; an earlier one of it is forgotten."""
    head = s + at.HEADER_SIZE + slot * at.ENTRY_SIZE
    write_entry(head, time, next_sequence(s), code, serial)


@compiled
def forget_slot(s: Word, slot: Word) -> None:
    """The source has no event pending."""
    put(s + at.HEADER_SIZE + slot * at.ENTRY_SIZE, at.NEVER)


@compiled
def slot_time(s: Word, slot: Word) -> Word:
    """When the source's event is due; NEVER without one."""
    return get(s + at.HEADER_SIZE + slot * at.ENTRY_SIZE)


@compiled
def first_source(s: Word) -> Word:
    """The source whose head comes first."""
    head, count = s + at.HEADER_SIZE, get(s + at.SOURCE_COUNT)
    best, time, sequence = head, get(head), get(head + 8)
    for source in range(1, count):
        entry = head + source * at.ENTRY_SIZE
        other, later = get(entry), get(entry + 8)
        if other < time or (other == time and later < sequence):
            best, time, sequence = entry, other, later
    return (best - head) >> 5


@compiled
def take(s: Word, source: Word) -> None:
    """Take away the head of `source`, after it was read."""
    if source == 0:
        heap_pop(s)
    elif source <= get(s + at.LANE_COUNT):
        lane_pop(s, source - 1)
    else:
        put(s + at.HEADER_SIZE + source * at.ENTRY_SIZE, at.NEVER)
