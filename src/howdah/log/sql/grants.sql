-- A producer emits and reads nothing, not even what it emitted. A worker consumes: it reads, commits,
-- subscribes and maintains. A reader looks at everything and changes nothing. Making, dropping and
-- adopting a log is the owner's. May be run again and again.
GRANT EXECUTE ON FUNCTION howdah.clock() TO howdah_producer, howdah_worker, howdah_reader;
GRANT SELECT ON howdah.log, howdah.log_turn TO howdah_producer;
GRANT SELECT ON howdah.log, howdah.log_segment, howdah.log_turn, howdah.log_consumer,
    howdah.log_archive TO howdah_worker, howdah_reader;
GRANT EXECUTE ON FUNCTION
    howdah.emit(text, text, text, bytea, jsonb), howdah.emit(text, text, text, jsonb, jsonb),
    howdah.emit(text, text, text, text, jsonb), howdah.log_named(text), howdah.log_current(int),
    howdah.log_timeline()
    TO howdah_producer, howdah_worker;
GRANT EXECUTE ON FUNCTION
    howdah.segments(text), howdah.consumers(text), howdah.log_lag(howdah.log, pg_snapshot),
    howdah.log_newest(text, text), howdah.log_tables(int, text), howdah.log_named(text),
    howdah.log_current(int), howdah.log_pinned_by(int, text, text),
    howdah.log_unread(text, pg_snapshot), howdah.log_at_home(bigint, oid), howdah.log_home(),
    howdah.log_reached(pg_snapshot), howdah.log_moved(text), howdah.log_ahead(text, pg_snapshot),
    howdah.log_now()
    TO howdah_worker, howdah_reader;
GRANT EXECUTE ON FUNCTION
    howdah.subscribe(text, text, text, text, bigint), howdah.unsubscribe(text, text),
    howdah.when_slow(text, text, text, bigint), howdah.reanchor(text, text, text),
    howdah.maintain(text, bigint, int), howdah.read(text, text, int, bigint),
    howdah.token(text, pg_snapshot, pg_snapshot, bigint), howdah.resume(text, text, text),
    howdah.commit(text, text, text), howdah.log_position(text, text),
    howdah.log_advance(text, text, bigint, pg_snapshot, pg_snapshot, bigint, bigint, jsonb),
    howdah.log_no_consumer(text, text), howdah.log_moved(text),
    howdah.log_ahead(text, pg_snapshot), howdah.log_now()
    TO howdah_worker;
SELECT howdah.log_grant_all();
