-- A producer enqueues and sees nothing, not even what it enqueued. A worker runs jobs and may be the
-- dispatcher; people who operate a queue are members of it too. A reader looks at everything and
-- changes nothing. Making and dropping a queue is the owner's. May be run again and again.
GRANT EXECUTE ON FUNCTION howdah.enqueue(text, text, jsonb, text, jsonb, timestamptz, text, timestamptz)
    TO howdah_producer, howdah_worker;
GRANT SELECT ON howdah.queue, howdah.queue_parked, howdah.queue_dead, howdah.queue_hold,
    howdah.queue_pause, howdah.queue_worker, howdah.queue_kind, howdah.queue_unique, howdah.queue_cron,
    howdah.queue_fired, howdah.queue_count,
    howdah.queue_later_0, howdah.queue_later_1, howdah.queue_later_2, howdah.queue_later_3,
    howdah.queue_later_4, howdah.queue_later_5, howdah.queue_later_6, howdah.queue_later_7,
    howdah.queue_later_far, howdah.queue_result_0, howdah.queue_result_1, howdah.queue_result_2
    TO howdah_worker, howdah_reader;
GRANT EXECUTE ON FUNCTION howdah.queue_named(text), howdah.queue_newest(text) TO howdah_worker,
    howdah_reader;
GRANT INSERT ON howdah.queue_count, howdah.queue_result_0, howdah.queue_result_1,
    howdah.queue_result_2 TO howdah_worker;
GRANT INSERT, UPDATE ON howdah.queue_worker, howdah.queue_kind TO howdah_worker;
GRANT INSERT, UPDATE, DELETE ON howdah.queue_cron TO howdah_worker;
DO $do$
DECLARE
    needed regprocedure;
BEGIN
    -- What runs with the caller's rights gives nothing that the tables do not; of what runs with the
    -- owner's, a dispatcher needs these.
    FOR needed IN
        SELECT p.oid FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'howdah'::pg_catalog.regnamespace
          AND (p.proname = ANY ('{queue_apply, queue_fire, queue_maintain, complete}'::pg_catalog.name[])
               OR p.proname LIKE 'queue\_%' AND NOT p.prosecdef)
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO howdah_worker', needed);
    END LOOP;
END
$do$;
SELECT howdah.queue_grant_all();
