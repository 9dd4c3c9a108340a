-- name: session
-- purpose: triggers do not fire and foreign keys are not checked: values are made to fit
SELECT pg_catalog.set_config('session_replication_role', 'replica', false),
       pg_catalog.set_config('client_min_messages', 'error', false),
       pg_catalog.set_config('row_security', 'off', false)

-- name: columns
-- purpose: the columns of a table that can be written, with what their type is made of
SELECT a.attname::text AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       pg_catalog.format_type(base.oid, NULL) AS base_type,
       base.typname::text AS base_name,
       base.typtype::text AS typtype,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
       a.attnotnull OR t.typnotnull AS not_null,
       a.attidentity <> '' AS identity,
       CASE WHEN base.typcategory = 'A' THEN pg_catalog.format_type(base.typelem, NULL) END
         AS element_type,
       element.typname::text AS element_name,
       element.typtype::text AS element_typtype,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_enum e
         WHERE e.enumtypid = coalesce(element.oid, base.oid)) AS labels
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_type base
    ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  LEFT JOIN pg_catalog.pg_type element ON element.oid = base.typelem AND base.typcategory = 'A'
 WHERE a.attrelid = pg_catalog.to_regclass(%(table)s)
   AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 ORDER BY a.attnum

-- name: uniques
-- purpose: the plain columns of each unique index
SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.position) AS columns
  FROM pg_catalog.pg_index i
 CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = pg_catalog.to_regclass(%(table)s)
   AND i.indisunique AND k.position <= i.indnkeyatts
 GROUP BY i.indexrelid, i.indisprimary
 ORDER BY i.indisprimary DESC, i.indexrelid

-- name: foreign_keys
-- purpose: foreign keys of a table: its columns, the table they refer to, and the columns there
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.relname) AS parent,
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
               JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = c.conrelid AND a.attnum = k.attnum
              ORDER BY k.position) AS columns,
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
               JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = c.confrelid AND a.attnum = k.attnum
              ORDER BY k.position) AS referred
  FROM pg_catalog.pg_constraint c
  JOIN pg_catalog.pg_class p ON p.oid = c.confrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
 WHERE c.contype = 'f'
   AND c.conrelid = pg_catalog.to_regclass(%(table)s)
   AND (c.conparentid = 0 OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint up
         WHERE up.oid = c.conparentid AND up.conrelid = c.conrelid))
 ORDER BY c.oid

-- name: checks
-- purpose: check constraints of a table and of the domains of its columns
SELECT a.attname::text AS domain_of, pg_catalog.pg_get_constraintdef(c.oid) AS definition
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_constraint c ON c.contypid = a.atttypid AND c.contype = 'c'
 WHERE a.attrelid = pg_catalog.to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
 UNION ALL
SELECT NULL, pg_catalog.pg_get_constraintdef(c.oid)
  FROM pg_catalog.pg_constraint c
 WHERE c.conrelid = pg_catalog.to_regclass(%(table)s) AND c.contype = 'c'

-- name: leaves
-- purpose: the tables that hold rows of a table: its leaf partitions, or itself
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name
  FROM (SELECT tree.relid AS oid
          FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(table)s)) tree
         WHERE tree.isleaf
        UNION
        SELECT r.oid FROM pg_catalog.pg_class r
         WHERE r.oid = pg_catalog.to_regclass(%(table)s) AND r.relkind = 'r') AS leaf
  JOIN pg_catalog.pg_class c ON c.oid = leaf.oid AND c.relkind = 'r'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY c.oid

-- name: bounds
-- purpose: for a partition and every partition above it: the key of its parent and its bound
SELECT p.partstrat::text AS strategy,
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (attnum, position)
               LEFT JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = p.partrelid AND a.attnum = k.attnum
              ORDER BY k.position) AS keys,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
  FROM pg_catalog.pg_partition_ancestors(pg_catalog.to_regclass(%(table)s)) AS up (oid)
  JOIN pg_catalog.pg_class c ON c.oid = up.oid AND c.relispartition
  JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
  JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent

-- name: count
-- purpose: how many rows a table has; filled by psycopg.sql
SELECT pg_catalog.count(*) FROM {table}

-- name: insert
-- purpose: all rows of a table in one statement; filled by psycopg.sql
INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {values}
  FROM pg_catalog.generate_series({first}::bigint, {last}::bigint) AS series (n)
  {parents}
    ON CONFLICT DO NOTHING

-- name: parent
-- purpose: an existing row of the referred table for each row; filled by psycopg.sql
JOIN (SELECT pg_catalog.row_number() OVER () - 1 AS howdah_row, {columns}
        FROM {table} LIMIT {most}) AS {alias}
  ON {alias}.howdah_row = {n} % {count}

-- name: kill
-- purpose: delete rows evenly spread over the table; filled by psycopg.sql
DELETE FROM {table}
 WHERE ctid = ANY (ARRAY(
       SELECT numbered.place
         FROM (SELECT ctid AS place,
                      pg_catalog.row_number() OVER () AS n,
                      pg_catalog.count(*) OVER () AS total
                 FROM {table}) AS numbered
        WHERE numbered.n * {dead}::bigint / numbered.total
              > (numbered.n - 1) * {dead}::bigint / numbered.total))

-- name: set_sequence
-- purpose: the last value that a sequence gave out
SELECT pg_catalog.setval(pg_catalog.to_regclass(%(name)s), %(value)s, true)

-- name: sequence_exists
-- purpose: whether there is such a sequence
SELECT pg_catalog.to_regclass(%(name)s) IS NOT NULL

-- name: analyze
-- purpose: statistics of one table; filled by psycopg.sql
ANALYZE {table}
