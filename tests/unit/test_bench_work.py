"""What a producing process emits and what a consuming one counts, without any server."""

from __future__ import annotations

import itertools
import json

from howdah.bench.phases import drain_rate, percentile
from howdah.bench.tally import Batch, Counted, Emission, Tally, Work, emitted_at
from howdah.clock import FakeClock


def test_the_three_forms_of_a_batch_are_the_same_items() -> None:
    batch = Batch(12.5, 7, 2, "xx")
    objects = batch.objects()
    assert [json.loads(text) for text in batch.texts()] == objects
    assert [json.loads(payload) for payload in batch.payloads()] == objects
    assert [each["n"] for each in objects] == [7, 8]
    assert {emitted_at(each) for each in batch.payloads()} == {12.5}


def test_an_item_has_about_the_wanted_size() -> None:
    emission = Emission(Work(batch_items=1, payload_bytes=200, items=1), FakeClock())
    (batch,) = emission.batches()
    assert abs(len(batch.payloads()[0]) - 200) < 30


def test_as_many_items_as_wanted_in_whole_batches() -> None:
    emission = Emission(Work(batch_items=10, payload_bytes=64, items=25), FakeClock())
    assert [each.count for each in emission.batches()] == [10, 10, 10]
    assert emission.count == 30


def test_a_given_rate_is_kept_and_the_warm_up_is_not_timed() -> None:
    clock = FakeClock()
    work = Work(
        batch_items=1, payload_bytes=64, seconds=1.0, rate_per_second=10, warm_up_seconds=0.5
    )
    at = [batch.at for batch in Emission(work, clock).batches()]
    assert len(at) == 15
    assert at[:5] == [0.0] * 5
    assert all(later - earlier > 0.099 for earlier, later in itertools.pairwise(at[5:]))


def test_a_late_item_counts_from_when_it_was_due() -> None:
    clock = FakeClock()
    work = Work(batch_items=1, payload_bytes=64, seconds=1.0, rate_per_second=10)
    found = []
    for batch in Emission(work, clock).batches():
        found.append((clock.monotonic(), batch.at))
        if len(found) == 3:
            clock.sleep(0.5)  # the third insert stalls
    now, due = found[3]
    assert now - due > 0.3, "a stall must not hide the waiting of those behind it"


def test_an_allowance_holds_the_producer_back() -> None:
    emission = Emission(Work(batch_items=5, payload_bytes=64, allowance=True), FakeClock())
    emission.allowance.raise_to(12)
    batches = emission.batches()
    assert [next(batches).first, next(batches).first] == [0, 5]
    emission.allowance.stop()
    assert list(batches) == []


def test_a_queue_handles_one_by_one_and_a_log_by_the_batch() -> None:
    for each, first in ((True, 1), (False, 3)):
        tally = Tally(FakeClock(), timing=False, each=each)
        tally.items([b'{"n": 1}', b'{"n": 2}', b'{"n": 3}'])
        assert tally.counted().count == 3
        assert tally.counted().first_count == first


def test_latency_runs_from_emission_to_handling() -> None:
    clock = FakeClock()
    clock.sleep(10)
    tally = Tally(clock, timing=True)
    tally.item(Batch(9.75, 0, 1, "").payloads()[0])
    tally.item({"at": 0.0})  # of the warm-up
    assert tally.counted(whole=True).latencies_ms == (250.0,)
    assert tally.counted().latencies_ms == ()


def test_percentiles_by_nearest_rank() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([3.0], 0.5) == 3.0


def test_a_drain_leaves_out_what_took_no_time() -> None:
    one = Counted(count=1100, first_at=1.0, first_count=100, last_at=3.0)
    assert drain_rate([one]) == 500.0
    assert drain_rate([one, Counted()]) == 500.0
    assert drain_rate([Counted(count=5, first_at=1.0, first_count=5, last_at=1.0)]) is None
