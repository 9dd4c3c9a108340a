-- What is measured on the objects themselves, outside the picture and within a budget.

-- name: sizes
-- purpose: bytes of the largest tables and indexes now
-- pg_relation_size opens the relation: it waits behind ACCESS EXCLUSIVE, and costs tens of
-- microseconds, so the tail of a very large schema keeps the pages of its catalog entry.
SELECT r.oid AS relation, pg_catalog.pg_relation_size(r.oid) AS bytes
FROM (
  SELECT c.oid
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm', 'i')
    AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND c.oid <> ALL (%(locked)s::oid[])
  ORDER BY
    greatest(c.relpages, pg_catalog.pg_stat_get_live_tuples(c.oid) / 50) DESC, c.oid
  LIMIT %(limit)s
) AS r

-- name: sizes_left_out
-- purpose: how many tables and indexes there are to be measured
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'i')
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')

-- name: table_space
-- purpose: dead and free space of tables; reads the pages that are not all-visible
SELECT
  c.oid AS relation, s.table_len AS bytes, s.scanned_percent / 100 AS scanned_fraction,
  s.dead_tuple_percent / 100 AS dead_tuple_fraction, s.approx_free_percent / 100 AS free_fraction
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL {schema}.pgstattuple_approx(c.oid::pg_catalog.regclass) AS s
WHERE c.oid = ANY (%(chosen)s::oid[]) AND c.oid <> ALL (%(locked)s::oid[])

-- name: index_space
-- purpose: how full the pages of B-trees are; reads every page
SELECT
  c.oid AS index, s.index_size AS bytes, s.leaf_pages, s.empty_pages, s.deleted_pages,
  s.internal_pages,
  coalesce(nullif(s.avg_leaf_density, 'NaN'), 0) / 100 AS leaf_density,
  coalesce(nullif(s.leaf_fragmentation, 'NaN'), 0) / 100 AS fragmentation
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL {schema}.pgstatindex(c.oid::pg_catalog.regclass) AS s
WHERE c.oid = ANY (%(chosen)s::oid[]) AND c.oid <> ALL (%(locked)s::oid[])

-- name: pending_lists
-- purpose: the pending lists of GIN indexes; reads one page each
SELECT c.oid AS index, s.pending_pages AS pages, s.pending_tuples AS tuples
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL {schema}.pgstatginindex(c.oid::pg_catalog.regclass) AS s
WHERE c.oid = ANY (%(chosen)s::oid[]) AND c.oid <> ALL (%(locked)s::oid[])

-- name: multixact_range
-- purpose: the living MultiXacts: the oldest that any database needs, and how many follow
-- The next one is not readable itself, but every mxid_age is a distance to it.
SELECT
  o.oldest, o.age AS count,
  extract(epoch FROM pg_catalog.clock_timestamp() - k.checkpoint_time)::float8
    AS seconds_since_checkpoint
FROM (
  SELECT d.datminmxid::text::int8 AS oldest, pg_catalog.mxid_age(d.datminmxid)::int8 AS age
  FROM pg_catalog.pg_database AS d
  ORDER BY pg_catalog.mxid_age(d.datminmxid) DESC
  LIMIT 1
) AS o
CROSS JOIN pg_catalog.pg_control_checkpoint() AS k

-- name: multixact_members
-- purpose: how many members each of the given MultiXacts has
SELECT i.at, pg_catalog.count(m.xid) AS members
FROM pg_catalog.unnest(%(ids)s::int8[]) WITH ORDINALITY AS i (id, at)
LEFT JOIN LATERAL pg_catalog.pg_get_multixact_members(i.id::text::xid) AS m ON true
GROUP BY i.at
ORDER BY i.at
