"""What stops the next major upgrade.

Owns the rules on objects that a later server refuses.
"""

from __future__ import annotations

from psycopg import sql

from howdah.check import harm, remedies
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture

_CLASSES = frozenset({"gist_inet_ops", "gist_cidr_ops"})  # of btree_gist; the core's is inet_ops
_REFUSED_BY = 19


@rule(
    id="btree-gist-inet",
    title="btree_gist index of inet or cidr",
    severity=Severity.WARNING,
    objects="GiST indexes",
    needs=("indexes", "relations"),
    what="A GiST index with btree_gist's operator class for inet or cidr.",
    why="The class keeps addresses as inexact numbers and may miss rows that are there. pg_upgrade "
    "to 19 refuses a cluster that has such an index.",
    wrong_when="The rows that are searched may be among those that the index finds: missing rows "
    "depend on the addresses.",
    source="PostgreSQL 19 release notes, migration; documentation, 'GiST Operator Classes'",
)
def btree_gist_inet(picture: Picture, _: Answers) -> Examination:
    """GiST indexes by their operator classes."""
    indexes = [index for index in picture.snapshot.indexes.rows if index.method == "gist"]
    return Examination(
        examined=len(indexes),
        of=len(indexes) + picture.snapshot.indexes.left_out,
        unknown=picture.snapshot.indexes.reason,
        findings=tuple(
            _refused(picture, index)
            for index in indexes
            if index.parent is None and _CLASSES & {*map(_class, index.operator_classes)}
        ),
    )


def _class(name: str) -> str:
    return name.partition("(")[0].rpartition(".")[2]


def _refused(picture: Picture, index: Index) -> Finding:
    name = f"{index.schema}.{index.name}"
    return Finding(
        rule="btree-gist-inet",
        object=name,
        severity=Severity.WARNING,
        claim=f"{name} uses btree_gist's class for network addresses, which may miss rows and "
        f"with which pg_upgrade to {_REFUSED_BY} refuses to run.",
        evidence=(
            {
                "index": name,
                "table": picture.relation_name(index.relation),
                "operator_classes": list(index.operator_classes),
                "definition": index.definition,
                "size_pages": picture.pages(index.oid),
                "server_major": picture.major,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="pg_opclass naming the core's inet_ops for this index",
        cost_if_wrong="one index is built anew with the core's class, which is as large",
        harm=harm.held(picture.pages(index.oid)) + harm.outage(None, share=0.01),
        remedies=(_core_class(picture, index),),
    )


def _core_class(picture: Picture, index: Index) -> Remedy:
    relation = picture.relations[index.relation]
    if index.is_exclusion or index.is_partitioned:
        kind = "exclusion constraint" if index.is_exclusion else "partitioned index"
        return remedies.manual(
            "rebuild-index",
            {"index": f"{index.schema}.{index.name}"},
            (),
            f"create the {kind} anew with inet_ops for the address and drop this one: it cannot "
            "be built concurrently, so it needs a quiet hour",
        )
    name = f"{index.name}"[:57] + "_inet"
    build = remedies.create_index(
        relation.schema,
        relation.name,
        name,
        _keys(index),
        method="gist",
        predicate=index.predicate or "",
    )
    drop = remedies.drop_index(index.schema, index.name, index.definition)
    undo = remedies.drop_index(index.schema, name, "")
    return remedies.statements(
        "rebuild-index",
        {"index": f"{index.schema}.{index.name}", "operator_class": "pg_catalog.inet_ops"},
        (*build.sql, *drop.sql),
        inverse=(*drop.inverse, *undo.sql),
        retry_safe=(*build.retry_safe, *drop.retry_safe[-1:]),
    )


def _keys(index: Index) -> str:
    """The key columns with their classes, those of btree_gist for addresses replaced."""
    keys = []
    for definition, name in zip(index.column_definitions, index.operator_classes, strict=False):
        plain, _, options = name.partition("(")
        chosen = "pg_catalog.inet_ops" if _class(name) in _CLASSES else plain
        quoted = sql.Identifier(*chosen.split(".")).as_string(None)
        keys.append(f"{definition} {quoted}{f'({options}' if options else ''}")
    included = index.column_definitions[index.key_count :]
    return ", ".join(keys) + (f") INCLUDE ({', '.join(included)}" if included else "")
