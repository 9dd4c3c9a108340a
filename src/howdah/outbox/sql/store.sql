-- name: create
-- purpose: make an outbox or change its configuration; whether it is new
SELECT howdah.create_outbox(%(outbox)s::text, %(layout)s::text, %(config)s::text::jsonb);

-- name: drop
-- purpose: remove an outbox with everything in it
SELECT howdah.drop_outbox(%(outbox)s::text)::text;

-- name: found
-- purpose: what an outbox asks for
SELECT o.config::text FROM howdah.outbox_named(%(outbox)s::text) AS o;

-- name: identity
-- purpose: what makes its event ids unique for ever, in this history of the server
SELECT CASE o.layout WHEN 'ring' THEN (howdah.log_named(o.name)).uuid ELSE o.uuid END::text
       || '-' || coalesce(howdah.log_timeline(), 0)
FROM howdah.outbox_named(%(outbox)s::text) AS o;

-- name: every
-- purpose: the names of all outboxes
SELECT o.name FROM howdah.outbox AS o ORDER BY o.name;

-- name: standby
-- purpose: whether this server only replays, where a relay must not read; and whose session it is
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid();

-- name: settings
-- purpose: limits of a relay's session: no statement hangs for ever, no transaction stays open
SELECT pg_catalog.set_config('statement_timeout', %(milliseconds)s::text, false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', %(milliseconds)s::text, false);

-- name: lock
-- purpose: the session lock that says that an owner lives; it is gone with its session
SELECT pg_catalog.pg_try_advisory_lock(
    pg_catalog.hashtextextended('howdah.outbox relay ' || %(outbox)s::text, 0));

-- name: locked
-- purpose: whether any session of this database holds that lock
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l,
         pg_catalog.hashtextextended('howdah.outbox relay ' || %(outbox)s::text, 0) AS h (number)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                        WHERE d.datname = pg_catalog.current_database())
      AND l.classid::bigint = (h.number >> 32) & 4294967295
      AND l.objid::bigint = h.number & 4294967295);

-- name: insert_lsn
-- purpose: the end of the write-ahead log, before a page is read
SELECT pg_catalog.pg_current_wal_insert_lsn()::text;

-- name: replayed
-- purpose: whether a synchronous standby shows everything up to there
SELECT coalesce(pg_catalog.bool_or(r.replay_lsn >= %(lsn)s::text::pg_catalog.pg_lsn), false)
FROM pg_catalog.pg_stat_replication AS r
WHERE r.sync_state IN ('sync', 'quorum');

-- name: park
-- purpose: set messages aside, in the transaction that moves the position past them
INSERT INTO howdah.outbox_parked
    (outbox, event_id, uid, shard, topic, key, headers, payload, at, policy, state, error, code,
     attempts, first_at, last_at, retry_at)
SELECT %(outbox)s::text, p.event_id, p.uid, p.shard, p.topic, p.key, p.headers::jsonb, p.payload,
       pg_catalog.to_timestamp(p.at), %(policy)s::text, p.state, p.error, p.code, p.attempts,
       t.now - pg_catalog.make_interval(secs => p.failing_seconds), t.now,
       CASE WHEN %(policy)s::text = 'block' AND p.state = 'failed'
            THEN t.now + pg_catalog.make_interval(secs => %(blocked_seconds)s::float8) END
FROM (SELECT howdah.clock() AS now) AS t,
     ROWS FROM (
         unnest(%(ids)s::bigint[]), unnest(%(uids)s::text[]), unnest(%(shards)s::int[]),
         unnest(%(topics)s::text[]), unnest(%(keys)s::text[]), unnest(%(headers)s::text[]),
         unnest(%(payloads)s::bytea[]), unnest(%(ats)s::float8[]), unnest(%(states)s::text[]),
         unnest(%(errors)s::text[]), unnest(%(codes)s::text[]), unnest(%(attempts)s::int[]),
         unnest(%(failing)s::float8[])
     ) AS p (event_id, uid, shard, topic, key, headers, payload, at, state, error, code, attempts,
             failing_seconds)
ON CONFLICT (outbox, event_id) DO NOTHING;

-- name: heads
-- purpose: the first parked message of each key, and single ones that may be sent again
(SELECT DISTINCT ON (p.key) p.event_id, p.key, p.shard, p.policy,
        p.state = 'replay' OR (p.policy = 'block'
                               AND (p.state = 'behind'
                                    OR p.retry_at <= howdah.clock()))
 FROM howdah.outbox_parked AS p
 WHERE p.outbox = %(outbox)s::text AND p.key IS NOT NULL AND p.policy <> 'skip'
 ORDER BY p.key, p.event_id)
UNION ALL
(SELECT p.event_id, NULL, p.shard, p.policy, true
 FROM howdah.outbox_parked AS p
 WHERE p.outbox = %(outbox)s::text AND (p.key IS NULL OR p.policy = 'skip')
   AND (p.state = 'replay'
        OR (p.policy = 'block' AND p.retry_at <= howdah.clock()))
 ORDER BY p.event_id
 LIMIT 1000);

-- name: rows_of_key
-- purpose: parked messages of a key, in order
SELECT p.event_id, p.uid, p.shard, p.topic, p.key, p.headers::text, p.payload,
       pg_catalog.date_part('epoch', p.at), p.policy, p.state, p.error, p.code, p.attempts,
       pg_catalog.date_part('epoch', p.first_at), pg_catalog.date_part('epoch', p.last_at)
FROM howdah.outbox_parked AS p
WHERE p.outbox = %(outbox)s::text AND p.key = %(key)s::text AND p.policy <> 'skip'
ORDER BY p.event_id
LIMIT %(most)s::int;

-- name: rows_of_ids
-- purpose: parked messages by their ids
SELECT p.event_id, p.uid, p.shard, p.topic, p.key, p.headers::text, p.payload,
       pg_catalog.date_part('epoch', p.at), p.policy, p.state, p.error, p.code, p.attempts,
       pg_catalog.date_part('epoch', p.first_at), pg_catalog.date_part('epoch', p.last_at)
FROM howdah.outbox_parked AS p
WHERE p.outbox = %(outbox)s::text AND p.event_id = ANY (%(ids)s::bigint[])
ORDER BY p.event_id;

-- name: listed
-- purpose: parked messages for a person, the oldest first
SELECT p.event_id, p.uid, p.shard, p.topic, p.key, p.headers::text, p.payload,
       pg_catalog.date_part('epoch', p.at), p.policy, p.state, p.error, p.code, p.attempts,
       pg_catalog.date_part('epoch', p.first_at), pg_catalog.date_part('epoch', p.last_at)
FROM howdah.outbox_parked AS p
WHERE p.outbox = %(outbox)s::text AND (%(key)s::text IS NULL OR p.key = %(key)s::text)
ORDER BY p.event_id
LIMIT %(most)s::int;

-- name: forget
-- purpose: parked messages that were delivered after all; rows are locked in the order of their ids
DELETE FROM howdah.outbox_parked AS p
USING (SELECT l.event_id FROM howdah.outbox_parked AS l
       WHERE l.outbox = %(outbox)s::text AND l.event_id = ANY (%(ids)s::bigint[])
       ORDER BY l.event_id FOR UPDATE) AS locked
WHERE p.outbox = %(outbox)s::text AND p.event_id = locked.event_id;

-- name: promote
-- purpose: what is next in keys that are being replayed goes on, also after a crash
UPDATE howdah.outbox_parked AS p SET state = 'replay'
FROM (SELECT k.key, (SELECT n.event_id FROM howdah.outbox_parked AS n
                     WHERE n.outbox = %(outbox)s::text AND n.key = k.key AND n.policy <> 'skip'
                     ORDER BY n.event_id LIMIT 1) AS event_id
      FROM unnest(%(keys)s::text[]) AS k (key)) AS next
WHERE p.outbox = %(outbox)s::text AND p.event_id = next.event_id AND p.state = 'behind';

-- name: refuse
-- purpose: a parked message that failed again stays, with what was said this time
UPDATE howdah.outbox_parked AS p
SET state = 'failed', error = r.error, code = r.code, attempts = p.attempts + r.attempts,
    last_at = howdah.clock(),
    retry_at = CASE WHEN p.policy = 'block' THEN howdah.clock()
                    + pg_catalog.make_interval(secs => %(blocked_seconds)s::float8) END
FROM ROWS FROM (unnest(%(ids)s::bigint[]), unnest(%(errors)s::text[]), unnest(%(codes)s::text[]),
                unnest(%(attempts)s::int[])) AS r (event_id, error, code, attempts)
WHERE p.outbox = %(outbox)s::text AND p.event_id = r.event_id;

-- name: behind_earlier
-- purpose: those of the ids that stand behind an earlier parked message of their key
SELECT p.event_id, p.key
FROM howdah.outbox_parked AS p
WHERE p.outbox = %(outbox)s::text AND p.event_id = ANY (%(ids)s::bigint[])
  AND p.key IS NOT NULL AND p.policy <> 'skip'
  AND EXISTS (SELECT FROM howdah.outbox_parked AS e
              WHERE e.outbox = p.outbox AND e.key = p.key AND e.policy <> 'skip'
                AND e.event_id < p.event_id AND e.event_id <> ALL (%(ids)s::bigint[]));

-- name: ask_replay
-- purpose: ask the relay to send parked messages again
UPDATE howdah.outbox_parked AS p SET state = 'replay'
FROM (SELECT l.event_id FROM howdah.outbox_parked AS l
      WHERE l.outbox = %(outbox)s::text
        AND (%(all_of_them)s::boolean OR l.key = %(key)s::text
             OR l.event_id = ANY (%(ids)s::bigint[]))
      ORDER BY l.event_id FOR UPDATE) AS chosen
WHERE p.outbox = %(outbox)s::text AND p.event_id = chosen.event_id
RETURNING p.event_id;

-- name: discard
-- purpose: throw parked messages away
DELETE FROM howdah.outbox_parked AS p
USING (SELECT l.event_id FROM howdah.outbox_parked AS l
       WHERE l.outbox = %(outbox)s::text
         AND (%(all_of_them)s::boolean OR l.key = %(key)s::text
              OR l.event_id = ANY (%(ids)s::bigint[]))
       ORDER BY l.event_id FOR UPDATE) AS chosen
WHERE p.outbox = %(outbox)s::text AND p.event_id = chosen.event_id
RETURNING p.event_id;

-- name: parked_counts
-- purpose: how many messages and keys are set aside
SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT p.key)
FROM howdah.outbox_parked AS p WHERE p.outbox = %(outbox)s::text;

-- name: ring_status
-- purpose: where the relay of a log is, for anybody who may look
SELECT c.generation, c.epoch,
       pg_catalog.date_part('epoch', howdah.clock() - c.committed_at),
       c.in_window OR coalesce(c.lag_bytes, 0) > 0, coalesce(c.lag_seconds, 0)::float8,
       coalesce(c.problem, '')
FROM howdah.consumers(%(outbox)s::text) AS c
WHERE c.consumer = 'relay';

-- name: bytes
-- purpose: how much space the tables with an outbox's events take
SELECT coalesce(pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'howdah'::pg_catalog.regnamespace AND c.relkind = 'r'
  AND pg_catalog.starts_with(c.relname, %(prefix)s::text);
