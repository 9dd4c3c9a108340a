-- name: claims
-- purpose: the claims of workers after a generation
SELECT c.worker, date_part('epoch', howdah.clock() - c.at), c.generation, c.ordinal, c.rows,
       c.segments, c.tids, c.attempts
-- Both ends of the range: without statistics, a range with one end is thought to be a third of the
-- table, and that is read whole.
FROM (SELECT * FROM {claims}
      WHERE generation > %(after)s::bigint AND generation < 9223372036854775807
      UNION ALL
      SELECT * FROM {other_claims}
      WHERE generation > %(after)s::bigint AND generation < 9223372036854775807) AS c
WHERE c.worker = ANY (%(workers)s::text[]) ORDER BY c.generation, c.ordinal;

-- name: newest_claim
-- purpose: after which generation a worker that starts now looks for its claims
SELECT n.generation FROM howdah.queue_newest(%(queue)s::text) AS n;

-- name: payloads
-- purpose: the rows at some places of a segment; whoever asks looks whether they are the right ones
SELECT s.id, s.topic, s.key, s.headers::text, s.payload, date_part('epoch', s.at)
FROM {segment} AS s
WHERE s.ctid = ANY (%(tids)s::text::tid[]);

-- name: payloads_moved
-- purpose: the same after the table was rewritten and its rows have other places
SELECT s.id, s.topic, s.key, s.headers::text, s.payload, date_part('epoch', s.at)
FROM {segment} AS s WHERE s.id = ANY (%(rows)s::text::bigint[]);

-- name: payloads_outside
-- purpose: job rows of the later and parked tables
SELECT o.row_id, o.kind, o.key, o.headers::text, o.payload, date_part('epoch', o.at)
FROM howdah.queue_outside(%(queue)s::text, %(rows)s::bigint[]) AS o;

-- name: register
-- purpose: make a worker known
INSERT INTO howdah.queue_worker (queue_id, name, slots, kinds, host, pid)
SELECT q.queue_id, %(worker)s::text, %(slots)s::int, %(kinds)s::text[], %(host)s::text,
       %(pid)s::int
FROM howdah.queue_named(%(queue)s::text) AS q
ON CONFLICT (queue_id, name) DO UPDATE SET slots = excluded.slots, kinds = excluded.kinds;

-- name: complete
-- purpose: end a job in the transaction of its own work
SELECT howdah.complete(%(queue)s::text, %(generation)s::bigint, %(ordinal)s::int,
                       %(row)s::bigint)::text;

-- name: fence
-- purpose: whether a job whose handler failed was completed all the same; if not, it never will be
SELECT howdah.queue_fence(%(queue)s::text, %(generation)s::bigint, %(ordinal)s::int,
                          %(row)s::bigint);

-- name: keep_value
-- purpose: keep a job's result or progress for an hour or two
SELECT howdah.queue_keep(%(queue_id)s::int, %(job)s::bigint, %(final)s::boolean,
                         %(value)s::text::jsonb)::text;

-- name: value
-- purpose: the newest result or progress of a job
SELECT r.final, r.value::text, date_part('epoch', r.at)
FROM (SELECT * FROM howdah.queue_result_0 UNION ALL SELECT * FROM howdah.queue_result_1
      UNION ALL SELECT * FROM howdah.queue_result_2) AS r
WHERE r.queue_id = %(queue_id)s::int AND r.job = %(job)s::bigint
ORDER BY r.final DESC, r.at DESC LIMIT 1;

-- name: taken_away
-- purpose: which rows of these claims the dispatcher has taken away
SELECT s.generation, s.ordinal, s.row_id
FROM unnest(%(generations)s::bigint[], %(ordinals)s::int[]) AS mine (generation, ordinal),
     -- OFFSET 0: claim by claim through the index, not a join with the whole table.
     LATERAL (SELECT * FROM {settled} AS t
              WHERE t.generation = mine.generation AND t.ordinal = mine.ordinal AND t.revoked
              UNION ALL
              SELECT * FROM {other_settled} AS t
              WHERE t.generation = mine.generation AND t.ordinal = mine.ordinal AND t.revoked
              OFFSET 0) AS s;
