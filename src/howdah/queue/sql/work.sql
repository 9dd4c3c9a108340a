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

-- name: take
-- purpose: say that claims arrived, before they run; those that were not taken away before
WITH mine AS (
    SELECT * FROM unnest(%(generations)s::bigint[], %(ordinals)s::int[])
                  AS m (generation, ordinal)
), told AS (
    INSERT INTO {settled} (generation, ordinal, row_id, revoked)
    SELECT m.generation, m.ordinal, 0, false FROM mine AS m
    ON CONFLICT DO NOTHING
    RETURNING generation, ordinal
)
SELECT t.generation, t.ordinal FROM told AS t
UNION ALL  -- what this worker said before it lost its connection
SELECT m.generation, m.ordinal FROM mine AS m,
     LATERAL (SELECT FROM {settled} AS s
              WHERE s.generation = m.generation AND s.ordinal = m.ordinal AND s.row_id = 0
                AND NOT s.revoked OFFSET 0) AS s;

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
-- purpose: make a worker and its kinds known; when its process began
WITH told AS (
    INSERT INTO howdah.queue_worker AS w (queue_id, name, slots, kinds, host, pid, registered_at,
                                          terms, confirms)
    SELECT q.queue_id, %(worker)s::text, %(slots)s::int, %(kinds)s::text[], %(host)s::text,
           %(pid)s::int, coalesce(to_timestamp(%(since)s::float8), howdah.clock()),
           %(terms)s::text::jsonb, %(confirms)s::boolean
    FROM howdah.queue_named(%(queue)s::text) AS q
    ON CONFLICT (queue_id, name) DO UPDATE
    SET slots = excluded.slots, kinds = excluded.kinds, terms = excluded.terms,
        confirms = excluded.confirms
    RETURNING w.queue_id, w.registered_at
), its_kinds AS (
    INSERT INTO howdah.queue_kind AS k (queue_id, kind, policy, since)
    SELECT t.queue_id, p.key, p.value, t.registered_at
    FROM told AS t, jsonb_each(%(policies)s::text::jsonb) AS p ORDER BY p.key
    -- The process that began last, not the one that registers last.
    ON CONFLICT (queue_id, kind) DO UPDATE SET policy = excluded.policy, since = excluded.since
    WHERE k.since < excluded.since OR (k.since = excluded.since AND k.policy <> excluded.policy)
)
SELECT date_part('epoch', t.registered_at) FROM told AS t;

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
