-- name: terminate
-- purpose: end a backend
SELECT pg_catalog.pg_terminate_backend(%(pid)s)

-- name: ended
-- purpose: whether a backend is gone; its locks go with it
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = %(pid)s)

-- name: terminate_any
-- purpose: end one client backend of this database, chosen by chance, but not our own
SELECT pg_catalog.pg_terminate_backend(a.pid)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = pg_catalog.current_database() AND a.backend_type = 'client backend'
  AND a.pid <> pg_catalog.pg_backend_pid()
ORDER BY pg_catalog.random() LIMIT 1
