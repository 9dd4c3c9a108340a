"""Plans and refusals, from values alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from howdah.errors import Cannot, Denied, Unsupported
from howdah.schema import Component, script
from howdah.schema.decide import plan_install, plan_upgrade, refuse, skew, with_requirements
from howdah.schema.model import LEDGER, ROLES, Here, Phase, Plan
from howdah.schema.scripts import scripts
from tests.postgres.schema.toys import Toyshop, shop

__all__ = ["shop"]

EMPTY = Here(
    database="shop",
    user="ann",
    standby=False,
    read_only=False,
    superuser=False,
    may_create_roles=True,
    may_create_schema=True,
    schema_owner=None,
    may_be_schema_owner=False,
    occupied=False,
    ledger=False,
    roles=(),
    may_be_owner_role=False,
    granted=False,
)
THERE = msgspec.structs.replace(
    EMPTY,
    schema_owner="howdah_owner",
    may_be_schema_owner=True,
    occupied=True,
    ledger=True,
    roles=ROLES,
    may_be_owner_role=True,
    granted=True,
)
ADDED = Phase.EXPAND
LEDGER_ROW = {"schema": {1: ADDED}}


def words(plan: Plan) -> list[str]:
    return [step.what for step in plan.steps]


def test_requirements_come_first_and_once(shop: Toyshop) -> None:
    toy = shop.toy(1)
    pet = shop.pet(toy)
    assert with_requirements([pet, toy, pet]) == (LEDGER, toy, pet)
    with pytest.raises(ValueError, match="two different components are named 'toy'"):
        with_requirements([pet, shop.toy(2)])


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"standby": True, "read_only": True}, "on a standby"),
        ({"read_only": True}, "read-only for ann"),
        ({"ledger": False}, "not Howdah's"),
        ({"may_be_schema_owner": False}, "belongs to howdah_owner"),
    ],
)
def test_refusals(change: dict[str, bool], refusal: str) -> None:
    refuse(THERE)
    refuse(EMPTY)
    with pytest.raises((Cannot, Denied), match=refusal):
        refuse(msgspec.structs.replace(THERE, **change))


def test_who_owns_a_new_schema(shop: Toyshop) -> None:
    def ownership(**change: object) -> list[str]:
        plan = plan_install(msgspec.structs.replace(EMPTY, **change), {}, [shop.toy(1)])
        return [what for what in words(plan) if what.startswith(("schema howdah", "act", "become"))]

    with_role = ["schema howdah of howdah_owner", "act as howdah_owner"]
    assert ownership() == ["become howdah_owner", *with_role]
    assert ownership(superuser=True) == with_role
    assert ownership(roles=ROLES, may_be_owner_role=True) == with_role
    assert ownership(roles=ROLES) == ["schema howdah of ann"]
    assert ownership(may_create_roles=False) == ["schema howdah of ann"]
    with pytest.raises(Denied, match="may not create a schema"):
        ownership(may_create_schema=False)


def test_rights_wait_for_all_roles(shop: Toyshop) -> None:
    some = msgspec.structs.replace(EMPTY, may_create_roles=False, roles=ROLES[:2])
    plan = plan_install(some, {}, [shop.toy(1)])
    assert not [what for what in words(plan) if "grants" in what]
    assert 'CREATE ROLE "howdah_producer" NOLOGIN;' in plan.notes[0]
    assert "howdah_owner" not in plan.notes[0]


def test_what_fits(shop: Toyshop) -> None:
    """Additions that the library does not know are fine, removals are not."""
    two, three, four = shop.toy(2), shop.toy(3), shop.toy(4)
    first: dict[int, Phase] = {1: ADDED, 2: ADDED}
    contracted = {**first, 3: Phase.CONTRACT}
    fits = [
        (two, first, True),
        (three, first, True),
        (four, first, False),
        (two, {1: ADDED}, False),
        (two, {**first, 4: ADDED}, True),
        (two, contracted, False),
        (three, contracted, True),
        (three, {**contracted, 4: ADDED}, True),
        (four, {**first, 4: ADDED}, True),
    ]
    for component, versions, runs in fits:
        why = skew(component, {"toy": versions})
        assert (why is None) is runs, (component.version, versions)
        assert why is None or why.hint


def test_an_upgrade_that_would_go_back_is_refused(shop: Toyshop) -> None:
    applied = {**LEDGER_ROW, "toy": {1: ADDED, 2: ADDED, 3: Phase.CONTRACT}}
    with pytest.raises(Unsupported, match="only knows 2"):
        plan_upgrade(THERE, applied, [shop.toy(2)], contract=True)
    assert plan_upgrade(THERE, applied, [shop.toy(3)], contract=True).nothing_to_do


def test_the_script_is_one_transaction(shop: Toyshop) -> None:
    plan = plan_install(EMPTY, {}, [shop.toy(1)])
    text = script(plan, lock_timeout_seconds=1.5)
    assert text.startswith("BEGIN;\n")
    assert text.endswith("COMMIT;")
    assert "lock_timeout = '1500ms'" in text
    assert script(Plan()) == ""


@pytest.mark.parametrize(
    ("version", "files", "complaint"),
    [
        (2, {}, "needs one migration for each of 1 to 2"),
        (2, {"0001_a.sql": "-- phase: expand\n"}, "found \\[1\\]"),
        (1, {"1_a.sql": "-- phase: expand\n"}, "is not named NNNN_"),
        (1, {"0001_a.sql": "SELECT 1"}, "first line of 0001_a.sql"),
        (1, {"0001_a.sql": "-- phase: later\n"}, "first line of 0001_a.sql"),
        (1, {"0001_a.sql": "-- phase: contract\n"}, "the first schema is an expansion"),
    ],
)
def test_malformed_packages(
    shop: Toyshop, version: int, files: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        scripts(shop.component("toy", version, "SELECT 1", files))


def test_components_are_checked() -> None:
    for name, version in (("two words", 1), ("Toy", 1), ("toy_box", 1), ("toy", 0)):
        with pytest.raises(ValueError, match=r"one lower-case word|count from 1"):
            Component(name=name, version=version, package="x")


def test_each_folder_of_scripts_is_read_once(shop: Toyshop, tmp_path: Path) -> None:
    toy = shop.toy(2)
    assert scripts(toy) is scripts(toy)
    assert scripts(toy).needed == {1, 2}
    assert scripts(shop.toy(4)).needed == {1, 2, 4}
