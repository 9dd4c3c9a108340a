-- name: wal_position
-- purpose: bytes of WAL ever written, as a number whose differences count
SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8

-- name: tuples
-- purpose: dead tuples now and ever, of the tables of some schemas and of the catalogs
SELECT
  coalesce(sum(n_dead_tup) FILTER (WHERE schemaname = ANY (%(schemas)s)), 0)::pg_catalog.int8,
  coalesce(sum(n_tup_upd + n_tup_del) FILTER (WHERE schemaname = ANY (%(schemas)s)), 0)
    ::pg_catalog.int8,
  coalesce(sum(n_tup_ins) FILTER (WHERE schemaname = ANY (%(schemas)s)), 0)::pg_catalog.int8,
  coalesce(sum(n_dead_tup) FILTER (WHERE schemaname = 'pg_catalog'), 0)::pg_catalog.int8
FROM pg_catalog.pg_stat_all_tables

-- name: fresh_statistics
-- purpose: forget what this transaction has seen of the statistics
SELECT pg_catalog.pg_stat_clear_snapshot()

-- name: settings
-- purpose: what decides how durable and how fast the server is
SELECT name, pg_catalog.current_setting(name)
FROM pg_catalog.pg_settings
WHERE name = ANY (%(names)s)
ORDER BY name

-- name: checkpoint
-- purpose: begin every phase with clean buffers, where the role may
CHECKPOINT

-- name: hold_horizon
-- purpose: take the snapshot that this transaction then keeps
SELECT pg_catalog.count(*) FROM pg_catalog.pg_class

-- name: hold_transaction_id
-- purpose: take the transaction id of a writer that then stands idle
SELECT pg_catalog.pg_current_xact_id()
