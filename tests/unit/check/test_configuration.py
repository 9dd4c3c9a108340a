"""Rules on configuration, on hand-made pictures."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.configuration import (
    DANGERS,
    checksum_failures,
    dangerous_setting,
    dangers_of,
    pending_restart,
)
from howdah.snapshot.facts.catalog import Database, Setting
from tests.making import objects, picture, row, server, verdict


def setting(name: str, value: str, source: str = "configuration file") -> Setting:
    return row(Setting, name=name, value=value, source=source)


@pytest.mark.parametrize("danger", DANGERS, ids=lambda danger: danger.setting)
def test_every_danger_is_found_and_its_safe_value_is_not(danger: object) -> None:
    name, bad, good = (getattr(danger, field) for field in ("setting", "value", "safe"))
    assert objects(verdict(dangerous_setting, picture(settings=[setting(name, bad)]))) == {name}
    assert verdict(dangerous_setting, picture(settings=[setting(name, good)])).kind is Kind.OK


def test_the_table_is_keyed_by_version() -> None:
    names = {major: {danger.setting for danger in dangers_of(major)} for major in range(14, 19)}
    assert all("vacuum_defer_cleanup_age" in names[major] for major in (14, 15))
    assert all("vacuum_defer_cleanup_age" not in names[major] for major in (16, 17, 18))
    assert "old_snapshot_threshold" in names[16]
    assert "old_snapshot_threshold" not in names[17]


def test_numbers_are_compared_as_numbers() -> None:
    old = server(version_num=150018)
    bad = picture(of=old, settings=[setting("vacuum_defer_cleanup_age", "5000")])
    assert objects(verdict(dangerous_setting, bad)) == {"vacuum_defer_cleanup_age"}
    good = picture(
        of=old,
        settings=[
            setting("vacuum_defer_cleanup_age", "0"),
            setting("old_snapshot_threshold", "-1"),
        ],
    )
    assert verdict(dangerous_setting, good).kind is Kind.OK


def test_the_remedy_reaches_only_what_alter_system_reaches() -> None:
    file = picture(settings=[setting("fsync", "off")])
    (remedy,) = verdict(dangerous_setting, file).findings[0].remedies
    assert remedy.sql[0] == """ALTER SYSTEM SET "fsync" = 'on'"""
    assert remedy.shape.settings == {"fsync": "off"}
    fixed = picture(settings=[setting("fsync", "off", "command line")])
    assert verdict(dangerous_setting, fixed).findings[0].remedies[0].manual


def test_a_setting_that_waits_for_a_restart_is_found() -> None:
    waiting = row(Setting, name="shared_buffers", value="16384", unit="8kB", pending_restart=True)
    quiet = row(Setting, name="work_mem", value="4096", unit="kB")
    assert objects(verdict(pending_restart, picture(settings=[waiting, quiet]))) == {
        "shared_buffers"
    }
    assert verdict(pending_restart, picture(settings=[quiet])).kind is Kind.OK


def test_checksum_failures() -> None:
    def kind(count: int | None, settings: list[Setting] | None = None) -> Kind:
        shop = row(Database, name="shop", checksum_failures=count)
        return verdict(checksum_failures, picture(databases=[shop], settings=settings or [])).kind

    assert kind(3) is Kind.FINDING
    assert kind(0) is Kind.OK
    assert kind(None) is Kind.NOT_APPLICABLE
    assert kind(None, [setting("data_checksums", "on")]) is Kind.UNKNOWN
