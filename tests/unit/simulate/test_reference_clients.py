"""Clients on the reference engine: timeouts, retries, hedges, deadlines, users, sessions."""

from __future__ import annotations

from howdah.simulate.model import (
    Agentic,
    Closed,
    Constant,
    Delay,
    Model,
    Policy,
    Pool,
    Retry,
    Zipf,
)
from tests.unit.simulate.making import client, one_queue, queue
from tests.unit.simulate.running import on, run, see


def slow(service: float = 50.0, servers: int = 99, **changes: object) -> Model:
    """A client of one request a second at servers that are not contended for."""
    stations = {"db": queue(service=Constant(value=service), servers=servers)}
    return one_queue(clients={"web": client(**changes)}, stations=stations)


def test_a_timeout_leaves_a_zombie_behind() -> None:
    engine = run(slow(service=5.0, timeout=2.0), 3.0)
    assert see(engine, "web.timed_out", "web.failed", "db.inside") == [1, 1, 3]
    on(engine, 6.0)
    assert see(engine, "web.wasted", "db.left", "web.succeeded") == [1, 1, 0]


def test_a_client_that_cancels_takes_the_waiting_item_out_of_its_line() -> None:
    engine = run(slow(servers=1, timeout=2.0, cancels=True), 4.5)
    # 1 is in service and stays; 2 was taken out at 4.
    assert see(engine, "db.dropped", "db.inside", "web.timed_out", "web.rejected") == [1, 3, 2, 0]


def test_a_timeout_of_an_answered_attempt_is_cancelled() -> None:
    engine = run(slow(service=1.0, timeout=2.0), 4.5)
    assert see(engine, "web.succeeded", "web.timed_out") == [3, 0]
    assert engine.cancelled == 2


def test_retries_come_after_growing_backoffs_and_end() -> None:
    retry = Retry(most=3, backoff=Constant(value=1.0), factor=2.0, longest=3.0)
    web = client(rate=0.01, timeout=1.0, retry=retry)
    model = one_queue(
        clients={"web": web},
        stations={"db": queue(service=Constant(value=500.0), servers=99)},
        horizon=200.0,
    )
    engine = run(model, 100.0)
    attempts: list[float] = []
    for step in range(1, 160):
        on(engine, 100.0 + step / 10)
        if see(engine, "web.attempts")[0] > len(attempts):
            attempts.append(step / 10)
    # Attempts fail after 1 s; the backoffs are 1, 2 and 3 (not 4).
    assert attempts == [0.1, 2.0, 5.0, 9.0]
    assert see(engine, "web.failed", "web.retries", "web.timed_out", "web.open") == [1, 3, 4, 0]


def test_a_budget_of_tokens_is_spent_and_earned() -> None:
    retry = Retry(most=9, budget=2.0, deposit=0.5)
    model = slow(timeout=0.1, retry=retry)
    engine = run(model, 20.0)
    assert see(engine, "web.retries", "web.failed") == [2, 19]
    engine.set("web.timeout", 1000.0)
    on(engine, 80.0)
    succeeded = see(engine, "web.succeeded")[0]
    assert succeeded >= 8
    engine.set("web.timeout", 0.1)
    engine.set("web.retry.deposit", 0.0)
    on(engine, 99.9)
    assert see(engine, "web.retries")[0] == 4  # the bucket holds no more than 2


def test_a_deadline_ends_all_attempts() -> None:
    retry = Retry(most=9, backoff=Constant(value=0.5))
    model = slow(rate=0.1, timeout=1.0, deadline=2.2, retry=retry)
    engine = run(model, 12.1)
    # Attempts at 10 and 11.5, the second given up at 12.2.
    assert see(engine, "web.attempts", "web.failed") == [2, 0]
    on(engine, 12.2)
    assert see(engine, "web.attempts", "web.failed", "web.timed_out") == [2, 1, 2]


def test_a_deadline_alone_is_a_timeout() -> None:
    engine = run(slow(deadline=2.0), 3.0)
    assert see(engine, "web.timed_out", "web.failed") == [1, 1]


def test_the_faster_of_two_hedged_attempts_wins() -> None:
    # The twin of request n comes at n + 3; services take 5 s.
    engine = run(slow(service=5.0, hedge_after=3.0), 4.0)
    assert see(engine, "web.attempts", "web.requests", "web.retries") == [5, 4, 0]
    on(engine, 6.0)
    assert see(engine, "web.succeeded", "web.wasted") == [1, 0]
    on(engine, 9.0)
    assert see(engine, "web.succeeded", "web.wasted") == [4, 1]


def test_a_hedged_request_fails_when_both_attempts_have() -> None:
    engine = run(slow(timeout=2.0, hedge_after=1.0, rate=0.1), 12.5)
    assert see(engine, "web.timed_out", "web.failed", "web.open") == [1, 0, 1]
    on(engine, 13.0)
    assert see(engine, "web.timed_out", "web.failed", "web.open") == [2, 1, 0]


def test_an_answer_in_time_needs_no_hedge() -> None:
    engine = run(slow(service=0.5, hedge_after=1.0), 4.8)
    assert see(engine, "web.attempts", "web.succeeded") == [4, 4]
    assert engine.cancelled == 3


def test_a_retry_policy_decides() -> None:
    driver = Policy(name="driver_backpressure_2026_03")
    stations = {"db": queue(service=Constant(value=500.0), capacity=1)}
    engine = run(one_queue(clients={"web": client(retry=driver)}, stations=stations), 50.0)
    # The first is served; each other one is refused, tried again twice, and has failed.
    engine.set("web.rate", 0.0)
    on(engine, 100.0)
    columns = ("web.requests", "web.retries", "web.failed", "web.rejected")
    assert see(engine, *columns) == [50, 98, 49, 147]


def test_users_think_ask_and_think_again() -> None:
    users = Closed(users=3, think=Constant(value=2.0), to="db")
    stations = {"db": queue(service=Constant(value=1.0))}
    engine = run(one_queue(clients={"app": users}, stations=stations), 5.0)
    # All ask at 2 and are answered at 3, 4, 5; they ask again at 5, 6, 7.
    assert see(engine, "app.requests", "app.succeeded", "app.open") == [4, 3, 1]
    on(engine, 7.0)
    assert see(engine, "app.requests", "app.succeeded") == [6, 5]


def test_a_user_whose_request_failed_thinks_too() -> None:
    users = Closed(users=3, think=Constant(value=2.0), to="db")
    stations = {"db": queue(service=Constant(value=50.0), capacity=1)}
    engine = run(one_queue(clients={"app": users}, stations=stations), 6.5)
    assert see(engine, "app.requests", "app.rejected") == [1 + 3 * 2, 6]


def agents(**changes: object) -> Model:
    given: dict[str, object] = {
        "rate": 0.1,
        "to": "net",
        "parallel": 3,
        "steps": 2,
        "think": Constant(value=2.0),
    }
    ai = Agentic(**(given | changes))  # type: ignore[arg-type]  # words as given
    return one_queue(clients={"ai": ai}, stations={"net": Delay(time=Constant(value=1.0))})


def only_one(model: Model) -> float:
    """The time of the first session's start."""
    engine = run(model, 0.0)
    while see(engine, "ai.requests")[0] == 0:
        engine.advance(1 << 60, most_events=1)
    return engine.items()[0].since_ns / 1e9


def test_a_session_asks_in_rounds_and_thinks_between() -> None:
    model = agents()
    start = only_one(model)
    engine = run(model, start + 0.01)
    engine.set("ai.rate", 0.0)
    assert see(engine, "ai.requests") == [3]
    on(engine, start + 2.99)
    assert see(engine, "ai.requests", "ai.succeeded") == [3, 3]
    on(engine, start + 3.01)
    assert see(engine, "ai.requests") == [6]
    on(engine, 100.0)
    assert see(engine, "ai.requests", "ai.succeeded") == [6, 6]


def test_a_round_may_be_done_again() -> None:
    model = agents(rollback=1.0)
    start = only_one(model)
    engine = run(model, start + 0.01)
    engine.set("ai.rate", 0.0)
    on(engine, start + 31.0)
    assert see(engine, "ai.requests") == [33]  # a round each 3 s, for ever


def test_held_tickets_come_back_after_the_think() -> None:
    stations = {
        "pool": Pool(tickets=10, to="net"),
        "net": Delay(time=Constant(value=1.0)),
    }
    ai = Agentic(rate=0.1, to="pool", parallel=3, holds=1.0, think=Constant(value=2.0))
    model = one_queue(clients={"ai": ai}, stations=stations)
    start = only_one(model)
    engine = run(model, start + 2.9)
    engine.set("ai.rate", 0.0)
    assert see(engine, "ai.succeeded", "pool.in_service", "net.inside") == [3, 3, 0]
    assert [item.element for item in engine.items()] == ["", "", ""]
    on(engine, start + 3.1)
    assert see(engine, "pool.in_service", "pool.left") == [0, 3]
    assert engine.items() == []


def test_the_first_success_ends_a_round_if_it_is_all_that_was_wanted() -> None:
    stations = {"db": queue(service=Constant(value=1.0))}
    ai = Agentic(rate=0.1, to="db", parallel=3, steps=2, first_wins=True, think=Constant(value=0.5))
    model = one_queue(clients={"ai": ai}, stations=stations)
    start = only_one(model)
    engine = run(model, start + 1.49)
    engine.set("ai.rate", 0.0)
    assert see(engine, "ai.requests") == [3]
    on(engine, start + 1.51)
    assert see(engine, "ai.requests", "ai.open") == [6, 5]


def test_redundant_requests_ask_for_the_same_key() -> None:
    def keys(distinct: float) -> set[int]:
        model = agents(keys=Zipf(keys=10**6, exponent=0.0), parallel=20, distinct=distinct)
        start = only_one(model)
        return {item.key for item in run(model, start).items()}

    assert len(keys(0.0)) == 1
    assert len(keys(1.0)) == 20
    assert 3 < len(keys(0.5)) < 18


def test_a_mutated_retry_draws_another_key() -> None:
    web = client(
        rate=0.1,
        timeout=1.0,
        retry=Retry(most=3),
        mutation=1.0,
        keys=Zipf(keys=10**6, exponent=0.0),
    )
    stations = {"db": queue(service=Constant(value=50.0), servers=9)}
    engine = run(one_queue(clients={"web": web}, stations=stations), 14.0)
    assert len({item.key for item in engine.items()}) == 4


def test_a_retry_meets_the_same_world() -> None:
    web = client(rate=0.1, timeout=1.0, retry=Retry(most=3), keys=Zipf(keys=10**6, exponent=0.0))
    stations = {"db": queue(service=Constant(value=50.0), servers=9)}
    engine = run(one_queue(clients={"web": web}, stations=stations), 14.0)
    assert len(engine.items()) == 4
    assert len({item.key for item in engine.items()}) == 1
