from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from howdah.queue.policy import Backoff, BudgetOptions
from howdah.queue.retry import Budget, delay_seconds

Form = Literal["fixed", "linear", "exponential"]
Jitter = Literal["none", "full", "equal"]
FORMS: st.SearchStrategy[Form] = st.sampled_from(["fixed", "linear", "exponential"])
JITTERS: st.SearchStrategy[Jitter] = st.sampled_from(["none", "full", "equal"])


@given(FORMS, JITTERS, st.integers(1, 10_000), st.text(max_size=9))
def test_the_same_seed_gives_the_same_delay_within_bounds(
    form: Form, jitter: Jitter, retry: int, seed: str
) -> None:
    backoff = Backoff(form=form, jitter=jitter, base_seconds=3, max_seconds=100)
    steady = Backoff(form=form, jitter="none", base_seconds=3, max_seconds=100)
    plain = delay_seconds(steady, retry, "")
    delay = delay_seconds(backoff, retry, seed)
    assert delay == delay_seconds(backoff, retry, seed)
    low = {"none": plain, "full": 0.0, "equal": plain / 2}[jitter]
    assert low <= delay <= plain <= 100


def test_the_three_forms() -> None:
    def delays(form: Form) -> list[float]:
        backoff = Backoff(form=form, jitter="none", base_seconds=2, max_seconds=9)
        return [delay_seconds(backoff, retry, "") for retry in (1, 2, 3, 4)]

    assert delays("fixed") == [2, 2, 2, 2]
    assert delays("linear") == [2, 4, 6, 8]
    assert delays("exponential") == [2, 4, 8, 9]


def test_jitter_spreads() -> None:
    drawn = {delay_seconds(Backoff(jitter="full"), 5, f"job {n}") for n in range(100)}
    assert len(drawn) == 100
    assert min(drawn) < 0.2 * 32 < 0.8 * 32 < max(drawn)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 5)), max_size=80))
def test_a_budget_never_gives_more_than_was_earned(events: list[tuple[float, int]]) -> None:
    options = BudgetOptions(ratio=0.5, per_second=0.1, most=4)
    budget, now, earned, given = Budget(options, 0.0), 0.0, 4.0, 0
    for wait, successes in events:
        now += wait
        budget.earn(successes)
        earned += successes * 0.5
        given += budget.spend(now)
        assert given <= earned + now * 0.1 + 1e-9


def test_a_budget_recovers() -> None:
    budget = Budget(BudgetOptions(ratio=0.5, per_second=0, most=1), 0.0)
    assert budget.spend(0.0)
    assert not budget.spend(100.0)
    budget.earn(2)
    assert budget.spend(100.0)
