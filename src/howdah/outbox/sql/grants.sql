-- Producers emit, workers relay and repair, readers look.
GRANT SELECT ON howdah.outbox TO howdah_producer, howdah_worker, howdah_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON howdah.outbox_parked TO howdah_worker;
GRANT SELECT, INSERT, DELETE ON howdah.outbox_epoch TO howdah_worker;
GRANT SELECT ON howdah.outbox_parked, howdah.outbox_epoch, howdah.outbox_rotated,
    howdah.outbox_inbox TO howdah_reader;
GRANT SELECT ON howdah.outbox_rotated, howdah.outbox_inbox TO howdah_worker;
GRANT EXECUTE ON FUNCTION howdah.outbox_named(text)
    TO howdah_producer, howdah_worker, howdah_reader;
GRANT EXECUTE ON FUNCTION howdah.outbox_emit(text, text, text, bytea, jsonb)
    TO howdah_producer, howdah_worker;
GRANT EXECUTE ON FUNCTION
    howdah.outbox_rotate(text, bigint, float8),
    howdah.inbox_first(text, text[]),
    howdah.inbox_maintain(text)
    TO howdah_worker;
