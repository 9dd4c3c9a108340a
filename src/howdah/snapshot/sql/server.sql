-- Who is asked, as whom, and how our own session behaves while it asks.

-- name: own_path
-- purpose: the role's own search_path, resolved, before ours is pinned
SELECT pg_catalog.current_schemas(false)::text[] AS search_path

-- name: pin
-- purpose: make our session short-lived, patient for nobody and independent of the role's settings
SELECT pg_catalog.set_config(s.name, s.value, %(local)s)
FROM ROWS FROM (
  pg_catalog.unnest(%(names)s::text[]),
  pg_catalog.unnest(%(values)s::text[])
) AS s (name, value)

-- name: server
-- purpose: the server, the database, the role and what the role may see
SELECT
  pg_catalog.current_setting('server_version_num')::int4 AS version_num,
  pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) AS version,
  CASE
    WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
    THEN (SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() AS s)
    ELSE ''
  END AS system_identifier,
  pg_catalog.pg_is_in_recovery() AS in_recovery,
  pg_catalog.pg_postmaster_start_time() AS started_at,
  d.datname AS database,
  d.oid AS database_oid,
  pg_catalog.pg_encoding_to_char(d.encoding) AS encoding,
  current_user AS role,
  r.rolsuper AS is_superuser,
  pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS is_monitor,
  pg_catalog.pg_has_role(current_user, 'pg_read_all_data', 'USAGE') AS reads_all_data,
  CASE
    WHEN pg_catalog.to_regproc('pg_catalog.aurora_version') IS NOT NULL THEN 'aurora'
    WHEN pg_catalog.to_regrole('rds_superuser') IS NOT NULL THEN 'rds'
    WHEN pg_catalog.to_regrole('cloudsqlsuperuser') IS NOT NULL THEN 'cloudsql'
    WHEN pg_catalog.to_regrole('azure_pg_admin') IS NOT NULL THEN 'azure'
    ELSE ''
  END AS provider,
  pg_catalog.transaction_timestamp() AS taken_at
FROM pg_catalog.pg_database AS d
JOIN pg_catalog.pg_roles AS r ON r.rolname = current_user
WHERE d.datname = pg_catalog.current_database()

-- name: locked
-- purpose: relations on which another session holds or awaits what we would wait for
-- That is ACCESS EXCLUSIVE; reading a sequence takes ROW EXCLUSIVE, which waits for more.
SELECT pg_catalog.array_agg(DISTINCT l.relation) AS locked
FROM pg_catalog.pg_locks AS l
WHERE l.locktype = 'relation'
  AND (
    l.mode = 'AccessExclusiveLock'
    OR (
      l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock')
      AND l.relation IN (SELECT s.seqrelid FROM pg_catalog.pg_sequence AS s)
    )
  )
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
  AND l.database IN (
    0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  )

-- name: slices
-- purpose: oids that cut the relations into parts of equal number
SELECT pg_catalog.percentile_disc(%(shares)s::float8[]) WITHIN GROUP (ORDER BY c.oid) AS edges
FROM pg_catalog.pg_class AS c
WHERE c.relkind IN ('r', 'p', 'm', 'f')

-- name: resets
-- purpose: when each kind of server-wide statistics, and the database's own, last started from zero
SELECT
  (SELECT d.stats_reset FROM pg_catalog.pg_stat_database AS d
   WHERE d.datname = pg_catalog.current_database()) AS database,
  (SELECT a.stats_reset FROM pg_catalog.pg_stat_archiver AS a) AS archiver,
  (SELECT b.stats_reset FROM pg_catalog.pg_stat_bgwriter AS b) AS bgwriter,
  (SELECT pg_catalog.min(s.stats_reset) FROM pg_catalog.pg_stat_slru AS s) AS slru,
  (SELECT w.stats_reset FROM pg_catalog.pg_stat_wal AS w) AS wal
