"""Continuous-time Markov chains: hitting times, committors, equilibrium, relaxation.

Owns finite chains whose transitions stay inside a band, and solves them by eliminating states one
after another (Grassmann, Taksar and Heyman 1985): nothing is ever subtracted, so a time of 1e13
seconds is as exact as one of 10. Must never know what the states mean: `storm.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.errors import BadInput

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """`band[i, j - i + width]` is the rate from state i to state j; the diagonal is 0."""

    band: Floats
    width: int

    @property
    def states(self) -> int:
        """How many states there are."""
        return len(self.band)

    def dense(self) -> Floats:
        """The generator as a full matrix: rows sum to 0."""
        n, w = self.states, self.width
        q = np.zeros((n, n))
        for i in range(n):
            low, high = max(0, i - w), min(n, i + w + 1)
            q[i, low:high] = self.band[i, low - i + w : high - i + w]
        np.fill_diagonal(q, -q.sum(axis=1))
        return q


def chain(states: int, transitions: Iterable[tuple[int, int, float]]) -> Chain:
    """The chain of these (from, to, rate); rates of the same pair add up, zeros are dropped."""
    kept = [(i, j, rate) for i, j, rate in transitions if rate > 0 and i != j]
    width = max((abs(i - j) for i, j, _ in kept), default=1)
    band = np.zeros((states, 2 * width + 1))
    for i, j, rate in kept:
        band[i, j - i + width] += rate
    return Chain(band=band, width=width)


def hitting_times(of: Chain, target: Flags) -> Floats:
    """Mean seconds from each state until `target` is first entered; 0 inside it."""
    return _Eliminated(of, target).solve(np.where(target, 0.0, 1.0))


def committor(of: Chain, good: Flags, bad: Flags) -> Floats:
    """P(`bad` is entered before `good`) from each state: the basin of attraction, soft-edged."""
    if np.any(good & bad):
        raise BadInput("a state cannot be both good and bad")
    into = _flow(of, bad)
    inside = _Eliminated(of, good | bad).solve(np.where(good | bad, 0.0, into))
    return np.where(bad, 1.0, inside)


def equilibrium(of: Chain) -> Floats:
    """The long-run share of time in each state; the chain must be irreducible."""
    nothing = np.zeros(of.states, dtype=bool)
    eliminated = _Eliminated(of, nothing)
    w, p = of.width, np.zeros(of.states)
    p[0] = 1.0
    for k in range(1, of.states):
        low = max(0, k - w)
        into = eliminated.band[np.arange(low, k), k - np.arange(low, k) + w]
        p[k] = float(p[low:k] @ into) / eliminated.out[k]
        if p[k] > 1e200:  # only the ratios matter
            p[: k + 1] /= p[k]
    return np.asarray(p / p.sum())


def relaxation(of: Chain, *, share: Floats | None = None, modes: int = 60) -> float:
    """Seconds in which the slowest deviation from equilibrium decays by e: 1 / |Re lambda_2|.

    Arnoldi on the inverse of the generator, with the state most likely in equilibrium held fixed,
    so that solutions keep their digits; lambda_2 is the eigenvalue with the real part nearest
    to 0. `share` is the equilibrium, when it is known already.
    """
    share = equilibrium(of) if share is None else share
    fixed = np.zeros(of.states, dtype=bool)
    fixed[int(share.argmax())] = True
    eliminated = _Eliminated(of, fixed)

    def inverse(y: Floats) -> Floats:
        x = eliminated.solve(np.where(fixed, 0.0, y - share @ y))
        return np.asarray(x - share @ x)

    start = np.sin(np.arange(1.0, of.states + 1))  # any vector does; the same one every time
    return _slowest(inverse, start - share @ start, min(modes, of.states - 1))


def _slowest(step: Callable[[Floats], Floats], start: Floats, modes: int) -> float:
    """The longest time constant among the eigenvalues of `step`, an inverse generator."""
    basis = [start / np.linalg.norm(start)]
    h = np.zeros((modes + 1, modes))
    known = 0.0
    for k in range(modes):
        image = step(basis[k])
        scale = float(np.linalg.norm(image))
        for _ in range(2):  # twice is enough (Parlett)
            for i, vector in enumerate(basis):
                part = float(vector @ image)
                h[i, k] += part
                image = image - part * vector
        h[k + 1, k] = float(np.linalg.norm(image))
        now = _longest(np.linalg.eigvals(h[: k + 1, : k + 1]).astype(complex))
        if h[k + 1, k] <= 1e-12 * scale or (k > 2 and abs(now - known) <= 1e-10 * now):
            return now
        known = now
        basis.append(image / h[k + 1, k])
    return known


def _longest(values: npt.NDArray[np.complex128]) -> float:
    """Of the eigenvalues that count (the small ones are not yet known), the slowest decay."""
    largest = float(np.abs(values).max())
    decays = [float((1 / v).real) for v in values if abs(v) > 0.5 * largest]
    return max((1 / d for d in decays if d > 0), default=largest)


def _flow(of: Chain, target: Flags) -> Floats:
    """The rate from each state directly into `target`."""
    n, w = of.states, of.width
    total = np.zeros(n)
    for offset in range(-w, w + 1):
        low, high = max(0, -offset), min(n, n - offset)
        total[low:high] += of.band[low:high, offset + w] * target[low + offset : high + offset]
    return total


class _Eliminated:
    """The chain with its states eliminated from the last to the first.

    After state k is gone, `band[i, j]` for i, j < k holds the rates of the chain watched only
    there. `leave` holds the rates into the target, where a path ends; `out` what left each state
    when it was eliminated.
    """

    def __init__(self, of: Chain, target: Flags) -> None:
        n, w = of.states, of.width
        self.width, self.target = w, target
        self.band = np.where(target[:, None], 0.0, of.band)
        self.leave = np.where(target, 0.0, _flow(of, target))
        for k in np.flatnonzero(target).tolist():  # nobody comes from a state where paths end
            for i in range(max(0, k - w), min(n, k + w + 1)):
                self.band[i, k - i + w] = 0.0
        self.out = np.ones(n)
        for k in range(n - 1, -1, -1):
            if not target[k]:
                self._eliminate(k)

    def _eliminate(self, k: int) -> None:
        w = self.width
        low = max(0, k - w)
        there = self.band[k, low - k + w : w]
        self.out[k] = float(there.sum()) + self.leave[k]
        if self.out[k] == 0.0:
            if k > 0 or self.target.any():
                raise BadInput(f"state {k} cannot leave: the time to the target is infinite")
            self.out[k] = 1.0
            return
        before = np.arange(low, k)
        share = self.band[before, k - before + w] / self.out[k]
        self._square(low, k)[...] += np.outer(share, there)
        self.leave[low:k] += share * self.leave[k]

    def _square(self, low: int, high: int) -> Floats:
        """The rates between states low..high-1 as a square that writes into the band."""
        w, size, step = self.width, high - low, self.band.strides[1]
        first = self.band[low:, w:]
        return np.lib.stride_tricks.as_strided(
            first, shape=(size, size), strides=(self.band.strides[0] - step, step)
        )

    def solve(self, gain: Floats) -> Floats:
        """x with x = 0 on the target and sum_j rate(i, j) (x_i - x_j) = gain_i elsewhere."""
        w, n = self.width, len(gain)
        g, x = np.array(gain, dtype=float), np.zeros(n)
        for k in range(n - 1, 0, -1):
            if not self.target[k] and g[k] != 0.0:
                low = max(0, k - w)
                before = np.arange(low, k)
                g[low:k] += self.band[before, k - before + w] * (g[k] / self.out[k])
        for k in range(n):
            if not self.target[k]:
                low = max(0, k - w)
                x[k] = (g[k] + float(self.band[k, low - k + w : w] @ x[low:k])) / self.out[k]
        return x
