-- name: table
-- purpose: an event's columns and one index, and nothing else
CREATE TABLE event (
  id bigint GENERATED ALWAYS AS IDENTITY,
  xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
  topic text NOT NULL,
  key text,
  payload bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
)

-- name: index
-- purpose: the one index that a log needs
CREATE INDEX event_xid ON event (xid)

-- name: reading_index
-- purpose: what reading by id needs here, and only here
CREATE INDEX event_id ON event (id)

-- name: add
-- purpose: one event
INSERT INTO event (topic, key, payload) VALUES ('bench', NULL, %(payload)s)

-- name: add_many
-- purpose: a batch of events in one statement
INSERT INTO event (topic, key, payload)
SELECT 'bench', NULL, item FROM pg_catalog.unnest(%(payloads)s::pg_catalog.bytea[]) AS item

-- name: copy_in
-- purpose: a batch of events by COPY
COPY event (topic, key, payload) FROM STDIN (FORMAT binary)

-- name: page
-- purpose: the next events by id, which loses those that commit late: a limit, not a way to read
SELECT id, payload FROM event WHERE id > %(last)s ORDER BY id LIMIT %(size)s

-- name: position_table
-- purpose: where reading ended, one row a phase
CREATE TABLE position (last bigint NOT NULL)

-- name: position
-- purpose: where to go on
SELECT coalesce(max(last), 0) FROM position

-- name: keep_position
-- purpose: remember it once, at the end
INSERT INTO position VALUES (%(last)s)

-- name: unfinished
-- purpose: events after the position
SELECT pg_catalog.count(*) FROM event WHERE id > (SELECT coalesce(max(last), 0) FROM position)
