-- name: subscribe
-- purpose: register a consumer unless it is registered
SELECT howdah.subscribe(%(log)s::text, %(consumer)s::text, %(start_at)s::text,
                        %(when_slow)s::text, %(slow_bytes)s::bigint);

-- name: when_slow
-- purpose: what happens once a consumer makes the log keep that much
SELECT howdah.when_slow(%(log)s::text, %(consumer)s::text, %(when_slow)s::text,
                        %(slow_bytes)s::bigint)::text;

-- name: unsubscribe
-- purpose: forget a consumer and its position
SELECT howdah.unsubscribe(%(log)s::text, %(consumer)s::text);

-- name: reanchor
-- purpose: set a position anew
SELECT howdah.reanchor(%(log)s::text, %(consumer)s::text, %(start_at)s::text);

-- name: position
-- purpose: the newest position of a consumer, checked
SELECT p.generation, p.epoch, p.seen::text, p.upto::text, p.last_id, p.note::text,
       extract(epoch FROM howdah.clock() - p.at)::float8
FROM howdah.log_position(%(log)s::text, %(consumer)s::text) AS p;

-- name: token
-- purpose: a position with the place and history that it belongs to
SELECT howdah.token(%(log)s::text, %(seen)s::text::pg_snapshot, %(upto)s::text::pg_snapshot,
                    %(last_id)s::bigint);

-- name: resume
-- purpose: make a token the position of its consumer, if it can be continued from
SELECT howdah.resume(%(log)s::text, %(consumer)s::text, %(token)s::text);

-- name: append
-- purpose: compare and set: the next position, or no row when another instance was there first
INSERT INTO {ledger} (generation, epoch, seen, upto, last_id, note)
SELECT %(generation)s::bigint, %(epoch)s::bigint, %(seen)s::text::pg_snapshot,
       %(upto)s::text::pg_snapshot, %(last_id)s::bigint, %(note)s::text::jsonb
-- Not EXISTS: only max() is sure to ask the index.
WHERE greatest((SELECT pg_catalog.max(generation) FROM {other}),
               (SELECT pg_catalog.max(generation) FROM {ledger})) = %(generation)s::bigint - 1
ON CONFLICT (generation) DO NOTHING
RETURNING generation;

-- name: peek
-- purpose: the window that could be opened now: its end, whether it holds anything, what is flushed
SELECT coalesce(p.mark, p.upto)::text, p.lsn::text, p.flushed, p.waiting
FROM {function}(%(seen)s::text::pg_snapshot) AS p;

-- name: page
-- purpose: the next records of the open window
SELECT p.id, p.shard, p.topic, p.key, p.headers::text, p.payload, date_part('epoch', p.at)
FROM {function}(%(seen)s::text::pg_snapshot, %(upto)s::text::pg_snapshot, %(last_id)s::bigint,
            %(max_rows)s::int, true, %(max_bytes)s::bigint) AS p;

-- name: flushed
-- purpose: whether the log is durable up to there; a visible row need not be
SELECT pg_catalog.pg_current_wal_flush_lsn() >= %(lsn)s::text::pg_lsn;

-- name: maintain
-- purpose: turn the ring, reclaim segments, trim ledgers, judge slow consumers
SELECT m.action, m.segment, m.detail
FROM howdah.maintain(%(log)s::text, %(segment_bytes)s::bigint, %(segment_seconds)s::int) AS m;
