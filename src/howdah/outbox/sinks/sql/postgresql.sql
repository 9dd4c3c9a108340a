-- The PostgreSQL sink. {table} and {fence} are identifiers; the rest are parameters.

-- name: create_table
-- purpose: where messages arrive; position tells the order of arrival
CREATE TABLE IF NOT EXISTS {table} (
  position pg_catalog.int8 GENERATED ALWAYS AS IDENTITY,
  uid pg_catalog.text PRIMARY KEY,
  topic pg_catalog.text NOT NULL,
  key pg_catalog.text,
  payload pg_catalog.bytea NOT NULL,
  headers pg_catalog.jsonb NOT NULL,
  at pg_catalog.timestamptz NOT NULL,
  received_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
)

-- name: create_fence
-- purpose: the epochs of the relays that published here; rows are only added
CREATE TABLE IF NOT EXISTS {fence} (
  relay pg_catalog.text,
  shard pg_catalog.int4,
  epoch pg_catalog.int8,
  PRIMARY KEY (relay, shard, epoch)
)

-- name: found
-- purpose: whether both tables are there
SELECT pg_catalog.to_regclass(%(table)s) IS NOT NULL,
       pg_catalog.to_regclass(%(fence)s) IS NOT NULL

-- name: wait_for_publishers
-- purpose: lets every publication in progress end and none begin until we committed
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%(place)s, 0))

-- name: publish_beside_others
-- purpose: a publication is in progress until its transaction ends
SELECT pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended(%(place)s, 0))

-- name: newest_epoch
-- purpose: read after the lock, so that it is the newest there can be until we commit
SELECT pg_catalog.max(epoch) FROM {fence} WHERE relay = %(relay)s AND shard = %(shard)s

-- name: add_epoch
-- purpose: from its commit on, older relays are refused
INSERT INTO {fence} (relay, shard, epoch) VALUES (%(relay)s, %(shard)s, %(epoch)s)
ON CONFLICT DO NOTHING

-- name: insert_messages
-- purpose: stores those that are new, in the order given, and names them
INSERT INTO {table} (uid, topic, key, payload, headers, at)
SELECT uid, topic, key, payload, headers, pg_catalog.to_timestamp(at)
FROM ROWS FROM (
  pg_catalog.unnest(%(uids)b::pg_catalog.text[]),
  pg_catalog.unnest(%(topics)b::pg_catalog.text[]),
  pg_catalog.unnest(%(keys)b::pg_catalog.text[]),
  pg_catalog.unnest(%(payloads)b::pg_catalog.bytea[]),
  pg_catalog.unnest(%(headers)b::pg_catalog.text[]::pg_catalog.jsonb[]),
  pg_catalog.unnest(%(ats)b::pg_catalog.float8[])
) WITH ORDINALITY AS given (uid, topic, key, payload, headers, at, ordinal)
ORDER BY ordinal
ON CONFLICT (uid) DO NOTHING
RETURNING uid

-- name: found_inbox
-- purpose: the window of the inbox; no row where there is none
SELECT window_seconds FROM howdah.outbox_inbox WHERE name = %(inbox)s

-- name: found_log
-- purpose: an error that says what is wrong where there is no such log
SELECT howdah.log_named(%(log)s) IS NOT NULL

-- name: emit_messages
-- purpose: emits those that the inbox has not seen, in the order given, and names them
WITH new AS MATERIALIZED (
  SELECT uid FROM howdah.inbox_first(%(inbox)s::pg_catalog.text, %(uids)b::pg_catalog.text[]) AS uid
)
SELECT uid, howdah.emit(
  %(log)s::pg_catalog.text, topic, key, payload,
  headers || pg_catalog.jsonb_build_object('howdah-uid', uid)
)
FROM (
  SELECT given.*
  FROM ROWS FROM (
    pg_catalog.unnest(%(uids)b::pg_catalog.text[]),
    pg_catalog.unnest(%(topics)b::pg_catalog.text[]),
    pg_catalog.unnest(%(keys)b::pg_catalog.text[]),
    pg_catalog.unnest(%(payloads)b::pg_catalog.bytea[]),
    pg_catalog.unnest(%(headers)b::pg_catalog.text[]::pg_catalog.jsonb[])
  ) WITH ORDINALITY AS given (uid, topic, key, payload, headers, ordinal)
  JOIN new USING (uid)
  ORDER BY given.ordinal
) AS ordered
