-- What the cumulative statistics count. Times are ISO 8601 text in UTC, the session's time zone.

-- name: counter_sample
-- purpose: the counters that rates are made of, at one moment
SELECT
  pg_catalog.replace(pg_catalog.clock_timestamp()::text, ' ', 'T') || ':00' AS at,
  pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 AS next_xid,
  CASE
    WHEN NOT pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8
  END AS wal_position,
  d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.active_time AS active_milliseconds,
  d.sessions, d.temp_bytes,
  (SELECT s.blks_zeroed FROM pg_catalog.pg_stat_slru AS s
   WHERE s.name IN ('MultiXactMember', 'multixact_member')) AS member_pages_zeroed,
  CASE
    WHEN pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
    THEN (
      SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS a
      WHERE a.state = 'active' AND a.backend_type = 'client backend'
        AND a.pid <> pg_catalog.pg_backend_pid()
    )
  END AS active_sessions
FROM pg_catalog.pg_stat_database AS d
WHERE d.datname = pg_catalog.current_database()

-- name: table_samples
-- purpose: the write counters of the busiest tables, read a second time
SELECT c.relation, c.inserted, c.updated, c.deleted
FROM (
  SELECT
    r.oid AS relation,
    pg_catalog.pg_stat_get_tuples_inserted(r.oid) AS inserted,
    pg_catalog.pg_stat_get_tuples_updated(r.oid) AS updated,
    pg_catalog.pg_stat_get_tuples_deleted(r.oid) AS deleted
  FROM pg_catalog.pg_class AS r
  JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
  WHERE r.relkind IN ('r', 'm')
    AND r.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
) AS c
WHERE c.inserted + c.updated + c.deleted > 0
ORDER BY c.inserted + c.updated + c.deleted DESC
LIMIT %(limit)s

-- name: table_statistics [-15]
-- purpose: counters of every table since the window began
SELECT
  c.oid AS relation,
  pg_catalog.pg_stat_get_numscans(c.oid) AS sequential_scans,
  pg_catalog.pg_stat_get_tuples_returned(c.oid) AS sequential_rows,
  coalesce(i.scans, 0)::int8 AS index_scans,
  (coalesce(i.fetched, 0) + pg_catalog.pg_stat_get_tuples_fetched(c.oid))::int8 AS index_rows,
  pg_catalog.pg_stat_get_tuples_inserted(c.oid) AS inserted,
  pg_catalog.pg_stat_get_tuples_updated(c.oid) AS updated,
  pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS deleted,
  pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) AS hot_updated,
  NULL::int8 AS new_page_updated,
  pg_catalog.pg_stat_get_live_tuples(c.oid) AS live,
  pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead,
  pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS modified_since_analyze,
  pg_catalog.pg_stat_get_ins_since_vacuum(c.oid) AS inserted_since_vacuum,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_vacuum_time(c.oid)::text, ' ', 'T') || ':00' AS last_vacuum,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)::text, ' ', 'T') || ':00'
    AS last_autovacuum,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_analyze_time(c.oid)::text, ' ', 'T') || ':00'
    AS last_analyze,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)::text, ' ', 'T') || ':00'
    AS last_autoanalyze,
  pg_catalog.pg_stat_get_vacuum_count(c.oid) AS vacuums,
  pg_catalog.pg_stat_get_autovacuum_count(c.oid) AS autovacuums,
  pg_catalog.pg_stat_get_analyze_count(c.oid) AS analyzes,
  pg_catalog.pg_stat_get_autoanalyze_count(c.oid) AS autoanalyzes
FROM pg_catalog.pg_class AS c
LEFT JOIN (
  SELECT
    x.indrelid,
    pg_catalog.sum(pg_catalog.pg_stat_get_numscans(x.indexrelid)) AS scans,
    pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid)) AS fetched
  FROM pg_catalog.pg_index AS x
  WHERE x.indrelid >= %(low)s::oid AND x.indrelid <= %(high)s::oid
  GROUP BY x.indrelid
) AS i ON i.indrelid = c.oid
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: table_statistics [16-]
-- purpose: counters of every table since the window began
SELECT
  c.oid AS relation,
  pg_catalog.pg_stat_get_numscans(c.oid) AS sequential_scans,
  pg_catalog.pg_stat_get_tuples_returned(c.oid) AS sequential_rows,
  coalesce(i.scans, 0)::int8 AS index_scans,
  (coalesce(i.fetched, 0) + pg_catalog.pg_stat_get_tuples_fetched(c.oid))::int8 AS index_rows,
  pg_catalog.pg_stat_get_tuples_inserted(c.oid) AS inserted,
  pg_catalog.pg_stat_get_tuples_updated(c.oid) AS updated,
  pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS deleted,
  pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) AS hot_updated,
  pg_catalog.pg_stat_get_tuples_newpage_updated(c.oid) AS new_page_updated,
  pg_catalog.pg_stat_get_live_tuples(c.oid) AS live,
  pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead,
  pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS modified_since_analyze,
  pg_catalog.pg_stat_get_ins_since_vacuum(c.oid) AS inserted_since_vacuum,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_vacuum_time(c.oid)::text, ' ', 'T') || ':00' AS last_vacuum,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)::text, ' ', 'T') || ':00'
    AS last_autovacuum,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_analyze_time(c.oid)::text, ' ', 'T') || ':00'
    AS last_analyze,
  pg_catalog.replace(pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)::text, ' ', 'T') || ':00'
    AS last_autoanalyze,
  pg_catalog.pg_stat_get_vacuum_count(c.oid) AS vacuums,
  pg_catalog.pg_stat_get_autovacuum_count(c.oid) AS autovacuums,
  pg_catalog.pg_stat_get_analyze_count(c.oid) AS analyzes,
  pg_catalog.pg_stat_get_autoanalyze_count(c.oid) AS autoanalyzes
FROM pg_catalog.pg_class AS c
LEFT JOIN (
  SELECT
    x.indrelid,
    pg_catalog.sum(pg_catalog.pg_stat_get_numscans(x.indexrelid)) AS scans,
    pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid)) AS fetched
  FROM pg_catalog.pg_index AS x
  WHERE x.indrelid >= %(low)s::oid AND x.indrelid <= %(high)s::oid
  GROUP BY x.indrelid
) AS i ON i.indrelid = c.oid
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: index_statistics [-15]
-- purpose: counters of every index of a table since the window began
SELECT
  i.indexrelid AS index,
  pg_catalog.pg_stat_get_numscans(i.indexrelid) AS scans,
  pg_catalog.pg_stat_get_tuples_returned(i.indexrelid) AS entries_read,
  pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid) AS rows_fetched,
  NULL::text AS last_scan
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
  AND i.indrelid >= %(low)s::oid AND i.indrelid <= %(high)s::oid
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: index_statistics [16-]
-- purpose: counters of every index of a table since the window began, with its last use
SELECT
  i.indexrelid AS index,
  pg_catalog.pg_stat_get_numscans(i.indexrelid) AS scans,
  pg_catalog.pg_stat_get_tuples_returned(i.indexrelid) AS entries_read,
  pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid) AS rows_fetched,
  pg_catalog.replace(pg_catalog.pg_stat_get_lastscan(i.indexrelid)::text, ' ', 'T') || ':00' AS last_scan
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
  AND i.indrelid >= %(low)s::oid AND i.indrelid <= %(high)s::oid
  AND c.oid >= %(low)s::oid AND c.oid <= %(high)s::oid

-- name: statements
-- purpose: the statements that cost most and that run most, of this database, ours left out
SELECT
  coalesce(r.queryid, 0) AS query_id, coalesce(r.query, '') AS text,
  coalesce(o.rolname, r.userid::text) AS role,
  r.calls, r.total_exec_time AS total_milliseconds, r.rows,
  r.shared_blks_hit AS blocks_hit, r.shared_blks_read AS blocks_read,
  r.temp_blks_read AS temp_blocks_read, r.temp_blks_written AS temp_blocks_written,
  r.wal_records, r.wal_fpi AS wal_full_page_images, r.wal_bytes::int8 AS wal_bytes
FROM (
  SELECT
    s.*,
    pg_catalog.row_number() OVER (ORDER BY s.total_exec_time DESC) AS by_time,
    pg_catalog.row_number() OVER (ORDER BY s.calls DESC) AS by_calls
  FROM {schema}.pg_stat_statements AS s
  WHERE s.dbid = (
      SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
    )
    AND s.query NOT LIKE '%%/* howdah */'
) AS r
LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = r.userid
WHERE r.by_time <= %(limit)s OR r.by_calls <= %(limit)s
ORDER BY r.by_time

-- name: slrus
-- purpose: the SLRU caches
SELECT
  s.name, s.blks_zeroed AS blocks_zeroed, s.blks_hit AS blocks_hit, s.blks_read AS blocks_read,
  s.blks_written AS blocks_written,
  pg_catalog.replace(s.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_stat_slru AS s

-- name: checkpoints [-16]
-- purpose: checkpoints since the counters were reset
SELECT
  b.checkpoints_timed AS timed, b.checkpoints_req AS requested,
  b.checkpoint_write_time AS write_milliseconds, b.checkpoint_sync_time AS sync_milliseconds,
  b.buffers_checkpoint AS buffers_written,
  pg_catalog.replace(b.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_stat_bgwriter AS b

-- name: checkpoints [17-]
-- purpose: checkpoints since the counters were reset
SELECT
  c.num_timed AS timed, c.num_requested AS requested,
  c.write_time AS write_milliseconds, c.sync_time AS sync_milliseconds,
  c.buffers_written,
  pg_catalog.replace(c.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_stat_checkpointer AS c

-- name: wal
-- purpose: WAL written since the counters were reset
SELECT
  w.wal_records AS records, w.wal_fpi AS full_page_images, w.wal_bytes::int8 AS bytes,
  w.wal_buffers_full AS buffers_full,
  pg_catalog.replace(w.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_stat_wal AS w

-- name: archiver
-- purpose: the archiver's successes and failures
SELECT
  a.archived_count AS archived, a.last_archived_wal,
  pg_catalog.replace(a.last_archived_time::text, ' ', 'T') || ':00' AS last_archived_time,
  a.failed_count AS failed, a.last_failed_wal,
  pg_catalog.replace(a.last_failed_time::text, ' ', 'T') || ':00' AS last_failed_time,
  pg_catalog.replace(a.stats_reset::text, ' ', 'T') || ':00' AS stats_reset
FROM pg_catalog.pg_stat_archiver AS a
