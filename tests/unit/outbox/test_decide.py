"""The relay's decisions: order within a key under any answers, crashes, and interventions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.outbox.decide import Item, Lane, State, item_of, judged
from howdah.outbox.model import Backoff, Policy
from howdah.outbox.sinks.sink import DELIVERED, Message, Outcome
from tests.unit.outbox.world import HELD, POISON, RETRY, World, message, states


def lane(policy: Policy = Policy.BLOCK, *, max_attempts: int = 3, pipelines: bool = True) -> Lane:
    return Lane(
        policy=policy,
        backoff=Backoff(first_seconds=1, most_seconds=4),
        max_attempts=max_attempts,
        pipelines_keys=pipelines,
        random=Random(1),
    )


def items(*keys: str | None) -> list[Item]:
    return [item_of(message(number, key), key=key) for number, key in enumerate(keys, 1)]


def filled(target: Lane, *keys: str | None) -> list[Item]:
    made = items(*keys)
    for item in made:
        target.add(item)
    return made


def ids(batch: Sequence[Item]) -> list[int]:
    return [item.id for item in batch]


def test_what_failed_goes_first_and_alone() -> None:
    target = lane()
    filled(target, "a", "a", "b")
    batch = target.next_batch(0.0, 10, 1000)
    target.settle(batch, [RETRY, HELD, DELIVERED], 0.0)
    assert target.next_batch(0.0, 10, 1000) == []
    due = target.next_due()
    assert due is not None
    assert 0.5 <= due <= 1.0
    probe = target.next_batch(due, 10, 1000)
    assert ids(probe) == [1]
    target.settle(probe, [DELIVERED], due)
    assert ids(target.next_batch(due, 10, 1000)) == [2]


def test_later_messages_wait_behind_a_failed_one() -> None:
    target = lane()
    filled(target, "a")
    target.settle(target.next_batch(0.0, 10, 1000), [RETRY], 0.0)
    for item in items("a", "b", "a"):
        target.add(item)
    assert ids(target.next_batch(0.0, 10, 1000)) == [2]


def test_a_call_that_failed_as_a_whole_counts_no_attempt_and_keeps_the_order() -> None:
    target = lane(max_attempts=1)
    made = filled(target, "a", None, "a", "b")
    for _ in range(5):
        batch = target.next_batch(0.0, 3, 1000)
        assert ids(batch) == [1, 2, 3]
        target.returned(batch, 0.0)
    assert states(made) == [State.PENDING] * 4


def test_an_outage_told_message_by_message_sets_nothing_aside() -> None:
    target = lane(max_attempts=2)
    made = filled(target, "a", "b", None)
    now = 0.0
    for _ in range(20):
        batch = target.next_batch(now, 10, 1000)
        target.settle(batch, [RETRY] * len(batch), now)
        now += 10
    assert states(made) == [State.PENDING] * 3


def test_attempts_count_while_others_are_delivered() -> None:
    target = lane(max_attempts=3)
    (bad,) = filled(target, "a")
    now = 0.0
    for number in range(3):
        target.add(item_of(message(100 + number, "b"), key="b"))
        batch = target.next_batch(now, 10, 1000)
        target.settle(batch, [RETRY if item is bad else DELIVERED for item in batch], now)
        now += 10
    assert bad.state is State.PARKING
    assert bad.attempts == 3


def test_block_and_park_set_the_whole_key_aside() -> None:
    for policy in (Policy.BLOCK, Policy.PARK):
        target = lane(policy)
        made = filled(target, "a", "a", "b", "a")
        batch = target.next_batch(0.0, 3, 1000)
        settled = target.settle(batch, [POISON, HELD, DELIVERED], 0.0)
        target.next_batch(0.0, 3, 1000)
        assert states(made) == [State.PARKING, State.PARKING, State.DELIVERED, State.PARKING]
        assert [item.behind for item in made] == [False, True, False, True]
        assert [item.id for item in settled.parked] == [1, 2]


def test_what_is_held_is_set_aside_with_a_probe_that_fails_for_good() -> None:
    target = lane(Policy.PARK)
    made = filled(target, "a", "a")
    target.settle(target.next_batch(0.0, 3, 1000), [RETRY, HELD], 0.0)
    probe = target.next_batch(9.0, 3, 1000)
    assert ids(probe) == [1]
    target.settle(probe, [POISON], 9.0)
    assert states(made) == [State.PARKING, State.PARKING]
    assert target.next_batch(99.0, 3, 1000) == []


def test_what_waits_for_the_next_call_is_set_aside_with_the_one_before() -> None:
    target = lane(Policy.BLOCK, pipelines=False)
    made = filled(target, "a", "a")
    target.settle(target.next_batch(0.0, 3, 1000), [POISON], 0.0)
    assert states(made) == [State.PARKING, State.PARKING]
    assert target.next_batch(99.0, 3, 1000) == []


def test_skip_sets_only_the_one_aside() -> None:
    target = lane(Policy.SKIP)
    made = filled(target, "a", "a")
    target.settle(target.next_batch(0.0, 3, 1000), [POISON, HELD], 0.0)
    assert ids(target.next_batch(0.0, 3, 1000)) == [2]
    assert made[0].state is State.PARKING


def test_without_a_key_only_the_message_waits() -> None:
    target = lane()
    filled(target, None, None)
    target.settle(target.next_batch(0.0, 1, 1000), [RETRY], 0.0)
    assert ids(target.next_batch(0.0, 10, 1000)) == [2]


def test_one_message_of_a_key_in_a_call_where_the_sink_needs_it() -> None:
    target = lane(pipelines=False)
    filled(target, "a", "a", "b", "a")
    first = target.next_batch(0.0, 10, 1000)
    assert ids(first) == [1, 3]
    target.settle(first, [DELIVERED, DELIVERED], 0.0)
    assert ids(target.next_batch(0.0, 10, 1000)) == [2]


def test_a_batch_has_a_limit_of_bytes_but_takes_one_message_of_any_size() -> None:
    target = lane()
    for number in range(3):
        target.add(item_of(message(number, "a", b"x" * 60), key="a"))
    assert len(target.next_batch(0.0, 10, 100)) == 2
    target.add(item_of(message(9, "b", b"x" * 500), key="b"))
    assert len(target.next_batch(0.0, 10, 100)) == 2


def test_refused_before_the_call_holds_what_is_behind_it() -> None:
    made = items("a", "a", "b", None)
    assert judged(made, [POISON, None, None, POISON]) == [POISON, HELD_BEFORE, None, POISON]


HELD_BEFORE = judged(items("a", "a"), [POISON, None])[1]

KEYS = st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=12)
STEPS = st.lists(
    st.sampled_from(["read", "send", "commit", "look", "crash", "replay", "down"]), max_size=60
)


def first_deliveries(world: World) -> dict[str | None, list[int]]:
    seen: set[int] = set()
    order: dict[str | None, list[int]] = defaultdict(list)
    for key, id in world.delivered:
        if id not in seen:
            seen.add(id)
            order[key].append(id)
    return order


def finish(world: World) -> None:
    """Everything is accepted now, and a person replays what was set aside."""
    for _ in range(400):
        if world.idle and not world.table:
            return
        if world.idle:
            world.replay()
        world.look()
        world.read()
        world.send(lambda _message: DELIVERED)
        world.commit()
    raise AssertionError(f"not finished: {world.table} {world.lane.parked_keys}")


@settings(max_examples=600, deadline=None)
@given(
    keys=KEYS,
    steps=STEPS,
    policy=st.sampled_from(list(Policy)),
    pipelines=st.booleans(),
    verdicts=st.lists(st.sampled_from([DELIVERED, DELIVERED, RETRY, POISON]), max_size=60),
)
def test_nothing_is_lost_and_keys_keep_their_order(
    keys: list[str | None],
    steps: list[str],
    policy: Policy,
    pipelines: bool,
    verdicts: list[Outcome],
) -> None:
    world = World(keys, policy, pipelines=pipelines)
    answers = iter(verdicts)

    def judge(_message: Message) -> Outcome | None:
        return next(answers, DELIVERED)

    moves: dict[str, Callable[[], None]] = {
        "read": world.read,
        "send": lambda: world.send(judge),
        "down": lambda: world.send(lambda _message: None),
        "commit": world.commit,
        "look": world.look,
        "replay": world.replay,
        "crash": world.restart,
    }
    for step in steps:
        moves[step]()
        covered = {id for _, id in world.delivered} | set(world.table)
        assert set(range(1, world.committed + 1)) <= covered, "the position passed a lost message"
    finish(world)
    assert {id for _, id in world.delivered} == set(range(1, len(keys) + 1))
    if policy is not Policy.SKIP:
        for key, order in first_deliveries(world).items():
            assert key is None or order == sorted(order), f"{key} arrived as {order}"


@settings(max_examples=200, deadline=None)
@given(keys=KEYS, steps=STEPS, pipelines=st.booleans())
def test_without_failures_every_message_arrives_once_per_incarnation_in_order(
    keys: list[str | None], steps: list[str], pipelines: bool
) -> None:
    world = World(keys, Policy.BLOCK, pipelines=pipelines)
    for step in [*steps, *(["read", "send", "commit"] * 40)]:
        if step == "crash":
            world.restart()
        elif step in ("read", "commit", "look"):
            getattr(world, step)()
        else:
            world.send(lambda _message: None if step == "down" else DELIVERED)  # noqa: B023 - called at once
        every = [id for _, id in world.incarnation]
        assert len(every) == len(set(every))
        for key in ("a", "b"):
            order = [id for each, id in world.incarnation if each == key]
            assert order == sorted(order)
    assert world.idle


def test_discarding_the_first_of_a_blocked_key_lets_the_others_go() -> None:
    world = World(["a", "a", "b", "a"], Policy.BLOCK, pipelines=True)
    world.read()
    world.send(lambda each: POISON if each.id == 1 else DELIVERED, most=10)
    world.send(lambda _each: DELIVERED)
    world.commit()
    assert sorted(world.table) == [1, 2, 4]
    world.discard(1)
    world.look()
    for _ in range(6):
        world.send(lambda _each: DELIVERED)
        world.commit()
    assert not world.table
    assert not world.lane.parked_keys
    assert [id for key, id in world.delivered if key == "a"] == [2, 4]
