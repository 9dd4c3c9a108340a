"""Hit shares of caches under independent requests.

Owns Che's approximation for a cache of the keys used last. Must never follow single requests.
Source: H. Che, Y. Tung, Z. Wang, "Hierarchical Web caching systems" (2002).
"""

from __future__ import annotations

import numpy as np

from howdah.simulate.model import Zipf


def hit_share(keys: Zipf, entries: int) -> float:
    """The share of requests that an LRU cache of `entries` answers, once it is warm.

    A key of probability p is in the cache with 1 - e^(-p T), where T, counted in requests, solves
    sum(1 - e^(-p T)) = entries. Within a percent of the truth for more than some ten entries.
    """
    if entries >= keys.keys:
        return 1.0
    p = np.arange(1, keys.keys + 1, dtype=float) ** -keys.exponent
    p /= p.sum()
    low, high = 0.0, float(entries)
    while -np.expm1(-p * high).sum() < entries:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if -np.expm1(-p * middle).sum() < entries else (low, middle)
    return float((p * -np.expm1(-p * high)).sum())
