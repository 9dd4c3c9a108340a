-- name: create
-- purpose: make an inbox unless it is there
SELECT howdah.create_inbox(%(inbox)s::text, %(window_seconds)s::float8, %(rings)s::int,
                           %(partitions)s::int);

-- name: drop
-- purpose: remove an inbox with everything that it remembers
SELECT howdah.drop_inbox(%(inbox)s::text)::text;

-- name: first
-- purpose: which of these uids come for the first time
SELECT f FROM howdah.inbox_first(%(inbox)s::text, %(uids)s::text[]) AS f;

-- name: maintain
-- purpose: turn the ring when its time has come
SELECT howdah.inbox_maintain(%(inbox)s::text);
