-- name: apply_settings
-- purpose: set the session's settings after connecting, which poolers let through
SELECT pg_catalog.set_config(s.name, s.value, false)
FROM ROWS FROM (
  pg_catalog.unnest(%(names)s::pg_catalog.text[]), pg_catalog.unnest(%(values)s::pg_catalog.text[])
) AS s (name, value)

-- name: backend
-- purpose: the process id of the session, to compare with what was told; marked as a snapshot's are
SELECT pg_catalog.pg_backend_pid() /* howdah */
