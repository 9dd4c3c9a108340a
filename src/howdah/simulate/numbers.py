"""The random numbers, the logarithm and the distributions of both engines, in plain Python.

Owns how a name, a seed and a counter become a number, and how a number becomes a draw; the
compiled twin is `kernel/random.py`, and a test holds them together bit by bit.
Must never use a library's logarithm at run time, nor keep a stream: a draw is a function of what
it is for, so that two designs meet the same world. Stated in `semantics.md`.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate

import msgspec

from howdah.simulate.model import (
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    LogNormal,
    Pareto,
    Uniform,
    Zipf,
)

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd: steps of a Weyl sequence

NEVER = 1 << 62  # nanoseconds, some 146 years

# Kinds of laws: how a draw is made of a uniform number.
CONSTANT, EXPONENTIAL, UNIFORM, TAILS, QUANTILES = range(5)

# A table of tails: halvings of u below one half, of 1 - u above it (never below 2**-53), and the
# pieces of each; MIDDLE is the place of one half.
LOWER, UPPER, STEPS = 12, 52, 32
MIDDLE = 1.0 + LOWER * STEPS


def mix(x: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014) on 64 bits."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@lru_cache(maxsize=4096)
def number(name: str) -> int:
    """What stands for a name: the first eight bytes of its BLAKE2b (64 bytes), little-endian."""
    return int.from_bytes(blake2b(name.encode()).digest()[:8], "little")


def root(seed: int) -> int:
    """What every draw of a run starts from."""
    return mix((seed + GOLDEN) & MASK)


def world(of_root: int, name: int, n: int) -> int:
    """The world of request `n` of the client whose name has the number `name`."""
    return mix((of_root + name + GOLDEN * n) & MASK)


def item_bits(of_world: int, name: int, b: int) -> int:
    """64 bits for an item; `b` = 4096 * attempt + visit."""
    return mix(of_world ^ ((name + GOLDEN * b) & MASK))


def bits(of_root: int, name: int, n: int) -> int:
    """64 bits for the `n`-th draw of a purpose that belongs to no item."""
    return mix((of_root + name + GOLDEN * n) & MASK)


def uniform(x: int) -> float:
    """64 bits as a number strictly between 0 and 1; 1 - u is exact."""
    return ((x >> 12) + 0.5) * 2.0**-52


def nanoseconds(seconds: float) -> int:
    """A duration on the engine's clock: 0 unless positive, `NEVER` from 4e9 seconds on."""
    if not seconds > 0.0:
        return 0
    return NEVER if seconds >= 4e9 else int(seconds * 1e9 + 0.5)


def _logarithm_tables() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """1 / c and ln c at the middle of 128 pieces of [0.75, 1.5); next to 1, c is 1.

    With c = 1 next to 1 the result is exact there. Decimal arithmetic rounds the same everywhere.
    """
    exact = Context(prec=40)
    middles = [0.75 + (i + 0.5) / 256 for i in range(64)] + [1 + (i + 0.5) / 128 for i in range(64)]
    middles[63] = middles[64] = 1.0
    inverse = tuple(1.0 / c for c in middles)
    logarithm = tuple(float(-exact.ln(Decimal(i))) for i in inverse)
    return inverse, logarithm


INVERSE, LOGARITHM = _logarithm_tables()
LN2 = float(Context(prec=40).ln(Decimal(2)))


def ln(x: float) -> float:
    """The natural logarithm of a positive normal number, in plain arithmetic: error < 1e-15."""
    z, exponent = math.frexp(x)  # z in [0.5, 1)
    if z < 0.75:
        z, exponent = z * 2.0, exponent - 1
        piece = int((z - 0.75) * 256.0) if z < 1.0 else 64 + int((z - 1.0) * 128.0)
    else:
        piece = int((z - 0.75) * 256.0)
    r = z * INVERSE[piece] - 1.0
    s = r * r
    tail = (-0.5 + r * (1.0 / 3.0)) + s * ((-0.25 + r * 0.2) + s * (-1.0 / 6.0 + r * (1.0 / 7.0)))
    return (exponent * LN2 + LOGARITHM[piece]) + (r + s * tail)


class Law(msgspec.Struct, frozen=True):
    """A distribution made ready: `kind` says how `a`, `b` and the table make a draw."""

    kind: int
    a: float = 0.0
    b: float = 0.0
    table: tuple[float, ...] = ()

    def draw(self, u: float) -> float:
        """The quantile of `u`, 0 < u < 1."""
        if self.kind == CONSTANT:
            return self.a
        if self.kind == EXPONENTIAL:
            return self.a * -ln(1.0 - u)
        if self.kind == UNIFORM:
            return self.a + self.b * u
        place = _tails_place(u) if self.kind == TAILS else u * (len(self.table) - 1)
        at = int(place)
        low = self.table[at]
        return low + (self.table[at + 1] - low) * (place - at)


def _tails_place(u: float) -> float:
    """Where `u` stands in a table of tails: `STEPS` pieces for each halving of u, and of 1 - u."""
    if u < 2.0**-LOWER / 2.0:
        return u * 2.0**LOWER * 2.0
    if u < 0.5:
        m, exponent = math.frexp(u)  # m in [0.5, 1)
        return 1.0 + ((exponent + LOWER) * float(STEPS) + (2.0 * m - 1.0) * STEPS)
    m, exponent = math.frexp(1.0 - u)
    return MIDDLE + (-exponent * float(STEPS) + (1.0 - 2.0 * m) * STEPS)


def _nine(x: float) -> float:
    """Nine significant digits: libraries differ in the last ones."""
    return float(f"{x:.8e}")


def _tails_table(quantile: Callable[[float], float]) -> tuple[float, ...]:
    """Quantiles, by what is left above them, at the places that `_tails_place` answers."""
    lower = [
        1.0 - 2.0 ** (octave - LOWER - 1) * (1.0 + step / STEPS)
        for octave in range(LOWER)
        for step in range(STEPS)
    ]
    upper = [
        2.0 ** -(octave + 1) * (1.0 - step / (2.0 * STEPS))
        for octave in range(UPPER)
        for step in range(STEPS)
    ]
    last = 2.0 ** -(UPPER + 1)  # the least that 1 - u can be; twice, so that a piece follows it
    return tuple(_nine(quantile(left)) for left in [1.0, *lower, *upper, last, last])


def _log_normal(median: float, sigma: float) -> Callable[[float], float]:
    normal = statistics.NormalDist()

    def quantile(left: float) -> float:
        return 0.0 if left >= 1.0 else median * math.exp(-sigma * normal.inv_cdf(left))

    return quantile


def _erlang(stages: int, mean: float) -> Callable[[float], float]:
    """Newton's steps on the logarithm of what is left above y: concave, so they converge.

    They start from Wilson and Hilferty's approximation of the quantile (1931).
    """
    normal, few = statistics.NormalDist(), 1.0 / (9.0 * stages)

    def quantile(left: float) -> float:
        if left >= 1.0:
            return 0.0
        root_of = 1.0 - few - normal.inv_cdf(left) * math.sqrt(few)
        y = stages * max(root_of, 0.01) ** 3
        for _ in range(100):
            term = total = 1.0  # of the terms y**k / k!, over the last of them
            for k in range(stages - 1, 0, -1):
                term *= k / y
                total += term
            above = math.log(total) + (stages - 1) * math.log(y) - math.lgamma(stages) - y
            step = (above - math.log(left)) * total
            y = max(y + step, y / 4.0)
            if abs(step) <= 1e-13 * y:
                break
        return y * mean / stages

    return quantile


def _pareto(minimum: float, shape: float) -> Callable[[float], float]:
    return lambda left: minimum * left ** (-1.0 / shape)


@lru_cache(maxsize=256)
def law(distribution: Distribution) -> Law:
    """The law of a distribution; tables take some 10 ms and are kept."""
    match distribution:
        case Constant(value=value):
            return Law(CONSTANT, value)
        case Exponential(mean=mean):
            return Law(EXPONENTIAL, mean)
        case Uniform(low=low, high=high):
            return Law(UNIFORM, low, high - low)
        case LogNormal(median=median, sigma=sigma):
            return Law(TAILS, table=_tails_table(_log_normal(median, sigma)))
        case Erlang(stages=stages, mean=mean):
            return Law(TAILS, table=_tails_table(_erlang(stages, mean)))
        case Pareto(minimum=minimum, shape=shape):
            return Law(TAILS, table=_tails_table(_pareto(minimum, shape)))
        case Empirical(quantiles=quantiles):
            return Law(QUANTILES, table=quantiles if len(quantiles) > 1 else quantiles * 2)


@lru_cache(maxsize=64)
def key_table(zipf: Zipf) -> tuple[float, ...]:
    """Sums of the keys' weights, each rounded to nine digits before it is added, in order."""
    return tuple(accumulate(_nine((k + 1.0) ** -zipf.exponent) for k in range(zipf.keys)))


def key_of(table: tuple[float, ...], u: float) -> int:
    """The key that `u` asks for: the first whose sum is above `u` times the whole."""
    return min(bisect_right(table, u * table[-1]), len(table) - 1)
