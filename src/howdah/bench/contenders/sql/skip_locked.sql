-- name: table
-- purpose: the usual table: what is ready is found by a partial index in the order of arrival
CREATE TABLE job (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  status text NOT NULL DEFAULT 'ready',
  attempt integer NOT NULL DEFAULT 0,
  payload bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  taken_at timestamptz
)

-- name: index
-- purpose: the index that every claim goes through
CREATE INDEX job_ready ON job (id) WHERE status = 'ready'

-- name: add_many
-- purpose: a batch of jobs in one statement
INSERT INTO job (payload) SELECT item FROM pg_catalog.unnest(%(payloads)s::pg_catalog.bytea[]) AS item

-- name: add
-- purpose: one job
INSERT INTO job (payload) VALUES (%(payload)s)

-- name: claim
-- purpose: take a batch, and say in the table that it is taken and for which time
UPDATE job SET status = 'running', attempt = attempt + 1, taken_at = pg_catalog.clock_timestamp()
WHERE id = ANY (ARRAY(
  SELECT id FROM job WHERE status = 'ready' ORDER BY id LIMIT %(size)s FOR UPDATE SKIP LOCKED))
RETURNING id, payload

-- name: lock
-- purpose: take a batch for the length of this transaction only
SELECT id, payload FROM job
WHERE status = 'ready' ORDER BY id LIMIT %(size)s FOR UPDATE SKIP LOCKED

-- name: remove
-- purpose: acknowledge a batch by deleting it
DELETE FROM job WHERE id = ANY (%(ids)s)

-- name: finish
-- purpose: acknowledge a batch and keep it
UPDATE job SET status = 'done' WHERE id = ANY (%(ids)s)

-- name: unfinished
-- purpose: jobs that are not acknowledged
SELECT pg_catalog.count(*) FROM job WHERE status <> 'done'
