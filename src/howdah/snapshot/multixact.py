"""How many MultiXact members there are, estimated by looking at a few.

Owns the sampling: where to look, when to stop, and how sure the estimate is. Must never be run
inside the picture's transaction, and needs no privilege.

Members are what runs out first: 2^32 of them exist (until 19), and nothing before 19 tells how many
are used. The estimate is the mean over a stratified sample of the living range, times its length.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import msgspec

_IDS = 1 << 32
STRATA = 256
"""Equal parts of the range; each round looks at one MultiXact of every part."""

ENOUGH = 0.01
"""The relative standard error at which sampling stops."""


def ids_of_round(
    oldest: int, count: int, *, randomness: random.Random, strata: int = STRATA
) -> tuple[int, ...]:
    """One MultiXact of each stratum of `count` ids from `oldest`, wrapping at 2^32.

    Id 0 is never given out: where the range crosses it, the next one is taken.
    """
    edges = [count * stratum // strata for stratum in range(strata + 1)]
    offsets = (randomness.randrange(low, high) for low, high in pairwise(edges) if high > low)
    return tuple((oldest + offset) % _IDS or 1 for offset in offsets)


def all_ids(oldest: int, count: int) -> tuple[int, ...]:
    """Every id of a range that is small enough to be looked at as a whole."""
    return tuple(sorted({(oldest + offset) % _IDS or 1 for offset in range(count)}))


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Members per MultiXact, and the relative standard error of that."""

    mean: float
    standard_error: float
    sampled: int


def estimate(rounds: Sequence[Sequence[int]]) -> Estimate:
    """The stratified estimate from rounds of member counts, one count per stratum and round.

    With strata of equal size the variance of the mean is the mean of the strata's own variances
    over the number of looks (Cochran, "Sampling Techniques", stratified random sampling). One round
    tells no variance inside a stratum: the error is infinite then.
    """
    looks, strata = len(rounds), len(rounds[0]) if rounds else 0
    if not strata:
        return Estimate(mean=0.0, standard_error=0.0, sampled=0)
    mean = sum(map(sum, rounds)) / (looks * strata)
    if looks < 2 or mean == 0:
        return Estimate(mean=mean, standard_error=math.inf, sampled=looks * strata)
    inside = 0.0
    for stratum in zip(*rounds, strict=True):
        center = sum(stratum) / looks
        inside += sum((each - center) ** 2 for each in stratum) / (looks - 1)
    error = math.sqrt(inside / looks) / strata
    return Estimate(mean=mean, standard_error=error / mean, sampled=looks * strata)
