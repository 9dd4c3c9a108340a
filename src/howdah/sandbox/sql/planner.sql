-- name: settings
-- purpose: a planner that uses an index wherever it can, plans for any value, and hides nothing
SELECT pg_catalog.set_config('enable_seqscan', %(seqscan)s, true),
       pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
       pg_catalog.set_config('enable_partition_pruning', %(pruning)s, true),
       pg_catalog.set_config('jit', 'off', true),
       pg_catalog.set_config('statement_timeout', '10s', true)

-- name: predicate
-- purpose: the statement whose plan answers "is this predicate served?"; filled by psycopg.sql
SELECT 1 FROM {table} WHERE {predicate}

-- name: prepare
-- purpose: name the statement, so that it gets a generic plan; filled by psycopg.sql
PREPARE howdah_question {types} AS {statement}

-- name: parameters
-- purpose: how many parameters the statement turned out to have
SELECT pg_catalog.cardinality(p.parameter_types)
  FROM pg_catalog.pg_prepared_statements p
 WHERE p.name = 'howdah_question'

-- name: explain
-- purpose: the generic plan; filled by psycopg.sql
EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE howdah_question {values}

-- name: deallocate
-- purpose: forget the statement
DEALLOCATE howdah_question

-- name: indexes
-- purpose: valid indexes of a table and its partitions: their keys and the index they belong to
SELECT i.indexrelid::bigint AS oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
       pg_catalog.quote_ident(rn.nspname) || '.' || pg_catalog.quote_ident(r.relname) AS root,
       a.amname::text AS method,
       pg_catalog.pg_get_indexdef(i.indexrelid, 1, false) AS leading_key
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am a ON a.oid = c.relam
  JOIN pg_catalog.pg_class r
    ON r.oid = coalesce(pg_catalog.pg_partition_root(i.indexrelid)::oid, i.indexrelid)
  JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
 WHERE i.indisvalid
   AND i.indrelid = ANY (ARRAY(
       SELECT pg_catalog.to_regclass(%(table)s)::oid
       UNION
       SELECT tree.relid::oid
         FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(table)s)) tree))
 ORDER BY 3, 2

-- name: hide_indexes
-- purpose: make the planner overlook indexes until the transaction is rolled back
UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = ANY(%(oids)s::oid[])

-- name: family
-- purpose: the table and its partitions, as EXPLAIN names them
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY (ARRAY(
       SELECT pg_catalog.to_regclass(%(table)s)::oid
       UNION
       SELECT tree.relid::oid
         FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(table)s)) tree))
