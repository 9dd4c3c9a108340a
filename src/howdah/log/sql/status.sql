-- name: every
-- purpose: the names of all logs
SELECT l.name FROM howdah.log AS l ORDER BY l.name;

-- name: log
-- purpose: a log, whether its transaction ids are ours, and when its current segment was opened
SELECT l.name, l.uuid::text || '-' || coalesce(howdah.log_timeline(), 0),
       howdah.log_at_home(l.system_identifier, l.database_oid),
       date_part('epoch', (SELECT t.opened_at FROM howdah.log_turn AS t
                           WHERE t.log_id = l.log_id ORDER BY t.turn DESC LIMIT 1))
FROM howdah.log_named(%(log)s::text) AS l;

-- name: segments
-- purpose: its tables, by counters and index probes
SELECT s.source, s.segment, s.archive, s.is_current, s.bytes, s.rows_estimated, s.dead_estimated,
       s.pinned_by
FROM howdah.segments(%(log)s::text) AS s;

-- name: consumers
-- purpose: its consumers with their lag, by index probes
SELECT c.consumer, c.generation, c.epoch, date_part('epoch', c.committed_at), c.in_window,
       c.lag_bytes, c.lag_seconds, c.when_slow, c.slow_bytes, c.problem
FROM howdah.consumers(%(log)s::text) AS c;
