-- name: analyze
-- purpose: plan and what running it took; filled by psycopg.sql
EXPLAIN (ANALYZE, BUFFERS, WAL, SETTINGS, VERBOSE, FORMAT JSON) {statement}

-- name: only
-- purpose: the plan for the given values, without running it; filled by psycopg.sql
EXPLAIN (SETTINGS, VERBOSE, FORMAT JSON) {statement}
