"""On healthy schemas, just loaded and analysed, no rule reports what is not so.

The rules that do report, and why that is true:

- `redundant-index` and `foreign-key-without-index`: judged by their own oracles (`test_corpus`);
- `no-primary-key`: judged here, by the catalog;
- `dangerous-setting`: the test server runs with fsync off.
"""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind
from tests.corpus.conftest import Loaded
from tests.corpus.figures import FIGURES

# One worker loads the schemas, for all of these modules.
pytestmark = [pytest.mark.xdist_group("corpus"), pytest.mark.postgres(newest_by_default=True)]

TRUE = {"redundant-index", "foreign-key-without-index", "no-primary-key", "dangerous-setting"}


def test_no_rule_makes_noise(real: Loaded) -> None:
    noise = {
        rule: [finding.claim for finding in result.findings[:3]]
        for rule, result in real.results.items()
        if result.findings and rule not in TRUE
    }
    assert noise == {}


def test_the_only_dangerous_setting_is_the_test_servers_own(real: Loaded) -> None:
    assert real.reported("dangerous-setting") <= {"fsync"}


def test_tables_without_a_key_are_the_catalogs(
    real: Loaded, connection: psycopg.Connection
) -> None:
    """A key: the primary one, or unique, immediate, whole, of columns and none of them nullable."""
    found = connection.execute(
        """
        SELECT t.relname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE t.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND NOT EXISTS (
             SELECT FROM pg_index i WHERE i.indrelid = t.oid AND (i.indisprimary
               OR i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
                  AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid
                    AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)))
        """
    ).fetchall()
    assert real.reported("no-primary-key") == {name for (name,) in found}


def test_no_rule_is_ok_without_having_examined_anything(real: Loaded) -> None:
    empty = [r for r, each in real.results.items() if each.kind is Kind.OK and not each.examined]
    assert empty == []


def test_the_figures_are_as_recorded(real: Loaded) -> None:
    known = FIGURES[real.schema.name]
    if real.schema.version != known.version:
        pytest.skip(f"{real.schema.name} is {real.schema.version}, not {known.version}")
    relations = real.picture.user_relations
    kinds = {
        "tables": sum(relation.kind in "rp" for relation in relations),
        "indexes": real.results["redundant-index"].of,
        "foreign_keys": real.results["foreign-key-without-index"].of,
        "redundant": len(real.reported("redundant-index")),
        "unserved": len(real.reported("foreign-key-without-index")),
        "keyless": len(real.reported("no-primary-key")),
    }
    assert kinds == {name: getattr(known, name) for name in kinds}
