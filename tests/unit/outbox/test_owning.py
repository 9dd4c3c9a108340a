"""When a waiting relay may take over."""

from __future__ import annotations

from howdah.outbox.owning import Instance, Sight, Watch, is_stale, owner_of, replaced, watched


def test_an_idle_owner_is_never_stale() -> None:
    watch = Watch()
    for now in range(0, 1000, 10):
        watch = watched(watch, Sight(mark=5, working=False), float(now))
        assert not is_stale(watch, float(now), 15)


def test_work_after_a_long_silence_starts_the_lease() -> None:
    watch = watched(Watch(), Sight(mark=5, working=False), 0.0)
    watch = watched(watch, Sight(mark=5, working=True), 1000.0)
    assert not is_stale(watch, 1000.0, 15)
    watch = watched(watch, Sight(mark=5, working=True), 1014.0)
    assert not is_stale(watch, 1014.0, 15)
    assert is_stale(watch, 1015.0, 15)


def test_every_sign_of_life_starts_it_anew() -> None:
    watch = Watch()
    for now in range(0, 100, 10):
        watch = watched(watch, Sight(mark=now, working=True), float(now))
        assert not is_stale(watch, float(now), 15)


def test_the_owner_is_named_as_it_wrote_itself_into_the_ledger() -> None:
    other = Instance(name="shop-1/77", since="2026-05-04T03:02:01+00:00")
    error = replaced("orders", 4, owner_of(5, other.note))
    assert error.message == (
        "the relay of outbox orders is superseded by"
        " shop-1/77 at 2026-05-04T03:02:01+00:00 (epoch 5)"
    )
    assert error.detail == "This one was epoch 4."


def test_an_owner_without_a_name_is_an_epoch() -> None:
    assert str(owner_of(5, None)) == str(owner_of(5, '{"of": "another version"}')) == "epoch 5"
