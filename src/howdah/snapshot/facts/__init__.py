"""The rows that a snapshot is made of, one frozen struct per kind of fact.

Owns shapes and units only: a field's name and type equal the column of the query that fills it,
which a test verifies on every supported server. Must never hold row data of a user's table.

`fact` is the wrapper that says whether the rows are there; `catalog`, `counters`, `activity`,
`replication` and `measured` hold the rows by where they come from.
"""

from howdah.snapshot.facts.fact import Fact, Status

__all__ = ["Fact", "Status"]
