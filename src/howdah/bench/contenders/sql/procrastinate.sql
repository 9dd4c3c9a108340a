-- name: unfinished
-- purpose: jobs that have not succeeded; the finished ones stay, as by its default
SELECT pg_catalog.count(*) FROM procrastinate_jobs WHERE status <> 'succeeded'
