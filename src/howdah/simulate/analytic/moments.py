"""Moments and tails of the model's distributions.

Owns what the formulas need to know of a distribution: mean, second moment, survival function.
Must never draw: drawing belongs to the engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from howdah.simulate.model import (
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    LogNormal,
    Pareto,
    Uniform,
)

Floats = npt.NDArray[np.float64]


def mean(d: Distribution) -> float:
    """The expectation; infinite for a Pareto of shape 1 or less."""
    match d:
        case Constant():
            return d.value
        case Exponential() | Erlang():
            return d.mean
        case Uniform():
            return (d.low + d.high) / 2
        case LogNormal():
            return d.median * math.exp(d.sigma**2 / 2)
        case Pareto():
            return d.minimum * d.shape / (d.shape - 1) if d.shape > 1 else math.inf
        case Empirical():
            q = np.asarray(d.quantiles)
            return float(np.mean((q[:-1] + q[1:]) / 2)) if len(q) > 1 else float(q[0])


def second_moment(d: Distribution) -> float:
    """The expectation of the square; infinite for a Pareto of shape 2 or less."""
    match d:
        case Constant():
            return d.value**2
        case Exponential():
            return 2 * d.mean**2
        case Erlang():
            return d.mean**2 * (1 + 1 / d.stages)
        case Uniform():
            return (d.low**2 + d.low * d.high + d.high**2) / 3
        case LogNormal():
            return d.median**2 * math.exp(2 * d.sigma**2)
        case Pareto():
            return d.minimum**2 * d.shape / (d.shape - 2) if d.shape > 2 else math.inf
        case Empirical():
            q = np.asarray(d.quantiles)
            if len(q) == 1:
                return float(q[0] ** 2)
            a, b = q[:-1], q[1:]
            return float(np.mean((a * a + a * b + b * b) / 3))


def variability(d: Distribution) -> float:
    """The squared coefficient of variation: 0 constant, 1 exponential."""
    middle = mean(d)
    return second_moment(d) / middle**2 - 1 if middle > 0 else 0.0


def quantile(d: Distribution, u: Floats) -> Floats:
    """The value below which a share `u` (0 < u < 1) of the draws lies.

    Erlang is inverted by bisection on its survival function.
    """
    match d:
        case Constant():
            return np.full_like(u, d.value)
        case Exponential():
            return -d.mean * np.log1p(-u)
        case Uniform():
            return d.low + (d.high - d.low) * u
        case LogNormal():
            return d.median * np.exp(d.sigma * _normal_quantile(u))
        case Pareto():
            return np.asarray(d.minimum * (1 - u) ** (-1 / d.shape))
        case Empirical():
            steps = np.linspace(0, 1, len(d.quantiles)) if len(d.quantiles) > 1 else np.zeros(1)
            return np.interp(u, steps, d.quantiles)
        case Erlang():
            return _bisect(lambda x: 1 - erlang_survival(d.stages, d.stages / d.mean, x), u, d.mean)


def erlang_survival(stages: int, rate: float, t: Floats) -> Floats:
    """P(the sum of `stages` exponential times of that `rate` exceeds t).

    The Poisson sum e^(-rt) sum_{k<n} (rt)^k / k!, each term as exp of a logarithm, so that
    hundreds of stages neither overflow nor vanish.
    """
    x = np.maximum(rate * np.asarray(t, dtype=float), 0.0)[..., None]
    k = np.arange(stages)
    factorials = np.array([math.lgamma(i + 1) for i in range(stages)])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(k == 0, 0.0, k * np.log(x)) - x - factorials
    return np.asarray(np.minimum(np.exp(logs).sum(axis=-1), 1.0))


def _bisect(distribution: Callable[[Floats], Floats], u: Floats, scale: float) -> Floats:
    low, high = np.zeros_like(u), np.full_like(u, scale)
    while np.any(distribution(high) < u):
        high = np.where(distribution(high) < u, high * 2, high)
    for _ in range(60):
        middle = (low + high) / 2
        below = distribution(middle) < u
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _normal_quantile(u: Floats) -> Floats:
    inverse = NormalDist().inv_cdf
    return np.array([inverse(float(x)) for x in u.ravel()]).reshape(u.shape)
