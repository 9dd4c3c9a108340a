"""T24: what is wrong with a partitioned table is wrong with each leaf, and is said once."""

from __future__ import annotations

import re
from collections import Counter

from howdah.check.ask import answers
from howdah.check.evaluate import evaluate, questions, ranked
from howdah.check.rules import all_rules
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.testing import Database
from tests.diagnosing import take_picture

LEAVES = 6

# Diseases of every leaf; deleting comes before publishing, which forbids it.
ILL = """
CREATE EXTENSION pgstattuple;
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 100);
CREATE TABLE m (id serial, k int NOT NULL, p int, body text) PARTITION BY LIST (k);
{leaves}
ALTER TABLE m ADD FOREIGN KEY (p) REFERENCES parent;
ALTER TABLE m ADD CONSTRAINT late CHECK (id > 0) NOT VALID;
CREATE INDEX m_k ON m (k);
CREATE INDEX m_k_id ON m (k, id);
SELECT setval('m_id_seq', 2140000000);
INSERT INTO m (k, p, body) SELECT i % 6, 1 + i % 100, repeat('x', 500)
  FROM generate_series(1, 24000) AS i;
DELETE FROM m WHERE id % 8 > 0;
CREATE PUBLICATION leaves FOR TABLE m;
"""
LEAF = "CREATE TABLE m_{0} PARTITION OF m FOR VALUES IN ({0}) WITH (autovacuum_enabled = false);"
EXPECTED = {
    "autovacuum-off",
    "foreign-key-without-index",
    "no-primary-key",
    "not-valid-constraint",
    "published-without-identity",
    "redundant-index",
    "sequence-exhaustion",
}


def test_t24_no_rule_reports_a_partitioned_table_leaf_by_leaf(database: Database) -> None:
    with database.connect() as connection:
        leaves = "\n".join(LEAF.format(number) for number in range(LEAVES))
        connection.execute(ILL.format(leaves=leaves).encode())
    picture, rules = take_picture(database), all_rules()
    with Sandbox.from_schema(dump_schema(database.dsn), server=database.server) as sandbox:
        results = evaluate(picture, rules, answers(sandbox, questions(picture, rules)))
    about = [each for each in ranked(results) if each.object.startswith("public.m")]
    assert {each.rule for each in about} >= EXPECTED
    assert not [each.id for each in about if re.match(r"public\.m_\d", each.object)]
    repeated = {rule: count for rule, count in Counter(e.rule for e in about).items() if count > 1}
    assert repeated == {}
