-- Who receives the WAL, who keeps it, and what a standby knows of itself.

-- name: slots [-15]
-- purpose: replication slots and what they hold back
SELECT
  s.slot_name AS name, s.slot_type AS kind, s.plugin, s.database,
  s.temporary AS is_temporary, s.active AS is_active,
  pg_catalog.age(s.xmin) AS xmin_age, pg_catalog.age(s.catalog_xmin) AS catalog_xmin_age,
  pg_catalog.pg_wal_lsn_diff(w.now, s.restart_lsn)::int8 AS retained_bytes,
  pg_catalog.pg_wal_lsn_diff(w.now, s.confirmed_flush_lsn)::int8 AS unconfirmed_bytes,
  s.wal_status, s.safe_wal_size AS safe_bytes,
  NULL::bool AS conflicting, NULL::float8 AS seconds_inactive, NULL::text AS invalidation_reason,
  NULL::bool AS is_synced, NULL::bool AS is_failover
FROM pg_catalog.pg_replication_slots AS s
CROSS JOIN (
  SELECT CASE
    WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_lsn()
  END AS now
) AS w

-- name: slots [16-16]
-- purpose: replication slots and what they hold back
SELECT
  s.slot_name AS name, s.slot_type AS kind, s.plugin, s.database,
  s.temporary AS is_temporary, s.active AS is_active,
  pg_catalog.age(s.xmin) AS xmin_age, pg_catalog.age(s.catalog_xmin) AS catalog_xmin_age,
  pg_catalog.pg_wal_lsn_diff(w.now, s.restart_lsn)::int8 AS retained_bytes,
  pg_catalog.pg_wal_lsn_diff(w.now, s.confirmed_flush_lsn)::int8 AS unconfirmed_bytes,
  s.wal_status, s.safe_wal_size AS safe_bytes,
  s.conflicting, NULL::float8 AS seconds_inactive, NULL::text AS invalidation_reason,
  NULL::bool AS is_synced, NULL::bool AS is_failover
FROM pg_catalog.pg_replication_slots AS s
CROSS JOIN (
  SELECT CASE
    WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_lsn()
  END AS now
) AS w

-- name: slots [17-]
-- purpose: replication slots, what they hold back, since when they idle and why they are invalid
SELECT
  s.slot_name AS name, s.slot_type AS kind, s.plugin, s.database,
  s.temporary AS is_temporary, s.active AS is_active,
  pg_catalog.age(s.xmin) AS xmin_age, pg_catalog.age(s.catalog_xmin) AS catalog_xmin_age,
  pg_catalog.pg_wal_lsn_diff(w.now, s.restart_lsn)::int8 AS retained_bytes,
  pg_catalog.pg_wal_lsn_diff(w.now, s.confirmed_flush_lsn)::int8 AS unconfirmed_bytes,
  s.wal_status, s.safe_wal_size AS safe_bytes,
  s.conflicting,
  extract(epoch FROM pg_catalog.clock_timestamp() - s.inactive_since)::float8 AS seconds_inactive,
  s.invalidation_reason, s.synced AS is_synced, s.failover AS is_failover
FROM pg_catalog.pg_replication_slots AS s
CROSS JOIN (
  SELECT CASE
    WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_lsn()
  END AS now
) AS w

-- name: standbys
-- purpose: receivers of WAL that are connected to this server
SELECT
  r.pid, coalesce(r.application_name, '') AS application, r.client_addr::text AS client,
  r.state, r.sync_state, pg_catalog.age(r.backend_xmin) AS xmin_age,
  pg_catalog.pg_wal_lsn_diff(w.now, r.sent_lsn)::int8 AS sent_behind_bytes,
  pg_catalog.pg_wal_lsn_diff(w.now, r.replay_lsn)::int8 AS replay_behind_bytes,
  extract(epoch FROM r.replay_lag)::float8 AS replay_lag_seconds,
  r.state IS NOT NULL AS is_visible
FROM pg_catalog.pg_stat_replication AS r
CROSS JOIN (
  SELECT CASE
    WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_lsn()
  END AS now
) AS w

-- name: receiver
-- purpose: the WAL receiver of a standby; no row is a standby that nobody feeds
SELECT
  r.status,
  extract(epoch FROM pg_catalog.clock_timestamp() - r.last_msg_receipt_time)::float8
    AS seconds_since_message,
  r.slot_name AS slot,
  r.status IS NOT NULL AS is_visible
FROM pg_catalog.pg_stat_wal_receiver AS r

-- name: recovery
-- purpose: how far this standby is; no row on a primary
SELECT
  pg_catalog.pg_is_wal_replay_paused() AS is_paused,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), '0/0')::int8
    AS received_position,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::int8
    AS replayed_position,
  extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())
    ::float8 AS seconds_since_replayed_commit
WHERE pg_catalog.pg_is_in_recovery()

-- name: archive_queue
-- purpose: WAL segments that wait for the archiver
SELECT pg_catalog.count(*) AS ready
FROM pg_catalog.pg_ls_archive_statusdir() AS f
WHERE f.name LIKE '%%.ready'
