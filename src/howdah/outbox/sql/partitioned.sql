-- The layout of Sadeq Dousti: one table, partitioned by LIST (published_at). {hot} holds what is
-- not published (published_at IS NULL), {whole} is the partitioned table.

-- name: emit_one
-- purpose: one event in the caller's transaction; its id
INSERT INTO {hot} (topic, key, headers, payload)
VALUES (%(topic)s::text, %(key)s::text, %(headers)s::text::jsonb, %(payload)s::bytea)
RETURNING id;

-- name: emit_many
-- purpose: events in the order of the arrays; their ids
INSERT INTO {hot} (topic, key, headers, payload)
SELECT e.topic, e.key, e.headers::jsonb, e.payload
FROM unnest(%(topics)s::text[], %(keys)s::text[], %(headers)s::text[], %(payloads)s::bytea[])
     WITH ORDINALITY AS e (topic, key, headers, payload, number)
ORDER BY e.number
RETURNING id;

-- name: copy_in
-- purpose: the target of a COPY; columns in the order in which events are written
COPY {hot} (topic, key, headers, payload) FROM STDIN (FORMAT binary);

-- name: page
-- purpose: the first events that are not published and not in hand; read again from the first one
--          each time, because an earlier id may be committed later
SELECT p.id, p.shard, p.topic, p.key, p.headers::text, p.payload,
       pg_catalog.date_part('epoch', p.at)
FROM {hot} AS p
WHERE p.id <> ALL (%(tracked)s::bigint[])
ORDER BY p.id
LIMIT %(most)s::int;

-- name: any_waiting
-- purpose: whether anything is not published
SELECT EXISTS (SELECT FROM {hot});

-- name: lag
-- purpose: the age of the first event that is not published
SELECT coalesce((SELECT pg_catalog.date_part('epoch', howdah.clock() - p.at)
                 FROM {hot} AS p ORDER BY p.id LIMIT 1), 0);

-- name: publish
-- purpose: delivered events leave the hot partition
UPDATE {whole} AS p SET published_at = howdah.clock()
WHERE p.published_at IS NULL AND p.id = ANY (%(ids)s::bigint[]);

-- name: take_out
-- purpose: events that were set aside; their rows are in howdah.outbox_parked
DELETE FROM {hot} AS p WHERE p.id = ANY (%(ids)s::bigint[]);

-- name: newest_epoch
-- purpose: who relays, and how often it has said so
SELECT e.epoch, e.beat, pg_catalog.date_part('epoch', howdah.clock() - e.at)
FROM howdah.outbox_epoch AS e WHERE e.outbox = %(outbox)s::text
ORDER BY e.epoch DESC, e.beat DESC LIMIT 1;

-- name: beat
-- purpose: compare and set: the next sign of life, or no row when another relay has taken over
INSERT INTO howdah.outbox_epoch (outbox, epoch, beat)
SELECT %(outbox)s::text, %(epoch)s::bigint, %(beat)s::bigint
WHERE NOT EXISTS (SELECT FROM howdah.outbox_epoch AS e
                  WHERE e.outbox = %(outbox)s::text AND e.epoch > %(epoch)s::bigint)
ON CONFLICT DO NOTHING
RETURNING epoch;

-- name: forget_beats
-- purpose: what came before is of no use once a relay has taken over
DELETE FROM howdah.outbox_epoch AS e
WHERE e.outbox = %(outbox)s::text
  AND (e.epoch < %(epoch)s::bigint OR (e.epoch = %(epoch)s::bigint AND e.beat < %(beat)s::bigint));

-- name: superseded
-- purpose: whether another relay has taken over since
SELECT EXISTS (SELECT FROM howdah.outbox_epoch AS e
               WHERE e.outbox = %(outbox)s::text AND e.epoch > %(epoch)s::bigint);

-- name: measured
-- purpose: bytes of the hot partition's index, and its rows, counted up to a bound
SELECT pg_catalog.pg_relation_size(%(index)s::text::pg_catalog.regclass),
       (SELECT pg_catalog.count(*) FROM (SELECT FROM {hot} LIMIT 100000) AS counted);

-- name: reindex
-- purpose: build the hot partition's index anew beside the old one
REINDEX INDEX CONCURRENTLY {index};

-- name: leftovers
-- purpose: indexes that an interrupted REINDEX CONCURRENTLY left behind
SELECT c.relname FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = %(table)s::text::pg_catalog.regclass AND NOT i.indisvalid
  AND c.relname LIKE '%%\_ccnew%%';

-- name: drop_leftover
-- purpose: remove one of them
DROP INDEX CONCURRENTLY IF EXISTS {index};

-- name: rotate
-- purpose: take published events out of the table, drop what was taken out before
SELECT r.action, r.detail
FROM howdah.outbox_rotate(%(outbox)s::text, %(most_bytes)s::bigint, %(keep_seconds)s::float8) AS r;
