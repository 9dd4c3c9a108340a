-- name: create
-- purpose: make a queue unless it is there
SELECT q.queue_id FROM howdah.create_queue(%(queue)s::text) AS q;

-- name: drop
-- purpose: remove a queue with every job in it
SELECT howdah.drop_queue(%(queue)s::text)::text;

-- name: reanchor
-- purpose: let a queue go on that was restored or copied here; how many jobs it has
SELECT howdah.queue_reanchor(%(queue)s::text);

-- name: enqueue
-- purpose: one job that is delayed or must be unique, in the caller's transaction
SELECT e.job, e.new
FROM howdah.enqueue(%(queue)s::text, %(kind)s::text, %(payload)s::text::jsonb, %(key)s::text,
                    %(headers)s::text::jsonb,
                    howdah.clock() + make_interval(secs => %(delay)s::float8),
                    %(digest)s::text,
                    howdah.clock() + make_interval(secs => %(window)s::float8)) AS e;

-- name: enqueue_at
-- purpose: one job that is due at a given time, in the caller's transaction
SELECT e.job, e.new
FROM howdah.enqueue(%(queue)s::text, %(kind)s::text, %(payload)s::text::jsonb, %(key)s::text,
                    %(headers)s::text::jsonb, to_timestamp(%(due)s::float8), %(digest)s::text,
                    howdah.clock() + make_interval(secs => %(window)s::float8)) AS e;

-- name: schedule
-- purpose: make a schedule, or change it; what it is dealt with up to stays
INSERT INTO howdah.queue_cron (queue_id, name, expression, zone, catch_up, kind, key, headers,
                               payload)
SELECT q.queue_id, %(schedule)s::text, %(expression)s::text, %(zone)s::text, %(catch_up)s::text,
       %(kind)s::text, %(key)s::text, %(headers)s::text::jsonb, %(payload)s::bytea
FROM howdah.queue_named(%(queue)s::text) AS q
ON CONFLICT (queue_id, name) DO UPDATE
SET expression = excluded.expression, zone = excluded.zone, catch_up = excluded.catch_up,
    kind = excluded.kind, key = excluded.key, headers = excluded.headers,
    payload = excluded.payload
WHERE (queue_cron.expression, queue_cron.zone, queue_cron.catch_up, queue_cron.kind,
       queue_cron.key, queue_cron.headers, queue_cron.payload)
      IS DISTINCT FROM (excluded.expression, excluded.zone, excluded.catch_up, excluded.kind,
                        excluded.key, excluded.headers, excluded.payload);

-- name: unschedule
-- purpose: end a schedule
DELETE FROM howdah.queue_cron AS c USING howdah.queue AS q
WHERE q.queue_id = c.queue_id AND q.name = %(queue)s::text AND c.name = %(schedule)s::text
RETURNING c.name;
