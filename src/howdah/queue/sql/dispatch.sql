-- name: newest
-- purpose: the newest row of the dispatcher's ledger, its age, and the server's time
SELECT n.generation, n.epoch, n.done::text, n.read::text, n.upto::text, n.last_id, n.heard::text,
       n.floor, date_part('epoch', howdah.clock() - n.at), date_part('epoch', howdah.clock())
FROM howdah.queue_newest(%(queue)s::text) AS n;

-- name: elect
-- purpose: whether this session is the one that the queue's advisory lock knows as dispatcher
SELECT pg_try_advisory_lock(hashtextextended('howdah.queue dispatcher ' || %(queue)s::text, 0));

-- name: resign
-- purpose: let another session become the dispatcher
SELECT pg_advisory_unlock(hashtextextended('howdah.queue dispatcher ' || %(queue)s::text, 0));

-- name: append
-- purpose: one step: the ledger's next row and its claims, whole or (HD001) not at all
WITH appended AS (
    INSERT INTO {ledger} (generation, epoch, done, read, upto, last_id, heard, floor, moved, rates,
                          rates_whole)
    SELECT %(generation)s::bigint, %(epoch)s::bigint, %(done)s::text::pg_snapshot,
           %(read)s::text::pg_snapshot, %(upto)s::text::pg_snapshot, %(last_id)s::bigint,
           %(heard)s::text::pg_snapshot, %(floor)s::bigint, %(moved)s::bigint[],
           %(rates)s::text::jsonb, %(rates_whole)s::boolean
    -- Not EXISTS: only max() is sure to ask the index.
    WHERE greatest((SELECT max(generation) FROM {other}),
                   (SELECT max(generation) FROM {ledger})) = %(generation)s::bigint - 1
    ON CONFLICT (generation) DO NOTHING
    RETURNING generation
), claimed AS (
    INSERT INTO {claims} (generation, ordinal, worker, rows, segments, tids, attempts)
    SELECT a.generation, c.ordinal, c.worker,
           c.rows::bigint[], c.segments::int[], string_to_array(c.tids, '|'), c.attempts::int[]
    FROM appended AS a,
         unnest(%(ordinals)s::int[], %(workers)s::text[], %(rows)s::text[], %(segments)s::text[],
                %(tids)s::text[], %(attempts)s::text[])
             AS c (ordinal, worker, rows, segments, tids, attempts)
)
SELECT howdah.queue_owned(EXISTS (SELECT FROM appended));

-- name: not_for_long
-- purpose: a transaction whose client is gone must not keep the next dispatcher from taking over
SELECT set_config('idle_in_transaction_session_timeout', %(milliseconds)s::text, true);

-- name: apply
-- purpose: what a step has besides claims; what workers had settled, what purges deleted
SELECT a.settled::text, a.dropped, a.busy::text
FROM howdah.queue_apply(%(queue)s::text, %(parts)s::text::jsonb) AS a;

-- name: jobs_page
-- purpose: the next job rows of a window, with their payloads where those are small
SELECT p.id, p.segment, p.tid::text, p.topic, p.key, p.headers::text, date_part('epoch', p.at),
       CASE WHEN octet_length(p.payload) <= %(carried_bytes)s::int THEN p.payload END
FROM {function}(%(seen)s::text::pg_snapshot, %(upto)s::text::pg_snapshot, %(last_id)s::bigint,
                %(max_rows)s::int, %(carried_bytes)s::int > 0) AS p;

-- name: reports_page
-- purpose: the next reports of a window
SELECT p.id, p.payload, date_part('epoch', p.at)
FROM {function}(%(seen)s::text::pg_snapshot, %(upto)s::text::pg_snapshot, %(last_id)s::bigint,
                %(max_rows)s::int, true) AS p;

-- name: look
-- purpose: the server's time, and whether jobs or reports became visible since
SELECT date_part('epoch', howdah.clock()), j.upto::text, coalesce(j.mark, j.upto)::text,
       j.waiting, r.waiting
FROM {jobs}(%(jobs_seen)s::text::pg_snapshot) AS j, {reports}(%(heard)s::text::pg_snapshot) AS r;

-- name: due
-- purpose: rows of the later tables whose time has come, from a time on, oldest first
SELECT l.row_id, l.bucket, l.job, l.kind, l.key, l.headers::text, date_part('epoch', l.at),
       date_part('epoch', l.due)
FROM howdah.queue_due(%(queue)s::text, to_timestamp(%(since)s::float8), %(after)s::bigint,
                      to_timestamp(%(upto)s::float8), %(max_rows)s::int) AS l;

-- name: next_due
-- purpose: when the oldest row of the later tables is or was due
SELECT date_part('epoch', howdah.queue_next_due(%(queue)s::text, '-infinity'));

-- name: parked_rows
-- purpose: the parked rows of a key, in order
SELECT p.row_id, -2, '', p.kind, p.key, p.headers::text, date_part('epoch', p.at)
FROM howdah.queue_parked AS p
WHERE p.queue_id = %(queue_id)s::int AND p.key = %(key)s::text
ORDER BY p.row_id LIMIT %(max_rows)s::int;

-- name: outside
-- purpose: rows of the later and parked tables by their numbers, and the parked ones without a key
SELECT o.row_id, o.segment, o.tid, o.kind, o.key, o.headers::text, date_part('epoch', o.at)
FROM howdah.queue_outside(%(queue)s::text, %(rows)s::bigint[]) AS o
UNION
SELECT p.row_id, -2, '', p.kind, p.key, p.headers::text, date_part('epoch', p.at)
FROM howdah.queue_named(%(queue)s::text) AS q
JOIN howdah.queue_parked AS p ON p.queue_id = q.queue_id AND p.key IS NULL;

-- name: open_queue
-- purpose: the id of a queue
SELECT q.queue_id FROM howdah.queue_named(%(queue)s::text) AS q;

-- name: at_home
-- purpose: HD002 for a queue that was restored or copied here from another database
SELECT howdah.queue_at_home(%(queue)s::text);

-- name: record_ledger
-- purpose: what a rebuild reads of the ledger: finished rows and rates, oldest first
SELECT l.generation, l.moved, l.rates::text, l.rates_whole
FROM (SELECT * FROM {ledger} UNION ALL SELECT * FROM {other}) AS l
WHERE l.generation >= %(floor)s::bigint ORDER BY l.generation;

-- name: record_claims
-- purpose: what a rebuild reads of the claims
SELECT c.generation, c.ordinal, c.worker, c.rows, date_part('epoch', c.at),
       coalesce(c.attempts[1] < 0, false)
FROM (SELECT * FROM {claims} UNION ALL SELECT * FROM {other_claims}) AS c
WHERE c.generation >= %(floor)s::bigint ORDER BY c.generation, c.ordinal;

-- name: record_settled
-- purpose: what a rebuild reads of the settlements
SELECT s.generation, s.ordinal, s.row_id, s.revoked
FROM (SELECT * FROM {settled} UNION ALL SELECT * FROM {other_settled}) AS s
WHERE s.generation >= %(floor)s::bigint;

-- name: record_holds
-- purpose: the keys that are held, and by which job
SELECT h.key, h.job, h.policy FROM howdah.queue_hold AS h WHERE h.queue_id = %(queue_id)s::int;

-- name: record_parked_keys
-- purpose: the keys that have parked rows
SELECT DISTINCT p.key FROM howdah.queue_parked AS p
WHERE p.queue_id = %(queue_id)s::int AND p.key IS NOT NULL;

-- name: record_pauses
-- purpose: what is paused
SELECT date_part('epoch', p.since), p.kind, p.tenant
FROM howdah.queue_pause AS p WHERE p.queue_id = %(queue_id)s::int;

-- name: record_workers
-- purpose: the workers that have registered and not left
SELECT w.name, w.slots, w.kinds, date_part('epoch', w.registered_at), w.terms::text, w.confirms
FROM howdah.queue_worker AS w WHERE w.queue_id = %(queue_id)s::int;

-- name: record_kinds
-- purpose: how each kind is treated, and since when
SELECT k.kind, k.policy::text, date_part('epoch', k.since)
FROM howdah.queue_kind AS k WHERE k.queue_id = %(queue_id)s::int;

-- name: schedules
-- purpose: the schedules of a queue, and up to when each is dealt with
SELECT c.name, c.expression, c.zone, c.catch_up, date_part('epoch', c.dealt_upto)
FROM howdah.queue_cron AS c WHERE c.queue_id = %(queue_id)s::int;

-- name: fire
-- purpose: fire a schedule once; the job, or null when it has fired
SELECT howdah.queue_fire(%(queue)s::text, %(schedule)s::text, to_timestamp(%(fire_at)s::float8));

-- name: dealt
-- purpose: remember up to when a schedule is dealt with
UPDATE howdah.queue_cron SET dealt_upto = to_timestamp(%(upto)s::float8)
WHERE queue_id = %(queue_id)s::int AND name = %(schedule)s::text
  AND dealt_upto < to_timestamp(%(upto)s::float8);

-- name: count
-- purpose: append what was counted since the last time
INSERT INTO howdah.queue_count (queue_id, counts)
VALUES (%(queue_id)s::int, %(counts)s::text::jsonb) ON CONFLICT DO NOTHING;

-- name: maintain_queue
-- purpose: empty buckets and ledger halves that are over
SELECT m.action, m.detail FROM howdah.queue_maintain(%(queue)s::text) AS m;
