"""Thresholds in the fluid limit: where a feedback loop can keep a system down.

Owns amplification, tipping loads, the trigger and ticket formulas and the theorems about stable
capacity. They neglect chance, so they say where the edge lies, not how wide it is: put them
beside simulated figures, never in their place.

Sources: N. Bronson, A. Aghayev, A. Charapko, T. Zhu, "Metastable failures in distributed systems"
(HotOS 2021); L. Huang et al., "Metastable failures in the wild" (OSDI 2022). The trigger and
ticket formulas are derived where they stand.
"""

from __future__ import annotations

import math

from howdah.errors import BadInput


def attempts(retries: int | None, failing: float) -> float:
    """Attempts of a request whose attempts fail with probability `failing`, at most `retries` more.

    (1 - p^(R+1)) / (1 - p): R + 1 when everything fails; 1 / (1 - p) without a limit (None).

    >>> attempts(3, 1.0), attempts(None, 0.5), attempts(1, 0.5)
    (4.0, 2.0, 1.5)
    """
    if failing >= 1:
        return math.inf if retries is None else 1.0 + retries
    if retries is None:
        return 1 / (1 - failing)
    return float((1 - failing ** (retries + 1)) / (1 - failing))


def budgeted(retries: int | None, deposit: float, succeeding: float = 1.0) -> float:
    """Attempts of a request with a retry budget that gets `deposit` tokens for each success.

    In the long run there are at most `deposit` retries for each success, so 1 + b at most; where
    nothing succeeds there are none: 1.
    """
    capped = 1.0 + deposit * succeeding
    return capped if retries is None else min(1.0 + retries, capped)


def lowest_tipping_load(capacity: float, amplification: float) -> float:
    """lambda_down: below it no stuck state can feed itself, capacity / amplification.

    With R retries amplification is 1 + R: work that arrives while everything fails.

    >>> lowest_tipping_load(1.0, attempts(3, 1.0))
    0.25
    """
    return capacity / amplification


def recovery(capacity: float, arrival: float, backlog: float, timeout: float = 0.0) -> float:
    """Seconds until a backlog is drained without retries, and answers come in time again.

    (backlog - timeout capacity) / (capacity - arrival) + timeout: goodput is back once the wait
    is below the timeout; what entered then is answered a timeout later. Infinite in overload.
    """
    if arrival >= capacity:
        return math.inf
    return max(0.0, backlog - timeout * capacity) / (capacity - arrival) + timeout


def trigger_length(capacity: float, arrival: float, factor: float, timeout: float) -> float:
    """D*: how long a burst of `factor` times the load must last until waits exceed the timeout.

    timeout capacity / (factor load - capacity): the queue then holds a timeout's worth of work
    and every answer is late. Infinite when the burst does not overload.

    >>> round(trigger_length(1.0, 0.6, 8.0, 30.0), 1)
    7.9
    """
    excess = factor * arrival - capacity
    return timeout * capacity / excess if excess > 0 else math.inf


def trigger_loss(capacity: float, arrival: float, left: float, timeout: float) -> float:
    """How long capacity must be at `left` of itself until waits, at full capacity, are late.

    Then the backlog (arrival - left capacity) D equals timeout capacity.
    """
    excess = arrival - left * capacity
    return timeout * capacity / excess if excess > 0 else math.inf


def crowding_point(cores: float, overhead: float, offered: float) -> float:
    """n*: runnable threads beyond which `cores` do less than the `offered` work (core-seconds/s).

    cores / (1 + overhead (n - cores)) = offered, so n* = cores + (cores / offered - 1) / overhead.
    A pool that can grow past it stays down: more threads, less work, more threads.

    >>> round(crowding_point(8, 0.01, 5.5), 1)
    53.5
    """
    if offered >= cores:
        return cores
    if overhead == 0 or offered == 0:
        return math.inf
    return cores + (cores / offered - 1) / overhead


def harmless_overhead(cores: float, offered: float, most: float) -> float:
    """The overhead below which even `most` runnable threads do the offered work.

    >>> round(harmless_overhead(8, 5.5, 256), 4)
    0.0018
    """
    if most <= cores:
        return math.inf
    return max(0.0, (cores / offered - 1) / (most - cores)) if offered > 0 else math.inf


def hidden_capacity(backend: float, hit_share: float) -> tuple[float, float]:
    """With a cache in front: requests a second with it warm, and with it cold.

    A backend of 300 behind 90 % hits advertises 3000 and can, once cold, be kept down by
    anything above 300 (HotOS 2021).

    >>> hidden_capacity(300.0, 0.9)
    (3000.0, 300.0)
    """
    warm = math.inf if hit_share >= 1 else backend / (1 - hit_share)
    return round(warm, 9), backend


def stable_capacity(normal: float, load_work: float, capacity_work: float) -> float:
    """C_stable = C_norm / (w_L w_C), OSDI 2022 theorem 2: load below it always recovers.

    `load_work` w_L: how much the failure multiplies load (retries); `capacity_work` w_C: how
    much it multiplies the work of a unit of load (cold caches, crowded cores).
    """
    if load_work < 1 or capacity_work < 1:
        raise BadInput("amplification is at least 1")
    return normal / (load_work * capacity_work)


def withstands(capacity: float, load: float, load_work: float, capacity_work: float) -> bool:
    """OSDI 2022 theorem 3: no failure while w_L(dt) w_C(dt) < C_norm / L_norm."""
    return load_work * capacity_work < capacity / load


def tips(spare: float, load_trigger: float, capacity_trigger: float) -> bool:
    """Whether triggers push the system over its edge (after OSDI 2022 theorem 4).

    `load_trigger` and `capacity_trigger` are the triggers' magnitudes times their amplification
    (alpha_L m_L, alpha_C m_C), in the units of `spare`: stable capacity less the load.
    """
    return load_trigger + capacity_trigger >= spare
