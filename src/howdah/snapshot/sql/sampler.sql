-- The live view's statement: prepared once, run at every tick, outside any transaction block.

-- name: queues
-- purpose: tables that rows pass through: as many deletes as inserts, or nearly
SELECT c.oid, n.nspname || '.' || c.relname AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND CASE
    WHEN %(names)s::text[] IS NOT NULL
    THEN n.nspname || '.' || c.relname = ANY (%(names)s::text[])
    ELSE pg_catalog.pg_stat_get_tuples_deleted(c.oid) > 100
      AND pg_catalog.pg_stat_get_tuples_deleted(c.oid)
        > pg_catalog.pg_stat_get_tuples_inserted(c.oid) / 2
  END
ORDER BY pg_catalog.pg_stat_get_tuples_deleted(c.oid) DESC, c.oid
LIMIT %(limit)s

-- name: tick
-- purpose: waits, blockers, the horizon's holder, queue depths and counters in one row of JSON
WITH activity AS MATERIALIZED (
  SELECT
    a.pid, a.datid, a.state, a.wait_event_type, a.wait_event, a.backend_type,
    a.query = '<insufficient privilege>' AS is_hidden,
    greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) AS xmin_age,
    a.application_name, a.usename, a.xact_start, a.query
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.pid <> pg_catalog.pg_backend_pid()
),
blocking AS MATERIALIZED (
  SELECT a.pid, pg_catalog.pg_blocking_pids(a.pid) AS blockers
  FROM activity AS a WHERE a.wait_event_type = 'Lock'
)
SELECT pg_catalog.json_build_object(
  'at', pg_catalog.clock_timestamp(),
  'waits', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_array(w.type, w.event, w.sessions))
    FROM (
      SELECT
        coalesce(a.wait_event_type, '') AS type, coalesce(a.wait_event, '') AS event,
        pg_catalog.count(*) AS sessions
      FROM activity AS a
      WHERE a.state <> 'idle'
      GROUP BY 1, 2
    ) AS w
  ),
  'hidden', (SELECT pg_catalog.count(*) FROM activity AS a WHERE a.is_hidden),
  'blocking', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_array(b.pid, b.blockers))
    FROM blocking AS b
  ),
  'blockers', (
    SELECT pg_catalog.json_agg(
      pg_catalog.json_build_array(
        a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type, ''),
        coalesce(a.state, ''),
        extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8,
        coalesce(a.query, '')
      )
    )
    FROM activity AS a
    WHERE EXISTS (SELECT FROM blocking AS b WHERE a.pid = ANY (b.blockers))
      AND NOT EXISTS (SELECT FROM blocking AS b WHERE a.pid = b.pid)
  ),
  'horizon', (
    SELECT pg_catalog.json_build_array(h.kind, h.name, h.age)
    FROM (
      SELECT 'session' AS kind, a.pid::text AS name, a.xmin_age AS age
      FROM activity AS a
      WHERE a.xmin_age IS NOT NULL
        AND a.datid = (
          SELECT d.oid FROM pg_catalog.pg_database AS d
          WHERE d.datname = pg_catalog.current_database()
        )
      UNION ALL
      SELECT 'standby', a.application_name, a.xmin_age
      FROM activity AS a WHERE a.backend_type = 'walsender' AND a.xmin_age IS NOT NULL
      UNION ALL
      SELECT 'prepared', p.gid, pg_catalog.age(p.transaction)
      FROM pg_catalog.pg_prepared_xacts AS p
      WHERE p.database = pg_catalog.current_database()
      UNION ALL
      SELECT 'slot', s.slot_name, pg_catalog.age(s.xmin)
      FROM pg_catalog.pg_replication_slots AS s WHERE s.xmin IS NOT NULL
    ) AS h
    ORDER BY h.age DESC
    LIMIT 1
  ),
  'queues', (
    SELECT pg_catalog.json_agg(
      pg_catalog.json_build_array(
        q.oid::int8, pg_catalog.pg_stat_get_live_tuples(q.oid), pg_catalog.pg_stat_get_dead_tuples(q.oid)
      )
    )
    FROM pg_catalog.unnest(%(queues)s::oid[]) AS q (oid)
  ),
  'counters', (
    SELECT pg_catalog.json_build_array(
      d.xact_commit, d.xact_rollback, d.active_time::int8,
      pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8,
      CASE
        WHEN NOT pg_catalog.pg_is_in_recovery()
        THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8
      END
    )
    FROM pg_catalog.pg_stat_database AS d WHERE d.datname = pg_catalog.current_database()
  )
)::text AS tick
