-- name: open
-- purpose: what a producer must know of a log: its id, its identity, the segment that is filled now
SELECT l.log_id, l.uuid::text || '-' || coalesce(howdah.log_timeline(), 0),
       howdah.log_current(l.log_id)
FROM howdah.log_named(%(log)s) AS l;

-- name: emit_one
-- purpose: one event in the caller's transaction; its id
INSERT INTO {segment} (topic, key, headers, payload)
VALUES (%(topic)s::text, %(key)s::text, %(headers)s::text::jsonb, %(payload)s::bytea)
RETURNING id;

-- name: emit_many
-- purpose: events in the order of the arrays; their ids
INSERT INTO {segment} (topic, key, headers, payload)
SELECT e.topic, e.key, e.headers::jsonb, e.payload
FROM unnest(%(topics)s::text[], %(keys)s::text[], %(headers)s::text[], %(payloads)s::bytea[])
     WITH ORDINALITY AS e (topic, key, headers, payload, number)
ORDER BY e.number
RETURNING id;

-- name: copy_in
-- purpose: the target of a COPY; columns in the order in which events are written
COPY {segment} (topic, key, headers, payload) FROM STDIN (FORMAT binary);

-- name: create
-- purpose: make a log unless it is there
SELECT l.log_id, l.uuid::text FROM howdah.create_log(%(log)s::text, %(segments)s::int) AS l;

-- name: drop
-- purpose: remove a log with everything in it
SELECT howdah.drop_log(%(log)s::text)::text;
