-- Who does what right now. Rows of other roles show no state without pg_read_all_stats: such a
-- session is hidden, not idle and not on a processor.

-- name: sessions
-- purpose: every backend of the server
SELECT
  a.pid, a.leader_pid, a.datname AS database, a.usename AS role,
  coalesce(a.application_name, '') AS application,
  a.client_addr::text AS client, a.backend_type,
  a.query IS DISTINCT FROM '<insufficient privilege>' AS is_visible,
  a.state, a.wait_event_type AS wait_type, a.wait_event,
  pg_catalog.age(a.backend_xid) AS xid_age, pg_catalog.age(a.backend_xmin) AS xmin_age,
  extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)::float8 AS seconds_connected,
  extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8
    AS seconds_in_transaction,
  CASE
    WHEN a.state = 'active'
    THEN extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::float8
  END AS seconds_in_query,
  extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change)::float8 AS seconds_in_state,
  a.query_id, a.query,
  a.pid = pg_catalog.pg_backend_pid() AS is_own
FROM pg_catalog.pg_stat_activity AS a

-- name: locks
-- purpose: the locks of sessions that wait or are waited for, those waited for first
WITH waiting AS MATERIALIZED (
  SELECT DISTINCT l.pid FROM pg_catalog.pg_locks AS l WHERE NOT l.granted AND l.pid IS NOT NULL
),
involved AS MATERIALIZED (
  SELECT w.pid FROM waiting AS w
  UNION
  SELECT b.pid
  FROM waiting AS w, LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b (pid)
)
SELECT
  l.pid, l.locktype AS kind,
  n.nspname || '.' || c.relname AS relation,
  CASE WHEN l.database IN (0, d.oid) THEN l.relation END AS relation_oid,
  l.mode, l.granted AS is_granted, l.fastpath AS is_fast_path,
  extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart)::float8 AS seconds_waiting
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation AND l.database IN (0, d.oid)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid IN (SELECT i.pid FROM involved AS i)
ORDER BY l.granted, l.locktype <> 'transactionid', l.pid
LIMIT %(limit)s

-- name: blocking
-- purpose: waiting sessions and those they wait for
SELECT w.pid, pg_catalog.pg_blocking_pids(w.pid) AS blockers
FROM (
  SELECT DISTINCT l.pid FROM pg_catalog.pg_locks AS l WHERE NOT l.granted AND l.pid IS NOT NULL
) AS w

-- name: lock_counts
-- purpose: how many locks are held or awaited, by mode
SELECT
  l.mode, l.granted AS is_granted, l.fastpath AS is_fast_path, pg_catalog.count(*) AS count
FROM pg_catalog.pg_locks AS l
WHERE l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
GROUP BY l.mode, l.granted, l.fastpath

-- name: prepared_transactions
-- purpose: transactions that wait for their second phase
SELECT
  p.gid, p.database, p.owner AS role, pg_catalog.age(p.transaction) AS xid_age,
  extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::float8 AS seconds_prepared
FROM pg_catalog.pg_prepared_xacts AS p

-- name: vacuum_progress
-- purpose: vacuums at work on any database of the server
SELECT
  v.pid, v.datname AS database, v.relid AS relation_oid,
  CASE
    WHEN v.datname = pg_catalog.current_database()
    THEN (
      SELECT n.nspname || '.' || c.relname
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.oid = v.relid
    )
  END AS relation,
  v.phase, v.heap_blks_total AS heap_blocks_total, v.heap_blks_scanned AS heap_blocks_scanned,
  v.index_vacuum_count,
  a.backend_type = 'autovacuum worker' AS is_autovacuum,
  CASE
    WHEN a.query <> '<insufficient privilege>'
    THEN a.backend_type = 'autovacuum worker' AND a.query LIKE '%%(to prevent wraparound)'
  END AS is_anti_wraparound,
  extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS seconds_running
FROM pg_catalog.pg_stat_progress_vacuum AS v
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = v.pid
WHERE v.relid IS NOT NULL

-- name: vacuum_progress_left_out
-- purpose: vacuums whose progress the role may not see
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_stat_progress_vacuum AS v
WHERE v.relid IS NULL

-- name: index_builds
-- purpose: CREATE INDEX and REINDEX at work in this database
SELECT
  p.pid, p.relid AS relation_oid, coalesce(p.index_relid, 0) AS index_oid,
  p.command, p.phase
FROM pg_catalog.pg_stat_progress_create_index AS p
WHERE p.relid IS NOT NULL AND p.datname = pg_catalog.current_database()

-- name: index_builds_left_out
-- purpose: index builds whose progress the role may not see
SELECT pg_catalog.count(*) AS left_out
FROM pg_catalog.pg_stat_progress_create_index AS p
WHERE p.relid IS NULL AND p.datname = pg_catalog.current_database()

-- name: wait_tick
-- purpose: how many sessions are at work or in an open transaction, by what they wait for
SELECT
  coalesce(a.wait_event_type, '') AS wait_type,
  coalesce(a.wait_event, '') AS wait_event,
  pg_catalog.count(*) AS sessions,
  pg_catalog.count(*) FILTER (WHERE a.query = '<insufficient privilege>') AS hidden
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid <> pg_catalog.pg_backend_pid()
  AND (a.query = '<insufficient privilege>' OR a.state <> 'idle')
GROUP BY 1, 2
