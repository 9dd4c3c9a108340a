"""Retry policies, one failure at a time."""

from __future__ import annotations

import pytest

from tests.unit.simulate.asking import Asked


def test_a_retry_budget_is_a_share_of_requests_and_a_reserve() -> None:
    budget = Asked("retry_budget", per_second=0.1)  # 1 in reserve
    assert budget("retry", now=0.5) == 0.0
    assert budget("retry", now=0.5) == -1.0
    for _ in range(5):
        budget("observe", now=0.6, attempt=0)
    assert budget("retry", now=0.7) == 0.0
    assert budget("retry", now=0.7) == -1.0
    for _ in range(5):
        budget("observe", now=0.8, attempt=1)  # retries earn nothing
    assert budget("retry", now=0.9) == -1.0


def test_a_retry_budget_forgets_after_its_window() -> None:
    budget = Asked("retry_budget", per_second=0.1)
    for _ in range(10):
        budget("observe", now=1.5, attempt=0)
    assert budget("retry", now=10.9) == 0.0
    assert budget("retry", now=10.9) == 0.0
    budget("observe", now=11.1, attempt=1)
    assert budget("retry", now=11.2) == -1.0  # earned in second 1, spent in second 10


def test_adaptive_retry_by_bucket() -> None:
    bucket = Asked("adaptive_retry")
    assert [bucket("retry", attempt=0) for _ in range(6)] == [0, 0, 0, 0, 0, -1]
    for _ in range(11):
        bucket("observe", outcome=1, attempt=0)
    assert [bucket("retry", attempt=0) for _ in range(2)] == [0, -1]
    assert bucket("retry", attempt=3) == -1


def test_adaptive_retry_by_breaker() -> None:
    breaker = Asked("adaptive_retry", scheme="breaker", calls=10)
    assert breaker("retry", attempt=0) == 0
    breaker("observe", outcome=1)  # a rate of 0.1: not above it
    assert breaker("retry", attempt=0) == 0
    breaker("observe", outcome=1)
    assert breaker("retry", attempt=0) == -1


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        ("full", [0.025, 0.05, 0.1, -1.0]),
        ("equal", [0.0625, 0.125, 0.25, -1.0]),
        ("none", [0.1, 0.2, 0.4, -1.0]),
    ],
)
def test_jitter(kind: str, waits: list[float]) -> None:
    policy = Asked("jitter", kind=kind)
    assert [policy("retry", u=0.25, attempt=k) for k in range(4)] == pytest.approx(waits)


def test_decorrelated_jitter_grows_from_the_last_wait() -> None:
    policy = Asked("jitter", kind="decorrelated")
    assert policy("retry", u=0.5, attempt=0) == pytest.approx(0.2)  # 0.1 .. 0.3
    assert policy("retry", u=0.5, attempt=1, last=0.2) == pytest.approx(0.35)  # 0.1 .. 0.6
    assert policy("retry", u=0.9, attempt=1, last=9.0) == 10.0
