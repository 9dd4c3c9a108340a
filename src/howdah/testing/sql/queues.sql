-- name: stop_clock
-- purpose: let all SQL of the log and the queue see one time
CREATE OR REPLACE FUNCTION howdah.clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN {at}::timestamptz

-- name: start_clock
-- purpose: put the server's clock back, as the log's schema made it
CREATE OR REPLACE FUNCTION howdah.clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN clock_timestamp()

-- name: now
-- purpose: the time that SQL of the log and the queue sees
SELECT howdah.clock()

-- name: segments
-- purpose: the tables of a jobs log
SELECT t.name FROM howdah.log_named(%(log)s) AS l, howdah.log_tables(l.log_id, l.name) AS t

-- name: in_segment
-- purpose: what was enqueued into one table of the log, also by this transaction
SELECT s.id, s.topic, s.key, s.headers, s.payload, NULL::timestamptz FROM {segment} AS s

-- name: in_bucket
-- purpose: what was enqueued for later into one bucket, also by this transaction
SELECT l.job, l.kind, l.key, l.headers, l.payload, l.due
FROM {bucket} AS l JOIN howdah.queue AS q USING (queue_id) WHERE q.name = %(queue)s
