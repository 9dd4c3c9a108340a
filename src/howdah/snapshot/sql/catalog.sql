-- What the catalogs say exists. Column names are the fields of the row structs, in their order.
-- What grows with the number of relations takes those with oids from %(low)s to %(high)s, which are
-- all of them unless a fact had to be sliced.
-- Functions that open a relation wait behind ACCESS EXCLUSIVE: pg_get_indexdef, pg_get_expr with a
-- relation, pg_get_partkeydef and pg_get_constraintdef of a CHECK or EXCLUDE constraint.
-- pg_sequence_last_value waits behind SHARE and stronger. They are not called for relations in %(locked)s.

-- name: databases [-14]
-- purpose: every database with its ages and counters
SELECT
  d.oid, d.datname AS name, d.datname = pg_catalog.current_database() AS is_current,
  d.datallowconn AS allows_connections, d.datistemplate AS is_template,
  pg_catalog.age(d.datfrozenxid) AS xid_age, pg_catalog.mxid_age(d.datminmxid) AS mxid_age,
  'c' AS collation_provider, NULL::text AS collation_version, NULL::text AS collation_version_actual,
  coalesce(s.numbackends, 0) AS connections,
  coalesce(s.xact_commit, 0) AS commits, coalesce(s.xact_rollback, 0) AS rollbacks,
  coalesce(s.blks_read, 0) AS blocks_read, coalesce(s.blks_hit, 0) AS blocks_hit,
  coalesce(s.temp_files, 0) AS temp_files, coalesce(s.temp_bytes, 0) AS temp_bytes,
  coalesce(s.deadlocks, 0) AS deadlocks, s.checksum_failures,
  coalesce(s.sessions, 0) AS sessions, coalesce(s.active_time, 0) AS active_milliseconds,
  pg_catalog.replace(s.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_database AS d
LEFT JOIN pg_catalog.pg_stat_database AS s ON s.datid = d.oid

-- name: databases [15-]
-- purpose: every database with its ages, counters and collation version
SELECT
  d.oid, d.datname AS name, d.datname = pg_catalog.current_database() AS is_current,
  d.datallowconn AS allows_connections, d.datistemplate AS is_template,
  pg_catalog.age(d.datfrozenxid) AS xid_age, pg_catalog.mxid_age(d.datminmxid) AS mxid_age,
  d.datlocprovider::text AS collation_provider, d.datcollversion AS collation_version,
  pg_catalog.pg_database_collation_actual_version(d.oid) AS collation_version_actual,
  coalesce(s.numbackends, 0) AS connections,
  coalesce(s.xact_commit, 0) AS commits, coalesce(s.xact_rollback, 0) AS rollbacks,
  coalesce(s.blks_read, 0) AS blocks_read, coalesce(s.blks_hit, 0) AS blocks_hit,
  coalesce(s.temp_files, 0) AS temp_files, coalesce(s.temp_bytes, 0) AS temp_bytes,
  coalesce(s.deadlocks, 0) AS deadlocks, s.checksum_failures,
  coalesce(s.sessions, 0) AS sessions, coalesce(s.active_time, 0) AS active_milliseconds,
  pg_catalog.replace(s.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_database AS d
LEFT JOIN pg_catalog.pg_stat_database AS s ON s.datid = d.oid

-- name: settings
-- purpose: the configuration as new sessions of this role get it, secrets withheld
-- What our session pinned shows its reset value. Connection strings, shell commands and
-- parameters that no module of PostgreSQL declares may hold passwords: only "is it set" is told.
SELECT
  s.name,
  CASE
    WHEN v.value = '' OR v.value = '(disabled)' THEN v.value
    WHEN s.name IN ('primary_conninfo', 'primary_slot_name', 'krb_server_keyfile')
      OR s.name LIKE '%%\_command'
      OR (s.category = 'Customized Options' AND s.vartype = 'string' AND s.boot_val IS NULL)
    THEN '<withheld>'
    ELSE v.value
  END AS value,
  s.unit,
  CASE
    WHEN s.source <> 'session' THEN s.source
    WHEN s.reset_val IS NOT DISTINCT FROM s.boot_val THEN 'default'
    ELSE 'unknown'
  END AS source,
  s.boot_val AS default,
  s.pending_restart,
  s.vartype AS kind,
  s.context
FROM pg_catalog.pg_settings AS s
CROSS JOIN LATERAL (
  SELECT coalesce(CASE WHEN s.source = 'session' THEN s.reset_val ELSE s.setting END, '') AS value
) AS v

-- name: relations [-17]
-- purpose: tables, partitioned tables, materialised views and foreign tables with their TOAST
SELECT
  c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
  c.relpersistence::text AS persistence, c.relispartition AS is_partition,
  c.oid IN (
    SELECT e.objid FROM pg_catalog.pg_depend AS e
    WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e'
  ) AS is_extension_member,
  c.relispopulated AS is_populated,
  c.oid = ANY (%(locked)s::oid[]) AS is_locked,
  m.amname AS access_method,
  c.reltuples::float8 AS tuples, c.relpages AS pages, c.relallvisible AS all_visible_pages,
  NULL::int4 AS all_frozen_pages,
  CASE WHEN c.relfrozenxid <> '0'::xid THEN pg_catalog.age(c.relfrozenxid) END AS xid_age,
  CASE WHEN c.relminmxid <> '0'::xid THEN pg_catalog.mxid_age(c.relminmxid) END AS mxid_age,
  t.oid AS toast_oid, coalesce(t.relpages, 0) AS toast_pages,
  CASE WHEN t.relfrozenxid <> '0'::xid THEN pg_catalog.age(t.relfrozenxid) END AS toast_xid_age,
  CASE WHEN t.relminmxid <> '0'::xid THEN pg_catalog.mxid_age(t.relminmxid) END AS toast_mxid_age,
  c.relreplident::text AS replica_identity,
  coalesce(c.reloptions, '{}') AS options,
  coalesce(t.reloptions, '{}') AS toast_options,
  CASE
    WHEN c.relpersistence <> 't' THEN NULL
    WHEN n.oid = pg_catalog.pg_my_temp_schema() THEN true
    WHEN pg_catalog.current_setting('server_version_num')::int4 < 160000 THEN NULL
    ELSE EXISTS (
      SELECT FROM pg_catalog.pg_stat_get_backend_idset() AS b (id)
      WHERE n.nspname = 'pg_temp_' || b.id
    )
  END AS temp_session_alive
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
WHERE c.relkind IN ('r', 'p', 'm', 'f')
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: relations [18-]
-- purpose: tables, partitioned tables, materialised views and foreign tables with their TOAST
SELECT
  c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
  c.relpersistence::text AS persistence, c.relispartition AS is_partition,
  c.oid IN (
    SELECT e.objid FROM pg_catalog.pg_depend AS e
    WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e'
  ) AS is_extension_member,
  c.relispopulated AS is_populated,
  c.oid = ANY (%(locked)s::oid[]) AS is_locked,
  m.amname AS access_method,
  c.reltuples::float8 AS tuples, c.relpages AS pages, c.relallvisible AS all_visible_pages,
  c.relallfrozen AS all_frozen_pages,
  CASE WHEN c.relfrozenxid <> '0'::xid THEN pg_catalog.age(c.relfrozenxid) END AS xid_age,
  CASE WHEN c.relminmxid <> '0'::xid THEN pg_catalog.mxid_age(c.relminmxid) END AS mxid_age,
  t.oid AS toast_oid, coalesce(t.relpages, 0) AS toast_pages,
  CASE WHEN t.relfrozenxid <> '0'::xid THEN pg_catalog.age(t.relfrozenxid) END AS toast_xid_age,
  CASE WHEN t.relminmxid <> '0'::xid THEN pg_catalog.mxid_age(t.relminmxid) END AS toast_mxid_age,
  c.relreplident::text AS replica_identity,
  coalesce(c.reloptions, '{}') AS options,
  coalesce(t.reloptions, '{}') AS toast_options,
  CASE
    WHEN c.relpersistence <> 't' THEN NULL
    ELSE EXISTS (
      SELECT FROM pg_catalog.pg_stat_get_backend_idset() AS b (id)
      WHERE n.nspname = 'pg_temp_' || b.id
    )
  END AS temp_session_alive
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
WHERE c.relkind IN ('r', 'p', 'm', 'f')
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: columns
-- purpose: the columns of users' relations
WITH RECURSIVE base AS (
  SELECT t.oid, t.typbasetype AS below FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd'
  UNION ALL
  SELECT b.oid, t.typbasetype
  FROM base AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.below AND t.typtype = 'd'
)
SELECT
  a.attrelid AS relation, a.attnum AS number, a.attname AS name,
  pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
  t.typname AS base_type, tn.nspname AS type_schema,
  a.attnotnull AS not_null, a.atthasdef AS has_default,
  CASE
    WHEN a.attrelid <> ALL (%(locked)s::oid[]) THEN pg_catalog.pg_get_expr(e.adbin, e.adrelid)
  END AS default,
  a.attidentity::text AS identity, a.attgenerated::text AS generated,
  a.attcollation AS collation,
  coalesce(a.attstattarget, -1)::int4 AS statistics_target,
  coalesce(a.attoptions, '{}') AS options
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attrdef AS e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
LEFT JOIN base AS b
  JOIN pg_catalog.pg_type AS bt ON bt.oid = b.below AND bt.typtype <> 'd'
  ON b.oid = a.atttypid
JOIN pg_catalog.pg_type AS t ON t.oid = coalesce(b.below, a.atttypid)
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.typnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f')
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND a.attnum > 0
  AND NOT a.attisdropped
  AND a.attrelid >= %(low)s::oid AND a.attrelid <= %(high)s::oid
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: columns_left_out
-- purpose: how many defaults are not read because their table is locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_attrdef AS e
WHERE e.adrelid = ANY (%(locked)s::oid[])

-- name: indexes
-- purpose: the indexes of users' relations
-- A definition without surprises is put together here: pg_get_indexdef costs tens of microseconds,
-- which 100,000 indexes turn into seconds of held snapshot. A test compares the two.
WITH classes AS MATERIALIZED (
  SELECT
    d.indclass,
    ARRAY(
      SELECT n.nspname || '.' || o.opcname
      FROM pg_catalog.unnest(d.indclass::oid[]) WITH ORDINALITY AS k (oid, at)
      JOIN pg_catalog.pg_opclass AS o ON o.oid = k.oid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace
      ORDER BY k.at
    ) AS names,
    ARRAY(
      SELECT CASE WHEN o.opcdefault AND n.nspname = 'pg_catalog' THEN o.opcintype ELSE 0 END
      FROM pg_catalog.unnest(d.indclass::oid[]) WITH ORDINALITY AS k (oid, at)
      JOIN pg_catalog.pg_opclass AS o ON o.oid = k.oid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace
      ORDER BY k.at
    ) AS types
  FROM (SELECT DISTINCT indclass FROM pg_catalog.pg_index) AS d
),
served AS MATERIALIZED (
  SELECT f.conindid, pg_catalog.count(*)::int4 AS keys
  FROM pg_catalog.pg_constraint AS f WHERE f.contype = 'f' GROUP BY f.conindid
),
own AS MATERIALIZED (
  SELECT
    t.relname AS table_name, tn.nspname AS table_schema,
    x.relname AS name, n.nspname AS schema, x.relkind, x.relam, x.reltablespace, x.reltuples,
    x.relpages, x.reloptions, x.xmin AS changed, i.*
  -- Before 15 pg_index has no indnullsnotdistinct, and the bare name means that of `older`.
  FROM (SELECT false AS indnullsnotdistinct) AS older
  CROSS JOIN LATERAL (
    SELECT g.*, indnullsnotdistinct AS nulls_not_distinct FROM pg_catalog.pg_index AS g
  ) AS i
  JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = x.relnamespace
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
  WHERE t.relpersistence <> 't'
    AND tn.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND i.indrelid <> ALL (%(locked)s::oid[])
    AND i.indrelid >= %(low)s::oid AND i.indrelid <= %(high)s::oid
    AND t.oid >= %(low)s::oid AND t.oid <= %(high)s::oid
),
keys AS MATERIALIZED (
  SELECT
    u.indexrelid,
    pg_catalog.array_agg(
      CASE
        WHEN u.number = 0 THEN pg_catalog.pg_get_indexdef(u.indexrelid, u.at, false)
        ELSE pg_catalog.quote_ident(a.attname)
      END ORDER BY u.at
    ) AS definitions,
    coalesce(pg_catalog.bool_and(
      u.at > u.indnkeyatts
      OR (
        a.attcollation = u.indcollation[u.at - 1]
        AND (u.types[u.at] = a.atttypid OR (u.types[u.at] = 25 AND a.atttypid = 1043))
      )
    ), false) AS is_plain
  FROM (
    SELECT
      o.indexrelid, o.indrelid, o.indnkeyatts, o.indcollation, s.types,
      p.at, o.indkey[p.at - 1] AS number
    FROM own AS o
    JOIN classes AS s ON s.indclass = o.indclass
    CROSS JOIN LATERAL pg_catalog.generate_series(1, o.indnatts::int4) AS p (at)
  ) AS u
  LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = u.indrelid AND a.attnum = u.number AND a.attnum > 0
    AND a.attrelid >= %(low)s::oid AND a.attrelid <= %(high)s::oid
  GROUP BY u.indexrelid
)
SELECT
  i.indexrelid AS oid, i.indrelid AS relation, i.schema, i.name,
  m.amname AS method,
  i.indkey::int2[] AS columns,
  k.definitions AS column_definitions,
  i.indnkeyatts AS key_count,
  CASE
    WHEN m.amname IN ('btree', 'hash') THEN s.names -- their operator classes take no options
    ELSE ARRAY(
      SELECT u.name || coalesce('(' || pg_catalog.array_to_string(o.attoptions, ', ') || ')', '')
      FROM pg_catalog.unnest(s.names) WITH ORDINALITY AS u (name, at)
      LEFT JOIN pg_catalog.pg_attribute AS o ON o.attrelid = i.indexrelid AND o.attnum = u.at
      ORDER BY u.at
    )
  END AS operator_classes,
  i.indcollation::oid[] AS collations,
  i.indoption::int2[] AS column_options,
  i.indisunique AS is_unique, i.indisprimary AS is_primary, i.indisexclusion AS is_exclusion,
  i.indimmediate AS is_immediate, i.nulls_not_distinct,
  i.indisvalid AS is_valid, i.indisready AS is_ready, i.indislive AS is_live,
  i.indisclustered AS is_clustered, i.indisreplident AS is_replica_identity,
  i.relkind = 'I' AS is_partitioned,
  i.indexrelid IN (
    SELECT e.objid FROM pg_catalog.pg_depend AS e
    WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e'
  ) AS is_extension_member,
  p.predicate,
  CASE
    WHEN k.is_plain AND i.reloptions IS NULL AND i.reltablespace = 0
      AND i.indexprs IS NULL AND NOT i.indisexclusion AND NOT i.nulls_not_distinct
      AND NOT EXISTS (
        SELECT FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS u (at)
        WHERE i.indoption[u.at] <> 0
      )
    THEN 'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX '
      || pg_catalog.quote_ident(i.name)
      || ' ON ' || CASE WHEN i.relkind = 'I' THEN 'ONLY ' ELSE '' END
      || pg_catalog.quote_ident(i.table_schema) || '.' || pg_catalog.quote_ident(i.table_name)
      || ' USING ' || pg_catalog.quote_ident(m.amname) || ' ('
      || pg_catalog.array_to_string(k.definitions[: i.indnkeyatts], ', ') || ')'
      || CASE
        WHEN i.indnatts > i.indnkeyatts THEN ' INCLUDE ('
          || pg_catalog.array_to_string(k.definitions[i.indnkeyatts + 1 :], ', ') || ')'
        ELSE ''
      END
      || coalesce(' WHERE ' || p.predicate, '')
    ELSE pg_catalog.pg_get_indexdef(i.indexrelid)
  END AS definition,
  q.conname AS constraint,
  coalesce(v.keys, 0) AS foreign_keys_served,
  h.inhparent AS parent,
  i.reltuples::float8 AS tuples, i.relpages AS pages,
  coalesce(i.reloptions, '{}') AS options,
  CASE
    WHEN pg_catalog.age(i.changed) BETWEEN 0 AND 2147483646 THEN pg_catalog.age(i.changed)
  END AS xid_age -- a frozen row may keep an xmin of an earlier round
FROM own AS i
JOIN keys AS k ON k.indexrelid = i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid = i.relam
JOIN classes AS s ON s.indclass = i.indclass
LEFT JOIN served AS v ON v.conindid = i.indexrelid
LEFT JOIN pg_catalog.pg_constraint AS q
  ON q.conindid = i.indexrelid AND q.contype IN ('p', 'u', 'x')
LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhrelid = i.indexrelid
CROSS JOIN LATERAL (
  SELECT pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate
  OFFSET 0 -- computed once, though it is used twice
) AS p

-- name: indexes_left_out
-- purpose: how many indexes are not read because their table is locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE t.relpersistence <> 't'
  AND tn.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND i.indrelid = ANY (%(locked)s::oid[])

-- name: constraints [-17]
-- purpose: the constraints of users' tables
SELECT
  k.oid, k.conrelid AS relation, k.conname AS name, k.contype::text AS kind,
  coalesce(k.conkey, '{}') AS columns,
  nullif(k.confrelid, 0) AS foreign_relation,
  coalesce(k.confkey, '{}') AS foreign_columns,
  k.convalidated AS is_validated, true AS is_enforced, k.condeferrable AS is_deferrable,
  CASE WHEN k.contype = 'f' THEN k.confdeltype::text ELSE '' END AS on_delete,
  CASE WHEN k.contype = 'f' THEN k.confupdtype::text ELSE '' END AS on_update,
  nullif(k.conindid, 0) AS index, nullif(k.conparentid, 0) AS parent,
  pg_catalog.pg_get_constraintdef(k.oid) AS definition
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (k.contype NOT IN ('c', 'x') OR k.conrelid <> ALL (%(locked)s::oid[]))
  AND k.conrelid >= %(low)s::oid AND k.conrelid <= %(high)s::oid
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: constraints [18-]
-- purpose: the constraints of users' tables, NOT NULL among them
SELECT
  k.oid, k.conrelid AS relation, k.conname AS name, k.contype::text AS kind,
  coalesce(k.conkey, '{}') AS columns,
  nullif(k.confrelid, 0) AS foreign_relation,
  coalesce(k.confkey, '{}') AS foreign_columns,
  k.convalidated AS is_validated, k.conenforced AS is_enforced, k.condeferrable AS is_deferrable,
  CASE WHEN k.contype = 'f' THEN k.confdeltype::text ELSE '' END AS on_delete,
  CASE WHEN k.contype = 'f' THEN k.confupdtype::text ELSE '' END AS on_update,
  nullif(k.conindid, 0) AS index, nullif(k.conparentid, 0) AS parent,
  pg_catalog.pg_get_constraintdef(k.oid) AS definition
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (k.contype NOT IN ('c', 'x') OR k.conrelid <> ALL (%(locked)s::oid[]))
  AND k.conrelid >= %(low)s::oid AND k.conrelid <= %(high)s::oid
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: constraints_left_out
-- purpose: how many constraints are not read because their table is locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_constraint AS k
WHERE k.contype IN ('c', 'x') AND k.conrelid = ANY (%(locked)s::oid[])

-- name: sequences
-- purpose: sequences, their position, and the columns that draw from them
WITH fed AS MATERIALIZED (
  SELECT f.sequence,
    pg_catalog.array_agg(f.relation ORDER BY f.relation, f.number) AS relations,
    pg_catalog.array_agg(f.number ORDER BY f.relation, f.number) AS numbers
  FROM (
    SELECT d.refobjid AS sequence, e.adrelid AS relation, e.adnum AS number
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_attrdef AS e ON e.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.deptype = 'n'
    UNION
    SELECT d.objid, d.refobjid, d.refobjsubid::int2
    FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.deptype = 'i' AND d.refobjsubid > 0
  ) AS f
  JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = f.sequence
  GROUP BY f.sequence
)
SELECT
  c.oid, n.nspname AS schema, c.relname AS name,
  t.typname AS data_type,
  s.seqstart AS start, s.seqmin AS minimum, s.seqmax AS maximum, s.seqincrement AS increment,
  s.seqcycle AS cycles, s.seqcache AS cache,
  r.is_readable,
  CASE WHEN r.is_readable THEN pg_catalog.pg_sequence_last_value(c.oid) END AS last_value,
  coalesce(f.relations, '{}') AS fed_relations,
  coalesce(f.numbers, '{}') AS fed_columns,
  c.oid IN (
    SELECT e.objid FROM pg_catalog.pg_depend AS e
    WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e'
  ) AS owned_by_extension
FROM pg_catalog.pg_sequence AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = s.seqtypid
LEFT JOIN fed AS f ON f.sequence = s.seqrelid
CROSS JOIN LATERAL (
  SELECT pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE')
    AND NOT (c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()) AS is_readable
) AS r
WHERE c.relpersistence <> 't'
  AND c.oid <> ALL (%(locked)s::oid[])

-- name: sequences_left_out
-- purpose: how many sequences are not read because they are locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_sequence AS s
WHERE s.seqrelid = ANY (%(locked)s::oid[])

-- name: inheritance
-- purpose: children and partitions with their bounds
SELECT
  h.inhparent AS parent, h.inhrelid AS child, c.relispartition AS is_partition,
  CASE
    WHEN h.inhrelid <> ALL (%(locked)s::oid[]) THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid)
  END AS bound,
  h.inhdetachpending AS detach_pending
FROM pg_catalog.pg_inherits AS h
JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
WHERE c.relkind IN ('r', 'p', 'f')

-- name: inheritance_left_out
-- purpose: how many partitions show no bound because they are locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_inherits AS h
JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND c.oid = ANY (%(locked)s::oid[])

-- name: partitioning
-- purpose: how partitioned tables split their rows
SELECT
  p.partrelid AS relation, p.partstrat::text AS strategy,
  pg_catalog.pg_get_partkeydef(p.partrelid) AS key,
  p.partattrs::int2[] AS columns,
  nullif(p.partdefid, 0) AS default_partition
FROM pg_catalog.pg_partitioned_table AS p
WHERE p.partrelid <> ALL (%(locked)s::oid[])

-- name: partitioning_left_out
-- purpose: how many partitioned tables are not read because they are locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_partitioned_table AS p
WHERE p.partrelid = ANY (%(locked)s::oid[])

-- name: publications [-14]
-- purpose: the tables that each publication publishes, leaves unless it publishes via the root
WITH RECURSIVE named AS (
  SELECT r.prpubid AS publication, r.prrelid AS relation
  FROM pg_catalog.pg_publication_rel AS r
  UNION
  SELECT p.oid, c.oid
  FROM pg_catalog.pg_publication AS p
  CROSS JOIN pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE p.puballtables AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
    AND c.oid >= 16384 AND n.nspname <> 'information_schema'
),
tree AS (
  SELECT e.publication, e.relation, false AS is_below FROM named AS e
  UNION
  SELECT t.publication, h.inhrelid, true
  FROM tree AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.relation AND c.relkind = 'p'
  JOIN pg_catalog.pg_inherits AS h ON h.inhparent = t.relation
)
SELECT DISTINCT
  p.pubname AS name, t.relation, p.pubupdate AS publishes_updates,
  p.pubdelete AS publishes_deletes, p.pubviaroot AS via_root,
  '{}'::int2[] AS columns, NULL::text AS row_filter
FROM tree AS t
JOIN pg_catalog.pg_publication AS p ON p.oid = t.publication
JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
WHERE CASE
  WHEN p.pubviaroot THEN NOT EXISTS (
    SELECT FROM tree AS up
    WHERE up.publication = t.publication AND up.relation = t.relation AND up.is_below
  )
  ELSE c.relkind = 'r'
END

-- name: publications [15-]
-- purpose: the tables that each publication publishes, leaves unless it publishes via the root
WITH RECURSIVE named AS (
  SELECT r.prpubid AS publication, r.prrelid AS relation
  FROM pg_catalog.pg_publication_rel AS r
  UNION
  SELECT p.oid, c.oid
  FROM pg_catalog.pg_publication AS p
  CROSS JOIN pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
    AND c.oid >= 16384 AND n.nspname <> 'information_schema'
    AND (
      p.puballtables
      OR EXISTS (
        SELECT FROM pg_catalog.pg_publication_namespace AS s
        WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace
      )
    )
),
tree AS (
  SELECT e.publication, e.relation, false AS is_below FROM named AS e
  UNION
  SELECT t.publication, h.inhrelid, true
  FROM tree AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.relation AND c.relkind = 'p'
  JOIN pg_catalog.pg_inherits AS h ON h.inhparent = t.relation
)
SELECT DISTINCT
  p.pubname AS name, t.relation, p.pubupdate AS publishes_updates,
  p.pubdelete AS publishes_deletes, p.pubviaroot AS via_root,
  coalesce(r.prattrs::int2[], '{}') AS columns,
  CASE
    WHEN t.relation <> ALL (%(locked)s::oid[]) THEN pg_catalog.pg_get_expr(r.prqual, r.prrelid)
  END AS row_filter
FROM tree AS t
JOIN pg_catalog.pg_publication AS p ON p.oid = t.publication
JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
LEFT JOIN pg_catalog.pg_publication_rel AS r ON r.prpubid = p.oid AND r.prrelid = t.relation
WHERE CASE
  WHEN p.pubviaroot THEN NOT EXISTS (
    SELECT FROM tree AS up
    WHERE up.publication = t.publication AND up.relation = t.relation AND up.is_below
  )
  ELSE c.relkind = 'r'
END

-- name: publications_left_out [15-]
-- purpose: published tables whose row filter is not read because they are locked
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_publication_rel AS r
WHERE r.prqual IS NOT NULL AND r.prrelid = ANY (%(locked)s::oid[])

-- name: foreign_tables
-- purpose: foreign tables and what serves them
SELECT f.ftrelid AS relation, s.srvname AS server, w.fdwname AS wrapper
FROM pg_catalog.pg_foreign_table AS f
JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw

-- name: extensions
-- purpose: installed extensions
SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace

-- name: operator_overlaps
-- purpose: operators that win over a polymorphic built-in of the same name
SELECT DISTINCT
  o.oprname AS name,
  pg_catalog.format_type(o.oprleft, NULL) AS left_type,
  pg_catalog.format_type(o.oprright, NULL) AS right_type,
  n.nspname AS schema,
  e.extname AS extension,
  n.nspname = ANY (%(search_path)s::text[]) AS is_visible
FROM pg_catalog.pg_operator AS o
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace AND n.nspname <> 'pg_catalog'
JOIN pg_catalog.pg_type AS l ON l.oid = o.oprleft
JOIN pg_catalog.pg_operator AS b
  ON b.oprname = o.oprname AND b.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace
JOIN pg_catalog.pg_type AS bl ON bl.oid = b.oprleft AND bl.typtype = 'p'
LEFT JOIN pg_catalog.pg_depend AS d
  ON d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
  AND d.objid = o.oid AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
WHERE (bl.typname IN ('anyarray', 'anycompatiblearray') AND l.typcategory = 'A')
  OR (bl.typname IN ('anyrange', 'anycompatiblerange', 'anymultirange') AND l.typtype IN ('r', 'm'))
  OR (bl.typname IN ('anyenum') AND l.typtype = 'e')

-- name: collations
-- purpose: collations in use whose recorded version is not the operating system's
SELECT
  c.oid, n.nspname AS schema, c.collname AS name, c.collprovider::text AS provider,
  c.collversion AS version, v.actual AS version_actual
FROM pg_catalog.pg_collation AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.pg_collation_actual_version(c.oid) AS actual) AS v
WHERE c.oid IN (
    SELECT pg_catalog.unnest(i.indcollation::oid[]) FROM pg_catalog.pg_index AS i
    UNION
    SELECT a.attcollation FROM pg_catalog.pg_attribute AS a
  )
  AND c.collversion IS DISTINCT FROM v.actual
  AND c.collversion IS NOT NULL

-- name: column_statistics
-- purpose: what ANALYZE recorded about the columns the role may read; values only if asked for
WITH fed AS MATERIALIZED (
  SELECT f.relation, f.number, f.value
  FROM ROWS FROM (
    pg_catalog.unnest(%(fed_relations)s::oid[]),
    pg_catalog.unnest(%(fed_columns)s::int2[]),
    pg_catalog.unnest(%(fed_values)s::int8[])
  ) AS f (relation, number, value)
)
SELECT
  c.oid AS relation, a.attnum AS column, s.inherited,
  s.null_frac::float8 AS null_fraction, s.avg_width AS average_width,
  s.n_distinct::float8 AS distinct, s.correlation::float8 AS correlation,
  coalesce(pg_catalog.cardinality(s.most_common_freqs), 0) AS most_common_count,
  coalesce((SELECT pg_catalog.sum(u.f) FROM pg_catalog.unnest(s.most_common_freqs) AS u (f)), 0)
    ::float8 AS most_common_total,
  coalesce(pg_catalog.array_length(s.histogram_bounds, 1), 0) AS histogram_bounds,
  CASE WHEN %(values)s THEN s.most_common_vals::text END AS most_common_values,
  CASE WHEN %(values)s THEN
    (s.histogram_bounds::text::text[])[pg_catalog.array_length(s.histogram_bounds, 1)]
  END AS last_bound,
  CASE WHEN y.past <> 'NaN' AND pg_catalog.abs(y.past) < 1e300 THEN y.past END AS beyond_last_bound
FROM pg_catalog.pg_stats AS s
JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.tablename
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = s.attname
LEFT JOIN fed AS f ON f.relation = c.oid AND f.number = a.attnum
CROSS JOIN LATERAL (
  SELECT CASE
    WHEN pg_catalog.array_length(s.histogram_bounds, 1) >= 2
      AND (
        a.atttypid IN (1082, 1114, 1184) -- date, timestamp, timestamptz
        OR (f.value IS NOT NULL AND a.atttypid IN (20, 21, 23, 1700)) -- int8, int2, int4, numeric
      )
    THEN s.histogram_bounds::text::text[]
  END AS bounds
) AS h
CROSS JOIN LATERAL (
  SELECT
    h.bounds[1] AS first_bound,
    h.bounds[pg_catalog.cardinality(h.bounds)] AS last_bound
) AS e
CROSS JOIN LATERAL (
  SELECT CASE
    WHEN h.bounds IS NULL THEN NULL
    WHEN a.atttypid IN (20, 21, 23, 1700) THEN
      greatest(f.value - e.last_bound::numeric, 0)::float8
      / nullif((e.last_bound::numeric - e.first_bound::numeric)::float8, 0)
    WHEN pg_catalog.isfinite(e.last_bound::timestamptz)
      AND pg_catalog.isfinite(e.first_bound::timestamptz)
    THEN
      greatest(extract(epoch FROM pg_catalog.now() - e.last_bound::timestamptz), 0)::float8
      / nullif(extract(epoch FROM e.last_bound::timestamptz - e.first_bound::timestamptz), 0)
        ::float8
  END AS past
) AS y
WHERE s.schemaname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND c.relpersistence <> 't'

-- name: column_statistics_helped
-- purpose: the same through the helper view of `howdah doctor`, for a role that may not read rows
SELECT
  s.relation, s.number AS column, s.inherited,
  s.null_fraction, s.average_width, s.n_distinct AS distinct, s.correlation,
  s.most_common_count, s.most_common_total, s.histogram_bounds,
  NULL::text AS most_common_values, NULL::text AS last_bound, NULL::float8 AS beyond_last_bound
FROM howdah.column_statistics AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND c.relpersistence <> 't'

-- name: column_statistics_helper
-- purpose: whether the helper view is there and readable
SELECT coalesce(
  pg_catalog.has_schema_privilege(
    (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'howdah'), 'USAGE'
  )
  AND pg_catalog.has_table_privilege(
    (SELECT c.oid FROM pg_catalog.pg_class AS c
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'howdah' AND c.relname = 'column_statistics' AND c.relkind = 'v'),
    'SELECT'
  ), false) AS is_there

-- name: column_statistics_left_out
-- purpose: columns of analysed tables whose statistics the role may not see
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'm', 'f')
  AND c.relpersistence <> 't'
  AND c.reltuples > 0
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND a.attnum > 0 AND NOT a.attisdropped
  AND (
    NOT (
      pg_catalog.has_table_privilege(c.oid, 'SELECT')
      OR pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
    )
    OR (c.relrowsecurity AND pg_catalog.row_security_active(c.oid))
  )

-- name: extended_statistics
-- purpose: CREATE STATISTICS objects
SELECT
  n.nspname AS schema, e.stxname AS name, e.stxrelid AS relation,
  e.stxkind::text[] AS kinds, e.stxkeys::int2[] AS columns
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace
