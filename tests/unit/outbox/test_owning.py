"""When a waiting relay may take over."""

from __future__ import annotations

from howdah.outbox.owning import Sight, Watch, is_stale, watched


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
