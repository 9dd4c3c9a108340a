"""The remedies of index rules on a real schema: each is proven on a sandbox of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from howdah.check.api import diagnose, schema_source
from howdah.check.model import Kind
from howdah.check.rules.foreign_keys import foreign_key_without_index
from howdah.check.rules.redundancy import redundant_index
from tests.corpus.conftest import Loaded
from tests.corpus.schemas import CORPUS, FETCH, Schema

# One worker loads the schemas, for all of these modules.
pytestmark = pytest.mark.xdist_group("corpus")

KEA = next(schema for schema in CORPUS if schema.name == "kea")


@pytest.mark.postgres(newest=True)
def test_every_remedy_is_proven(load: Callable[[Schema], Loaded]) -> None:
    """Kea has both kinds: indexes to drop and foreign keys that lack one."""
    if not KEA.is_present:
        pytest.skip(f"the schema kea is not here. Try: {FETCH} kea")
    loaded = load(KEA)
    snapshot = loaded.picture.snapshot
    rules = [redundant_index, foreign_key_without_index]
    source = schema_source(loaded.database.dsn, snapshot)
    diagnosis = diagnose(snapshot, rules=rules, schema=source)
    assert {result.kind for result in diagnosis.results} == {Kind.FINDING}
    unproven = {
        finding.id: remedy.proof.reason if remedy.proof else "not tried"
        for result in diagnosis.results
        for finding in result.findings
        for remedy in finding.remedies
        if not remedy.proven
    }
    assert unproven == {}
