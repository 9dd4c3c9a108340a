-- name: queues
-- purpose: the queues of this database
SELECT q.name FROM howdah.queue AS q ORDER BY q.name;

-- name: leader
-- purpose: the session that holds the dispatcher's advisory lock, if its database role may be seen
SELECT a.pid, a.application_name, host(a.client_addr)
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid,
     hashtextextended('howdah.queue dispatcher ' || %(queue)s::text, 0) AS h (hash)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND l.classid::bigint = (h.hash >> 32) & 4294967295 AND l.objid::bigint = h.hash & 4294967295;

-- name: counted
-- purpose: the newest row of the dispatcher's counts: how full it was, and when
SELECT c.counts::text, date_part('epoch', c.at), date_part('epoch', howdah.clock() - c.at)
FROM howdah.queue_count AS c WHERE c.queue_id = %(queue_id)s::int
ORDER BY c.at DESC LIMIT 1;

-- name: rates
-- purpose: what was counted in the last minute and the last five
SELECT e.name, coalesce(sum(e.value::bigint) FILTER (WHERE c.at > howdah.clock() - interval '1 min'), 0)
           ::bigint,
       sum(e.value::bigint)::bigint
FROM howdah.queue_count AS c, jsonb_each_text(c.counts) AS e (name, value)
WHERE c.queue_id = %(queue_id)s::int AND c.at > howdah.clock() - interval '5 min'
  AND e.name NOT IN ('loaded', 'running', 'more')
GROUP BY e.name;

-- name: lag
-- purpose: what stands in a log behind a snapshot: bytes, the oldest's age, rows by density
SELECT l.bytes, l.seconds,
       (l.bytes * coalesce((SELECT sum(s.rows_estimated) / nullif(sum(s.bytes), 0)
                            FROM howdah.segments(%(log)s::text) AS s), 0))::bigint
FROM howdah.log_lag(howdah.log_named(%(log)s::text), %(behind)s::text::pg_snapshot) AS l;

-- name: ring
-- purpose: the tables of a log, by counters and index probes
SELECT s.source, s.bytes, s.is_current, s.rows_estimated, s.dead_estimated, s.pinned_by
FROM howdah.segments(%(log)s::text) AS s WHERE s.bytes > 0;

-- name: trouble
-- purpose: why the dispatcher could not continue from its position in a log
SELECT c.problem FROM howdah.consumers(%(log)s::text) AS c
WHERE c.consumer = 'dispatch' AND c.problem IS NOT NULL;

-- name: registered
-- purpose: the workers that have registered and not left
SELECT w.name, w.slots, w.kinds, w.host, w.pid, date_part('epoch', w.registered_at)
FROM howdah.queue_worker AS w WHERE w.queue_id = %(queue_id)s::int ORDER BY w.name;

-- name: few_parked
-- purpose: parked jobs and their keys, counted up to a bound
SELECT count(*), count(DISTINCT f.key)
FROM (SELECT p.key FROM howdah.queue_parked AS p
      WHERE p.queue_id = %(queue_id)s::int LIMIT %(most)s::int) AS f;

-- name: few_dead
-- purpose: dead letters, counted up to a bound
SELECT count(*) FROM (SELECT FROM howdah.queue_dead AS d
                      WHERE d.queue_id = %(queue_id)s::int LIMIT %(most)s::int) AS f;

-- name: few_later
-- purpose: jobs of one bucket that are put off, counted up to a bound, and the first of them
SELECT (SELECT count(*) FROM (SELECT FROM {bucket} AS l
                              WHERE l.queue_id = %(queue_id)s::int LIMIT %(most)s::int) AS f),
       (SELECT date_part('epoch', min(l.due)) FROM {bucket} AS l
        WHERE l.queue_id = %(queue_id)s::int);

-- name: paused
-- purpose: what is paused
SELECT p.kind, p.tenant, date_part('epoch', p.since)
FROM howdah.queue_pause AS p WHERE p.queue_id = %(queue_id)s::int ORDER BY p.since;

-- name: held
-- purpose: the keys that are held, by which job and policy
SELECT h.key, h.job, h.policy, date_part('epoch', h.since)
FROM howdah.queue_hold AS h
WHERE h.queue_id = %(queue_id)s::int AND (%(key)s::text IS NULL OR h.key = %(key)s::text)
ORDER BY h.since LIMIT %(most)s::int;

-- name: newest_claims
-- purpose: the newest claims that may still be open
SELECT c.generation, c.ordinal, c.worker, date_part('epoch', c.at), c.rows, c.segments, c.tids,
       c.attempts
FROM (SELECT * FROM {claims} UNION ALL SELECT * FROM {other_claims}) AS c
WHERE c.generation >= %(floor)s::bigint
ORDER BY c.generation DESC, c.ordinal DESC LIMIT %(most)s::int;

-- name: settlements
-- purpose: rows whose claims ended outside the reports
SELECT s.generation, s.ordinal, s.row_id, s.revoked
FROM (SELECT * FROM {settled} UNION ALL SELECT * FROM {other_settled}) AS s
WHERE s.generation >= %(floor)s::bigint;

-- name: moved
-- purpose: log rows that ended by anything but a report, as far back as a rebuild would read
SELECT EXISTS (SELECT FROM (SELECT * FROM {ledger} UNION ALL SELECT * FROM {other}) AS l
               WHERE l.generation >= %(floor)s::bigint AND %(row)s::bigint = ANY (l.moved));

-- name: told
-- purpose: reports of a window, in order
SELECT p.id, p.payload, date_part('epoch', p.at)
FROM {function}(%(seen)s::text::pg_snapshot, %(upto)s::text::pg_snapshot, %(last_id)s::bigint,
                %(max_rows)s::int, true) AS p;

-- name: later_jobs
-- purpose: jobs of one bucket that are put off, the first due first
SELECT l.row_id, l.job, date_part('epoch', l.due), l.kind, l.key, l.headers::text,
       date_part('epoch', l.at)
FROM {bucket} AS l
WHERE l.queue_id = %(queue_id)s::int AND (%(kind)s::text IS NULL OR l.kind = %(kind)s::text)
  AND (%(key)s::text IS NULL OR l.key = %(key)s::text)
  AND (%(tenant)s::text IS NULL OR l.headers ->> 'tenant' = %(tenant)s::text)
ORDER BY l.due LIMIT %(most)s::int;

-- name: parked_jobs
-- purpose: jobs that wait behind a held key
SELECT p.row_id, p.job, p.kind, p.key, p.headers::text, date_part('epoch', p.at)
FROM howdah.queue_parked AS p
WHERE p.queue_id = %(queue_id)s::int AND (%(kind)s::text IS NULL OR p.kind = %(kind)s::text)
  AND (%(key)s::text IS NULL OR p.key = %(key)s::text)
  AND (%(tenant)s::text IS NULL OR p.headers ->> 'tenant' = %(tenant)s::text)
ORDER BY p.row_id LIMIT %(most)s::int;

-- name: dead_jobs
-- purpose: dead letters, the newest first
SELECT d.row_id, d.job, d.kind, d.key, d.headers::text, date_part('epoch', d.at), d.attempt, d.reason,
       d.error, date_part('epoch', d.died_at)
FROM howdah.queue_dead AS d
WHERE d.queue_id = %(queue_id)s::int AND (%(kind)s::text IS NULL OR d.kind = %(kind)s::text)
  AND (%(key)s::text IS NULL OR d.key = %(key)s::text)
  AND (%(tenant)s::text IS NULL OR d.headers ->> 'tenant' = %(tenant)s::text)
ORDER BY d.died_at DESC LIMIT %(most)s::int;

-- name: one_dead
-- purpose: one dead letter, with everything
SELECT d.row_id, d.kind, d.key, d.headers::text, d.payload, date_part('epoch', d.at), d.attempt,
       d.reason, d.error, date_part('epoch', d.died_at)
FROM howdah.queue_dead AS d
WHERE d.queue_id = %(queue_id)s::int AND d.job = %(job)s::bigint;

-- name: one_parked
-- purpose: one parked job, with everything
SELECT p.row_id, p.kind, p.key, p.headers::text, p.payload, date_part('epoch', p.at)
FROM howdah.queue_parked AS p
WHERE p.queue_id = %(queue_id)s::int AND p.job = %(job)s::bigint ORDER BY p.row_id LIMIT 1;

-- name: one_later
-- purpose: one job that is put off, if it is in this bucket
SELECT l.row_id, l.kind, l.key, l.headers::text, l.payload, date_part('epoch', l.at),
       date_part('epoch', l.due)
FROM {bucket} AS l
WHERE l.queue_id = %(queue_id)s::int AND l.job = %(job)s::bigint ORDER BY l.row_id LIMIT 1;

-- name: blocks
-- purpose: the segments of a jobs log and how many blocks each has
SELECT t.segment,
       (pg_relation_size(to_regclass(format('howdah.%%I', t.name)))
        / current_setting('block_size')::int)::int
FROM howdah.log_named(%(log)s::text) AS l, howdah.log_tables(l.log_id, l.name) AS t
WHERE t.segment IS NOT NULL;

-- name: numbers
-- purpose: the row numbers in a range of blocks; reads those blocks and no others
SELECT min(s.id), max(s.id) FROM {segment} AS s
WHERE s.ctid >= %(first)s::text::tid AND s.ctid < %(after)s::text::tid;

-- name: in_blocks
-- purpose: a job row by its number in a range of blocks, and whether it is behind what is done
SELECT s.id, s.topic, s.key, s.headers::text, s.payload, date_part('epoch', s.at),
       pg_visible_in_snapshot(s.xid, %(done)s::text::pg_snapshot),
       pg_visible_in_snapshot(s.xid, %(read)s::text::pg_snapshot)
FROM {segment} AS s
WHERE s.ctid >= %(first)s::text::tid AND s.ctid < %(after)s::text::tid AND s.id = %(row)s::bigint;

-- name: timetable
-- purpose: the schedules of a queue, and what each fired last
SELECT c.name, c.expression, c.zone, c.catch_up, c.kind, c.key, date_part('epoch', c.dealt_upto),
       date_part('epoch', f.fire_at), f.job
FROM howdah.queue_cron AS c
LEFT JOIN LATERAL (SELECT * FROM howdah.queue_fired AS f
                   WHERE f.queue_id = c.queue_id AND f.name = c.name
                   ORDER BY f.fire_at DESC LIMIT 1) AS f ON true
WHERE c.queue_id = %(queue_id)s::int ORDER BY c.name;

-- name: tell
-- purpose: tell the dispatcher something; it answers by doing it
SELECT howdah.emit(%(log)s::text, 'report', NULL::text, %(report)s::text::jsonb);

-- name: make
-- purpose: make a queue unless it is there
SELECT howdah.create_queue(%(queue)s::text);

-- name: unmake
-- purpose: remove a queue with every job in it
SELECT howdah.drop_queue(%(queue)s::text);

-- name: end_schedule
-- purpose: end a schedule
DELETE FROM howdah.queue_cron AS c USING howdah.queue AS q
WHERE q.queue_id = c.queue_id AND q.name = %(queue)s::text AND c.name = %(schedule)s::text;

-- name: start_again
-- purpose: let a queue go on that was restored or copied here
SELECT howdah.queue_reanchor(%(queue)s::text);
