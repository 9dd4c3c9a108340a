-- name: create_database
-- purpose: a new database, empty or copied from a template
CREATE DATABASE {name} TEMPLATE {template}

-- name: drop_database
-- purpose: remove a database and end the sessions in it
DROP DATABASE IF EXISTS {name} WITH (FORCE)

-- name: is_standby
-- purpose: whether the server replays somebody else's WAL
SELECT pg_catalog.pg_is_in_recovery()

-- name: promote
-- purpose: end recovery and accept writes; true when that is done
SELECT pg_catalog.pg_promote(wait => true, wait_seconds => %(seconds)s)

-- name: receiver_status
-- purpose: whether a standby streams from its primary
SELECT r.status FROM pg_catalog.pg_stat_wal_receiver AS r

-- name: hold_wal
-- purpose: keep the WAL from now on until this session ends
SELECT s.slot_name
FROM pg_catalog.pg_create_physical_replication_slot(
  slot_name => %(name)s, immediately_reserve => true, temporary => true
) AS s

-- name: start_backup [-14]
-- purpose: from here on the data files may be copied
SELECT pg_catalog.pg_start_backup(label => 'howdah', fast => true, exclusive => false)

-- name: start_backup [15-]
-- purpose: from here on the data files may be copied
SELECT pg_catalog.pg_backup_start(label => 'howdah', fast => true)

-- name: stop_backup [-14]
-- purpose: the data files are copied; what recovery of the copy starts from
SELECT s.labelfile FROM pg_catalog.pg_stop_backup(exclusive => false, wait_for_archive => false) AS s

-- name: stop_backup [15-]
-- purpose: the data files are copied; what recovery of the copy starts from
SELECT s.labelfile FROM pg_catalog.pg_backup_stop(wait_for_archive => false) AS s
