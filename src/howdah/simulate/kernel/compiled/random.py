"""The compiled twin of `numbers.py`: the same bits from the same names, counters and laws.

Must never differ from it by a bit: plain IEEE arithmetic in the same order, no fast-math. A test
compares the two on many thousands of numbers.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate import numbers
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.compiled.memory import (
    Word,
    bits_of,
    compiled,
    float_of,
    get,
    getf,
    getu,
    put,
)

GOLDEN = np.uint64(numbers.GOLDEN)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S12 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12)
_INVERSE, _LOGARITHM = np.array(numbers.INVERSE), np.array(numbers.LOGARITHM)
_LN2 = numbers.LN2
_THREE_QUARTERS = int(np.float64(0.75).view(np.int64))
_CONSTANT, _EXPONENTIAL, _UNIFORM = numbers.CONSTANT, numbers.EXPONENTIAL, numbers.UNIFORM
_TAILS = numbers.TAILS
_LOWER, _STEPS, _MIDDLE = numbers.LOWER, float(numbers.STEPS), numbers.MIDDLE
_LOW_END = 2.0**-_LOWER / 2.0
_LOW_SCALE = 2.0**_LOWER * 2.0
_EXPONENT_BIAS, _ONE_BITS = 1022, 0x3FE0000000000000  # of frexp: mantissas in [0.5, 1)
_FRACTION = (1 << 52) - 1


@compiled
def mix(x: Word) -> Word:
    """The finalizer of SplitMix64."""
    x = (x ^ (x >> _S30)) * _FIRST
    x = (x ^ (x >> _S27)) * _SECOND
    return x ^ (x >> _S31)


@compiled
def uniform(x: Word) -> Word:
    """64 bits as a number strictly between 0 and 1."""
    return (np.float64(np.int64(x >> _S12)) + 0.5) * 2.0**-52


@compiled
def item_uniform(world: Word, name: Word, b: Word) -> Word:
    """The uniform number of a draw for an item."""
    return uniform(mix(world ^ (name + GOLDEN * np.uint64(b))))


@compiled
def counted_uniform(root: Word, name: Word, n: Word) -> Word:
    """The uniform number of the n-th draw of a purpose that belongs to no item."""
    return uniform(mix(root + name + GOLDEN * np.uint64(n)))


@compiled
def nanoseconds(seconds: Word) -> Word:
    """A duration on the engine's clock."""
    if not seconds > 0.0:
        return 0
    if seconds >= 4e9:
        return at.NEVER
    return np.int64(seconds * 1e9 + 0.5)


@compiled
def ln(x: Word) -> Word:
    """The natural logarithm, in plain arithmetic."""
    bits = bits_of(x)
    shifted = bits - _THREE_QUARTERS
    exponent = shifted >> 52
    piece = (shifted >> 45) & 127
    z = float_of(bits - (exponent << 52))
    r = z * _INVERSE[piece] - 1.0
    s = r * r
    tail = (-0.5 + r * (1.0 / 3.0)) + s * ((-0.25 + r * 0.2) + s * (-1.0 / 6.0 + r * (1.0 / 7.0)))
    return (np.float64(exponent) * _LN2 + _LOGARITHM[piece]) + (r + s * tail)


@compiled
def _tails_place(u: Word) -> Word:
    if u < _LOW_END:
        return u * _LOW_SCALE
    lower = u < 0.5
    bits = bits_of(u if lower else 1.0 - u)
    exponent = (bits >> 52) - _EXPONENT_BIAS
    m = float_of((bits & _FRACTION) | _ONE_BITS)
    if lower:
        return 1.0 + (np.float64(exponent + _LOWER) * _STEPS + (2.0 * m - 1.0) * _STEPS)
    return _MIDDLE + (np.float64(-exponent) * _STEPS + (1.0 - 2.0 * m) * _STEPS)


@compiled
def _table_draw(law: Word, kind: Word, u: Word) -> Word:
    table = get(law + at.LAW_TABLE)
    place = _tails_place(u) if kind == _TAILS else u * np.float64(get(law + at.LAW_LAST))
    entry = np.int64(place)
    low = getf(table + 8 * entry)
    return low + (getf(table + 8 * entry + 8) - low) * (place - np.float64(entry))


@compiled
def draw(law: Word, u: Word) -> Word:
    """The quantile of `u` of the law at the address `law`."""
    kind = get(law)
    if kind == _EXPONENTIAL:
        return getf(law + at.LAW_A) * -ln(1.0 - u)
    if kind == _CONSTANT:
        return getf(law + at.LAW_A)
    if kind == _UNIFORM:
        return getf(law + at.LAW_A) + getf(law + at.LAW_B) * u
    return _table_draw(law, kind, u)


@compiled
def key_draw(keys: Word, u: Word) -> Word:
    """The key that `u` asks for; `keys` is the address of (table, count)."""
    table, count = get(keys), get(keys + 8)
    wanted = u * getf(table + 8 * (count - 1))
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) >> 1
        if getf(table + 8 * middle) > wanted:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def count_draw(s: Word, purpose: Word) -> Word:
    """The next draw of a purpose that belongs to no item; at `purpose` (name, count)."""
    n = get(purpose + 8)
    put(purpose + 8, n + 1)
    return counted_uniform(getu(s + at.ROOT), getu(purpose), n)
