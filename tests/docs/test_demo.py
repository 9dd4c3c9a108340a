"""`howdah demo`, run once as a newcomer runs it: the story ends well, and the README shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_pages import ROOT, matches

TEXT_BLOCK = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.xdist_group("demo")

# Planted in demo/shop.py and demo/traffic.py; each must be found.
PLANTED = {
    "published-without-identity: shop.audit",
    "sequence-exhaustion: shop.shipment_numbers",
    "foreign-key-without-index: shop.order_items.order_items_order_id_fkey",
    "horizon-held: database shop",
    "dead-rows: shop.outbox",
    "autovacuum-off: shop.carts",
    "invalid-index: shop.audit_who",
    "partition-parent-never-analyzed: shop.events",
    "redundant-index: shop.orders_customer",
    "not-valid-constraint: shop.orders.orders_total_positive",
    "no-future-partition: shop.events",
    "multixact-foreign-keys: shop.warehouses",
    "predicate-misses-index: shop.products",
}
# Turned ok by a proven remedy, or by ending the forgotten report.
CURED = {
    "published-without-identity: shop.audit",
    "foreign-key-without-index: shop.order_items.order_items_order_id_fkey",
    "horizon-held: database shop",
    "autovacuum-off: shop.carts",
    "invalid-index: shop.audit_who",
    "partition-parent-never-analyzed: shop.events",
    "redundant-index: shop.orders_customer",
    "not-valid-constraint: shop.orders.orders_total_positive",
}


def test_the_demo_finds_what_was_planted_and_cures_what_it_proved(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "howdah", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        # Not HOWDAH_RUN_DIR: commits as fast as memory would leave few MultiXacts to be found.
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "COLUMNS": "80"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = set(re.findall(r"^(?:CRITICAL|WARNING|NOTICE) (.+)$", ran.stdout, re.MULTILINE))
    missing = {each for each in PLANTED if not any(line.startswith(each) for line in found)}
    assert not missing, ran.stdout
    cured = set(re.findall(r"^   cured +(.+)$", ran.stdout, re.MULTILINE))
    assert cured >= CURED, ran.stdout
    page = (tmp_path / "howdah-report.html").read_text()
    assert "Before and after" in page
    shown = TEXT_BLOCK.search((ROOT / "README.md").read_text())
    assert shown is not None
    assert matches(without_figures(shown[1]), without_figures(ran.stdout)), ran.stdout


def without_figures(text: str) -> str:
    """Figures differ from run to run; the README shows those of one."""
    return re.sub(r"\d[\d,.]*", "#", text)
