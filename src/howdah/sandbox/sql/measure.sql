-- What a measured run reads. Relations of the user's own start at oid 16384 (FirstNormalObjectId in
-- the server's transam.h); below it are catalogs, whose locks every statement takes.

-- name: relations
-- purpose: every user relation with its file, its table and this transaction's scans so far
SELECT c.oid::bigint AS oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
       c.relkind::text AS kind,
       pg_catalog.pg_relation_filenode(c.oid)::bigint AS file,
       coalesce(i.indrelid, heap.oid)::bigint AS table_oid,
       coalesce(i.indisvalid, true) AS valid,
       pg_catalog.pg_stat_get_xact_numscans(c.oid)::bigint AS scans
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_catalog.pg_class heap ON heap.reltoastrelid = c.oid AND c.relkind = 't'
 WHERE c.oid >= 16384

-- name: locks
-- purpose: relation locks that a backend holds or waits for in this database
SELECT l.relation::bigint AS oid, l.mode AS mode
  FROM pg_catalog.pg_locks l
 WHERE l.pid = %(pid)s
   AND l.locktype = 'relation'
   AND l.relation >= 16384
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = pg_catalog.current_database())

-- name: wal
-- purpose: bytes of WAL written by the cluster since its beginning
SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::bigint AS bytes

-- name: blockers
-- purpose: who makes that backend wait
SELECT pg_catalog.unnest(pg_catalog.pg_blocking_pids(%(pid)s)) AS pid

-- name: waiting
-- purpose: whether that backend waits in a lock's queue
SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = %(pid)s AND NOT l.granted) AS waiting

-- name: session
-- purpose: settings of a measuring session: untranslated messages down to debug1
SELECT pg_catalog.set_config('lc_messages', 'C', false),
       pg_catalog.set_config('client_min_messages', 'debug1', false),
       pg_catalog.set_config('lock_timeout', %(lock_timeout_ms)s::text, false),
       pg_catalog.set_config('statement_timeout', %(statement_timeout_ms)s::text, false)

-- name: gate
-- purpose: a lock that the measured statement must meet; filled by psycopg.sql
LOCK TABLE ONLY {table} IN {mode} MODE

-- name: tables_of
-- purpose: the tables behind names: the table itself, the table of an index, and all partitions
WITH named AS (
    SELECT coalesce(i.indrelid, c.oid) AS oid
      FROM pg_catalog.unnest(%(names)s::text[]) AS given (name)
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(given.name)
      LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
)
SELECT DISTINCT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name
  FROM named
 CROSS JOIN LATERAL (
       SELECT named.oid AS oid
       UNION
       SELECT tree.relid FROM pg_catalog.pg_partition_tree(named.oid) AS tree (relid)
       ) member
  JOIN pg_catalog.pg_class c ON c.oid = member.oid AND c.relkind IN ('r', 'p')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY 1

-- name: all_tables
-- purpose: every user table, for statements that name none
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
 ORDER BY 1
