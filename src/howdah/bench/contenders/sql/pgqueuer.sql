-- name: unfinished
-- purpose: jobs in its table: the finished ones are deleted
SELECT pg_catalog.count(*) FROM pgqueuer
