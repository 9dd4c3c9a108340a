-- The log: an append-only ring of plain tables, its consumers and their ledgers.
--
-- howdah.log            one row per log, changed only when a restored one is adopted
-- howdah.log_segment    the tables of its ring: howdah.log_<log>$<segment>
-- howdah.log_turn       append-only: the newest row names the segment that producers fill, and each
--                       row is a mark: a snapshot at which a long window may be divided
-- howdah.log_consumer   who reads; positions are in two ledger tables per consumer,
--                       howdah.log_<log>$<consumer>$0 and $1
--
-- A consumer has consumed everything visible in the snapshot `seen`. While it is inside a window,
-- `upto` is the window's end and `last_id` the last row of it that is done; the next row is the one
-- with the next larger id. Errors: HD001 superseded, HD002 position lost, HD003 bad input,
-- HD004 look again.

-- The time, for every statement of the runtime; tests that need another time replace it. It is not
-- pinned to a search path: a function with settings is never inlined, and this one is asked for every
-- row that is emitted. Its body was resolved when it was made.
CREATE FUNCTION howdah.clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN clock_timestamp();

CREATE TABLE howdah.log (
    log_id     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_]{0,23}$'),
    uuid       uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The database that its transaction ids belong to; anywhere else they mean nothing.
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    -- Counts the changes of its set of tables; the functions that read them know theirs.
    shape      int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT howdah.clock()
);

CREATE TABLE howdah.log_segment (
    log_id     int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    segment    int NOT NULL,
    created_at timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (log_id, segment)
);

CREATE TABLE howdah.log_turn (
    log_id    int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    turn      bigint NOT NULL,
    segment   int NOT NULL,
    opened_at timestamptz NOT NULL, -- when this segment became the current one
    bytes     bigint NOT NULL,      -- of the segment, when this row was written
    snapshot  pg_snapshot NOT NULL,
    beyond    xid8 NOT NULL GENERATED ALWAYS AS (pg_snapshot_xmax(snapshot)) STORED,
    timeline  int NOT NULL,
    lsn       pg_lsn NOT NULL,
    PRIMARY KEY (log_id, turn)
);
CREATE INDEX ON howdah.log_turn (log_id, beyond);

CREATE TABLE howdah.log_consumer (
    log_id            int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    name              text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,23}$'),
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    when_slow         text NOT NULL DEFAULT 'pin' CHECK (when_slow IN ('pin', 'detach', 'drop')),
    slow_bytes        bigint NOT NULL DEFAULT 1073741824 CHECK (slow_bytes > 0),
    dropped_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (log_id, name)
);

-- Where events of a log went whose segment was taken out of the ring for a slow consumer.
CREATE TABLE howdah.log_archive (
    log_id      int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    archive     int NOT NULL,
    segment     int NOT NULL,
    detached_at timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (log_id, archive)
);

-- The log of that name, or HD003 with what to do.
CREATE FUNCTION howdah.log_named(log text) RETURNS howdah.log
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    SELECT * INTO its FROM howdah.log AS l WHERE l.name = log_named.log;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no log %', quote_nullable(log)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.create_log(%L)', log);
    END IF;
    RETURN its;
END
$$;

-- Where snapshots of this database belong to.
CREATE FUNCTION howdah.log_home() RETURNS TABLE (system_identifier bigint, database_oid oid)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.system_identifier, d.oid
    FROM pg_control_system() AS c, pg_database AS d
    WHERE d.datname = current_database()
$$;

-- The timeline that is written now; null on a standby. The control file may be a checkpoint behind.
CREATE FUNCTION howdah.log_timeline() RETURNS int
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN NOT pg_is_in_recovery()
                THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int
           END;

-- The snapshot of this moment, in which the transaction that asks counts as running, as it does for
-- everybody else. pg_current_snapshot() alone leaves it out: once a later transaction has ended, that
-- snapshot would say that this one had too, and what it still emits would be taken for consumed.
CREATE FUNCTION howdah.log_now() RETURNS pg_snapshot
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken pg_snapshot := pg_current_snapshot();
    own xid8 := pg_current_xact_id_if_assigned();
BEGIN
    IF own IS NULL OR own >= pg_snapshot_xmax(taken) THEN
        RETURN taken;
    END IF;
    RETURN (
        SELECT format('%s:%s:%s', least(pg_snapshot_xmin(taken), own), pg_snapshot_xmax(taken),
                      string_agg(r.running::text, ',' ORDER BY r.running))
        FROM (SELECT pg_snapshot_xip(taken) UNION SELECT own) AS r (running)
    )::pg_snapshot;
END
$$;

-- Add one table to the ring.
CREATE FUNCTION howdah.log_add_segment(log text) RETURNS int
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    added int;
    segment_table text;
BEGIN
    SELECT coalesce(max(s.segment) + 1, 0) INTO added
    FROM howdah.log_segment AS s WHERE s.log_id = its.log_id;
    segment_table := format('log_%s$%s', its.name, added);
    EXECUTE format($ddl$
        CREATE TABLE howdah.%1$I (
            id      bigint NOT NULL DEFAULT nextval(%2$L::regclass),
            xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
            topic   text NOT NULL,
            key     text,
            headers jsonb,
            payload bytea NOT NULL,
            at      timestamptz NOT NULL DEFAULT howdah.clock()
        ) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off, fillfactor = 100)
        $ddl$, segment_table, format('howdah.%I', 'log_' || its.name || '$id'));
    EXECUTE format('CREATE INDEX ON howdah.%I (xid, id) WITH (deduplicate_items = off)', segment_table);
    PERFORM howdah.log_grant(its.name, segment_table);
    INSERT INTO howdah.log_segment (log_id, segment) VALUES (its.log_id, added);
    RETURN added;
END
$$;

-- What the roles may do with a segment, where the roles exist. Nobody may write `id` or `xid`: what
-- is read depends on them.
CREATE FUNCTION howdah.log_grant(log text, segment_table text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY '{howdah_producer, howdah_worker}'::text[] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NULL;
        EXECUTE format('GRANT INSERT (topic, key, headers, payload), SELECT (id)'
                       ' ON howdah.%I TO %I', segment_table, role_name);
        EXECUTE format('GRANT USAGE ON SEQUENCE howdah.%I TO %I', 'log_' || log || '$id', role_name);
    END LOOP;
    FOREACH role_name IN ARRAY '{howdah_worker, howdah_reader}'::text[] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NULL;
        EXECUTE format('GRANT SELECT ON howdah.%I TO %I', segment_table, role_name);
    END LOOP;
END
$$;

-- A ledger: rows that are only added, each with the generation of a position, in two tables that take
-- turns every 65,536 generations, so that the older one can be truncated whole. Compare and set is
-- its primary key: of two who append one generation, one does. Queues have ledgers too.
CREATE FUNCTION howdah.log_make_ledger(ledger text, columns text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR half IN 0..1 LOOP
        EXECUTE format('CREATE TABLE howdah.%I (%s) WITH (autovacuum_enabled = off, fillfactor = 100)',
                       ledger || '$' || half, columns);
    END LOOP;
    PERFORM howdah.log_grant_ledger(ledger);
END
$$;

-- What the roles may do with both halves of a ledger, where the roles exist.
CREATE FUNCTION howdah.log_grant_ledger(ledger text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR half IN 0..1 LOOP
        IF to_regrole('howdah_worker') IS NOT NULL THEN
            EXECUTE format('GRANT SELECT, INSERT ON howdah.%I TO howdah_worker', ledger || '$' || half);
        END IF;
        IF to_regrole('howdah_reader') IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON howdah.%I TO howdah_reader', ledger || '$' || half);
        END IF;
    END LOOP;
END
$$;

-- The same for everything that was made before the roles were.
CREATE FUNCTION howdah.log_grant_all() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    FOR its IN SELECT * FROM howdah.log LOOP
        PERFORM howdah.log_grant(its.name, t.name) FROM howdah.log_tables(its.log_id, its.name) AS t;
        PERFORM howdah.log_grant_ledger(format('log_%s$%s', its.name, c.name))
        FROM howdah.log_consumer AS c WHERE c.log_id = its.log_id;
        PERFORM howdah.log_grant_functions(its.name);
    END LOOP;
END
$$;

-- The functions of one log are for those who may use its tables.
CREATE FUNCTION howdah.log_grant_functions(log text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT p.oid::regprocedure AS routine, r.role_name
        FROM pg_proc AS p
        JOIN (VALUES ('$emit', 'howdah_producer'), ('$emit', 'howdah_worker'),
                     ('$peek', 'howdah_worker'), ('$page', 'howdah_worker'),
                     ('$peek', 'howdah_reader'), ('$page', 'howdah_reader')) AS r (suffix, role_name)
          ON p.proname = 'log_' || log || r.suffix
        WHERE p.pronamespace = 'howdah'::regnamespace
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', given.routine);
        IF to_regrole(given.role_name) IS NOT NULL THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', given.routine, given.role_name);
        END IF;
    END LOOP;
END
$$;

-- Make a log; nothing happens when it is there.
CREATE FUNCTION howdah.create_log(log text, segments int DEFAULT 8) RETURNS howdah.log
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    IF log IS NULL OR log !~ '^[a-z][a-z0-9_]{0,23}$' THEN
        RAISE EXCEPTION '% is no name for a log', quote_nullable(log)
            USING ERRCODE = 'HD003',
                  HINT = 'a lower-case letter, then up to 23 letters, digits or underscores';
    END IF;
    IF segments NOT BETWEEN 3 AND 64 THEN
        RAISE EXCEPTION 'a ring has 3 to 64 segments, not %', segments USING ERRCODE = 'HD003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || log, 0));
    SELECT * INTO its FROM howdah.log AS l WHERE l.name = create_log.log;
    IF FOUND THEN
        RETURN its;
    END IF;
    INSERT INTO howdah.log (name, system_identifier, database_oid)
    SELECT log, h.system_identifier, h.database_oid FROM howdah.log_home() AS h
    RETURNING * INTO its;
    EXECUTE format('CREATE SEQUENCE howdah.%I CACHE 1', 'log_' || log || '$id');
    FOR number IN 1..segments LOOP
        PERFORM howdah.log_add_segment(log);
    END LOOP;
    PERFORM howdah.log_mark(its.log_id, 1, 0, howdah.clock(), 0);
    PERFORM howdah.log_compose(its.log_id);
    RETURN its;
END
$$;

-- Remove a log with everything in it.
CREATE FUNCTION howdah.drop_log(log text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
    each_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || log, 0));
    its := howdah.log_named(log);
    FOR each_name IN
        SELECT t.name FROM howdah.log_tables(its.log_id, its.name) AS t
        UNION ALL
        SELECT format('log_%s$%s$%s', its.name, c.name, half)
        FROM howdah.log_consumer AS c, generate_series(0, 1) AS half
        WHERE c.log_id = its.log_id
        ORDER BY 1
    LOOP
        EXECUTE format('DROP TABLE howdah.%I', each_name);
    END LOOP;
    EXECUTE format('DROP SEQUENCE howdah.%I', 'log_' || its.name || '$id');
    EXECUTE format('DROP FUNCTION howdah.%I, howdah.%I, howdah.%I', 'log_' || its.name || '$emit',
                   'log_' || its.name || '$peek', 'log_' || its.name || '$page');
    DELETE FROM howdah.log AS l WHERE l.log_id = its.log_id;
END
$$;

-- The segment that producers fill now. A stale answer is harmless: readers read every segment.
CREATE FUNCTION howdah.log_current(log_id int) RETURNS int
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT t.segment FROM howdah.log_turn AS t
            WHERE t.log_id = log_current.log_id ORDER BY t.turn DESC LIMIT 1);

-- Emit one event in the caller's transaction; its id.
CREATE FUNCTION howdah.emit(
    log text, topic text, key text, payload bytea, headers jsonb DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    emitted bigint;
BEGIN
    IF log IS NULL OR to_regproc(format('howdah.%I', 'log_' || log || '$emit')) IS NULL THEN
        PERFORM howdah.log_named(log); -- says what is wrong
    END IF;
    EXECUTE format('SELECT howdah.%I($1, $2, $3, $4)', 'log_' || log || '$emit')
    INTO emitted USING topic, key, payload, headers;
    RETURN emitted;
END
$$;

CREATE FUNCTION howdah.emit(
    log text, topic text, key text, payload jsonb, headers jsonb DEFAULT NULL
) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN howdah.emit(log, topic, key, convert_to(payload::text, 'UTF8'), headers);

-- What a payload without a type is: text.
CREATE FUNCTION howdah.emit(
    log text, topic text, key text, payload text, headers jsonb DEFAULT NULL
) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN howdah.emit(log, topic, key, convert_to(payload, 'UTF8'), headers);

-- Register a consumer that starts at the oldest row that is still there, or after what is now
-- visible. Nothing happens when it is registered.
CREATE FUNCTION howdah.subscribe(
    log text, consumer text, start_at text DEFAULT 'earliest',
    when_slow text DEFAULT 'pin', slow_bytes bigint DEFAULT 1073741824
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    IF consumer IS NULL OR consumer !~ '^[a-z][a-z0-9_]{0,23}$' THEN
        RAISE EXCEPTION '% is no name for a consumer', quote_nullable(consumer)
            USING ERRCODE = 'HD003',
                  HINT = 'a lower-case letter, then up to 23 letters, digits or underscores';
    END IF;
    IF start_at IS NULL OR start_at NOT IN ('earliest', 'now') THEN
        RAISE EXCEPTION 'a consumer starts at earliest or now, not %', quote_nullable(start_at)
            USING ERRCODE = 'HD003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || log, 0));
    its := howdah.log_named(log);
    PERFORM howdah.log_policy(when_slow, slow_bytes);
    IF NOT howdah.log_at_home(its.system_identifier, its.database_oid) THEN
        RAISE EXCEPTION 'log % was copied here from another database', its.name
            USING ERRCODE = 'HD002',
                  DETAIL = 'Its rows bear transaction ids that mean nothing here.',
                  HINT = format('SELECT howdah.adopt_log(%L)', log);
    END IF;
    INSERT INTO howdah.log_consumer
        (log_id, name, system_identifier, database_oid, when_slow, slow_bytes)
    SELECT its.log_id, consumer, h.system_identifier, h.database_oid, subscribe.when_slow,
           subscribe.slow_bytes
    FROM howdah.log_home() AS h
    ON CONFLICT (log_id, name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM howdah.log_make_ledger(format('log_%s$%s', its.name, consumer), $columns$
        generation bigint PRIMARY KEY,
        epoch      bigint NOT NULL,
        seen       pg_snapshot NOT NULL,
        upto       pg_snapshot,
        last_id    bigint NOT NULL,
        note       jsonb,
        at         timestamptz NOT NULL DEFAULT howdah.clock()$columns$);
    EXECUTE format(
        'INSERT INTO howdah.%I (generation, epoch, seen, last_id)'
        ' VALUES (1, 0, CASE $1 WHEN ''now'' THEN howdah.log_now()'
        ' ELSE ''1:1:''::pg_snapshot END, 0)',
        format('log_%s$%s$0', its.name, consumer)) USING start_at;
    RETURN true;
END
$$;

-- HD003 for what is no policy for slow consumers.
CREATE FUNCTION howdah.log_policy(when_slow text, slow_bytes bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF when_slow IS NULL OR when_slow NOT IN ('pin', 'detach', 'drop') THEN
        RAISE EXCEPTION 'a slow consumer is met with pin, detach or drop, not %',
            quote_nullable(when_slow) USING ERRCODE = 'HD003';
    END IF;
    IF slow_bytes IS NULL OR slow_bytes < 1 THEN
        RAISE EXCEPTION 'a consumer is slow from 1 byte on, not %', slow_bytes
            USING ERRCODE = 'HD003';
    END IF;
END
$$;

-- Whether transaction ids of that place are ours.
CREATE FUNCTION howdah.log_at_home(system_identifier bigint, database_oid oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT (h.system_identifier, h.database_oid)
                   = (log_at_home.system_identifier, log_at_home.database_oid)
            FROM howdah.log_home() AS h);

-- What happens when a consumer makes the log keep more than that: pin (and say so), detach (set its
-- segments aside) or drop (the consumer).
CREATE FUNCTION howdah.when_slow(log text, consumer text, when_slow text, slow_bytes bigint)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
BEGIN
    PERFORM howdah.log_policy(when_slow, slow_bytes);
    UPDATE howdah.log_consumer AS c
    SET when_slow = when_slow.when_slow, slow_bytes = when_slow.slow_bytes
    WHERE c.log_id = its.log_id AND c.name = consumer;
    IF NOT FOUND THEN
        PERFORM howdah.log_no_consumer(log, consumer);
    END IF;
END
$$;

CREATE FUNCTION howdah.log_no_consumer(log text, consumer text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'log % has no consumer %', log, quote_nullable(consumer)
        USING ERRCODE = 'HD003', HINT = format('SELECT howdah.subscribe(%L, %L)', log, consumer);
END
$$;

-- Forget a consumer and its position.
CREATE FUNCTION howdah.unsubscribe(log text, consumer text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || log, 0));
    its := howdah.log_named(log);
    DELETE FROM howdah.log_consumer AS c WHERE c.log_id = its.log_id AND c.name = consumer;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE howdah.%I, howdah.%I',
                   format('log_%s$%s$0', its.name, consumer),
                   format('log_%s$%s$1', its.name, consumer));
    RETURN true;
END
$$;

-- The newest row of a consumer's ledger, unchecked.
CREATE FUNCTION howdah.log_newest(
    log text, consumer text,
    OUT generation bigint, OUT epoch bigint, OUT seen pg_snapshot, OUT upto pg_snapshot,
    OUT last_id bigint, OUT note jsonb, OUT at timestamptz
)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'SELECT * FROM ((SELECT * FROM howdah.%I ORDER BY generation DESC LIMIT 1) UNION ALL'
        ' (SELECT * FROM howdah.%I ORDER BY generation DESC LIMIT 1)) AS both_halves'
        ' ORDER BY generation DESC LIMIT 1',
        format('log_%s$%s$0', log, consumer), format('log_%s$%s$1', log, consumer))
    INTO generation, epoch, seen, upto, last_id, note, at;
END
$$;

-- Whether everything that had ended in that snapshot has ended in the one that is used now. Not so
-- after the server went back in time, nor in a transaction that keeps an older snapshot.
CREATE FUNCTION howdah.log_reached(snapshot pg_snapshot) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN pg_snapshot_xmax(snapshot) <= pg_snapshot_xmax(pg_current_snapshot())
        AND NOT EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) AS r (xid)
                        WHERE pg_visible_in_snapshot(r.xid, snapshot));

-- A consumer's newest position; HD002 when it cannot be continued from.
CREATE FUNCTION howdah.log_position(
    log text, consumer text,
    OUT generation bigint, OUT epoch bigint, OUT seen pg_snapshot, OUT upto pg_snapshot,
    OUT last_id bigint, OUT note jsonb, OUT at timestamptz
)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    registered howdah.log_consumer;
BEGIN
    SELECT * INTO registered FROM howdah.log_consumer AS c
    WHERE c.log_id = its.log_id AND c.name = consumer;
    IF NOT FOUND THEN
        PERFORM howdah.log_no_consumer(its.name, consumer);
    END IF;
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'a consumer cannot read on a standby'
            USING ERRCODE = 'HD003', HINT = 'connect to the primary';
    END IF;
    IF registered.dropped_at IS NOT NULL THEN
        RAISE EXCEPTION 'consumer % of log % was dropped at % for being slow',
            consumer, its.name, registered.dropped_at
            USING ERRCODE = 'HD002',
                  HINT = format('SELECT howdah.reanchor(%L, %L, ''earliest'')', log, consumer);
    END IF;
    IF NOT howdah.log_at_home(registered.system_identifier, registered.database_oid) THEN
        RAISE EXCEPTION 'the position of consumer % of log % belongs to another database',
            consumer, its.name
            USING ERRCODE = 'HD002',
                  DETAIL = 'Transaction ids do not survive a dump and restore or a logical copy.',
                  HINT = format('SELECT howdah.reanchor(%L, %L, ''earliest'') to read again what'
                                ' the log still holds, or ''now'' to skip it', log, consumer);
    END IF;
    SELECT * INTO generation, epoch, seen, upto, last_id, note, at
    FROM howdah.log_newest(log, consumer);
    IF NOT howdah.log_reached(coalesce(upto, seen)) THEN
        RAISE EXCEPTION 'the position of consumer % of log % is in the future', consumer, its.name
            USING ERRCODE = 'HD002',
                  DETAIL = format('It ends at transaction %s, this server is at %s.',
                                  pg_snapshot_xmax(coalesce(upto, seen)),
                                  pg_snapshot_xmax(pg_current_snapshot())),
                  HINT = format('SELECT howdah.reanchor(%L, %L, ''earliest'')', log, consumer);
    END IF;
END
$$;

-- Append a position after `generation`, or HD001 when another instance has.
CREATE FUNCTION howdah.log_advance(
    log text, consumer text, generation bigint, seen pg_snapshot, upto pg_snapshot DEFAULT NULL,
    last_id bigint DEFAULT 0, epoch bigint DEFAULT NULL, note jsonb DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest record := howdah.log_newest(log, consumer);
    appended bigint := generation + 1;
BEGIN
    IF newest.generation = generation THEN
        EXECUTE format(
            'INSERT INTO howdah.%I (generation, epoch, seen, upto, last_id, note)'
            ' VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (generation) DO NOTHING'
            ' RETURNING generation',
            format('log_%s$%s$%s', log, consumer, (appended >> 16) & 1))
        INTO appended
        USING appended, coalesce(epoch, newest.epoch), seen, upto, last_id, note;
    ELSE
        appended := NULL;
    END IF;
    IF appended IS NULL THEN
        RAISE EXCEPTION 'consumer % of log % has moved on without you', consumer, log
            USING ERRCODE = 'HD001',
                  DETAIL = format('You hold generation %s, the newest is %s.', generation,
                                  newest.generation),
                  HINT = 'roll back and read again';
    END IF;
    RETURN appended;
END
$$;

-- The snapshot of this moment in which the transaction that asks has ended: for one that has just
-- given its own id to rows of a restored log, which are to be skipped.
CREATE FUNCTION howdah.log_past_own() RETURNS pg_snapshot
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken pg_snapshot := pg_current_snapshot();
    beyond bigint := pg_snapshot_xmax(taken)::text::bigint;
    own bigint := pg_current_xact_id_if_assigned()::text::bigint;
BEGIN
    RETURN format('%s:%s:%s', pg_snapshot_xmin(taken), greatest(beyond, own + 1), (
        SELECT string_agg(r.running::text, ',' ORDER BY r.running)
        FROM (SELECT x::text::bigint FROM pg_snapshot_xip(taken) AS x
              UNION ALL SELECT generate_series(beyond, own - 1)) AS r (running)
        WHERE r.running <> own
    ))::pg_snapshot;
END
$$;

-- Set a consumer's position anew: 'earliest' reads again what the log holds, 'now' skips it, 'keep'
-- says that the position is right although the server is another one (after pg_upgrade).
CREATE FUNCTION howdah.reanchor(log text, consumer text, start_at text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
    newest record;
    keep boolean := start_at = 'keep';
    settled boolean := false;
BEGIN
    IF start_at IS NULL OR start_at NOT IN ('earliest', 'now', 'keep') THEN
        RAISE EXCEPTION 'a position is set to earliest, now or keep, not %',
            quote_nullable(start_at) USING ERRCODE = 'HD003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || log, 0));
    its := howdah.log_named(log);
    IF NOT EXISTS (SELECT FROM howdah.log_consumer AS c
                   WHERE c.log_id = its.log_id AND c.name = consumer) THEN
        PERFORM howdah.log_no_consumer(its.name, consumer);
    END IF;
    newest := howdah.log_newest(log, consumer);
    IF keep AND NOT howdah.log_reached(coalesce(newest.upto, newest.seen)) THEN
        RAISE EXCEPTION 'the position of consumer % of log % is in the future', consumer, its.name
            USING ERRCODE = 'HD002', DETAIL = 'What lies there has not happened on this server.',
                  HINT = format('SELECT howdah.reanchor(%L, %L, ''earliest'')', log, consumer);
    END IF;
    IF NOT howdah.log_at_home(its.system_identifier, its.database_oid) THEN
        PERFORM howdah.log_settle(its, keep);
        settled := true;
    END IF;
    UPDATE howdah.log_consumer AS c
    SET system_identifier = h.system_identifier, database_oid = h.database_oid, dropped_at = NULL
    FROM howdah.log_home() AS h
    WHERE c.log_id = its.log_id AND c.name = consumer;
    RETURN howdah.log_advance(
        log, consumer, newest.generation,
        CASE start_at WHEN 'keep' THEN newest.seen
                      WHEN 'now' THEN CASE WHEN settled THEN howdah.log_past_own()
                                           ELSE howdah.log_now() END
                      ELSE '1:1:' END,
        CASE WHEN keep THEN newest.upto END,
        CASE WHEN keep THEN newest.last_id ELSE 0 END,
        newest.epoch + 1,
        CASE WHEN keep THEN newest.note END);
END
$$;

-- A position with the place and history that it belongs to, for a consumer that keeps it beside its
-- effects in a store of its own. Take it of what is flushed, as with all that leaves the database.
CREATE FUNCTION howdah.token(
    log text, seen pg_snapshot, upto pg_snapshot DEFAULT NULL, last_id bigint DEFAULT 0
) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT concat_ws('/', l.uuid, h.system_identifier, h.database_oid, howdah.log_timeline(),
                             pg_current_wal_insert_lsn() - '0/0', seen, coalesce(upto::text, ''),
                             last_id)
            FROM howdah.log_named(log) AS l, howdah.log_home() AS h);

-- Make a token the position of its consumer, as a new owner; HD002 when it is of another place, of a
-- history that this server may not have had, or older than what the log still holds.
CREATE FUNCTION howdah.resume(log text, consumer text, token text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    newest record := howdah.log_position(log, consumer);
    part text[] := string_to_array(token, '/');
    seen pg_snapshot;
    upto pg_snapshot;
    refused text;
BEGIN
    IF token IS NULL
        OR token !~ '^[0-9a-f-]{36}/-?\d+/\d+/\d+/\d+/\d+:\d+:[\d,]*/(\d+:\d+:[\d,]*)?/\d+$'
    THEN
        RAISE EXCEPTION '% is no token', quote_nullable(token)
            USING ERRCODE = 'HD003', HINT = 'pass what howdah.token gave';
    END IF;
    seen := part[6]::pg_snapshot;
    upto := nullif(part[7], '')::pg_snapshot;
    refused := CASE
        WHEN its.uuid <> part[1]::uuid OR NOT howdah.log_at_home(part[2]::bigint, part[3]::oid)
            THEN 'It belongs to another log or another database.'
        WHEN NOT (howdah.log_reached(seen) AND howdah.log_reached(coalesce(upto, seen)))
            THEN 'It is in the future of this server, which must have gone back in time.'
        -- Something of the token's timeline, written after it, is here: so the fork came later.
        WHEN part[4]::int <> howdah.log_timeline() AND NOT EXISTS (
            SELECT FROM howdah.log_turn AS t
            WHERE t.log_id = its.log_id AND t.timeline = part[4]::int
              AND t.lsn - '0/0' >= part[5]::numeric)
            THEN 'The server has changed its timeline since, and may have forked off before it.'
        WHEN pg_snapshot_xmax(newest.seen) > pg_snapshot_xmax(seen)
            OR EXISTS (SELECT FROM pg_snapshot_xip(seen) AS r (xid)
                       WHERE pg_visible_in_snapshot(r.xid, newest.seen))
            THEN 'The consumer has committed a later one, so rows after it may be gone.'
    END;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION 'the token of consumer % of log % cannot be continued from', consumer, log
            USING ERRCODE = 'HD002', DETAIL = refused,
                  HINT = format('SELECT howdah.reanchor(%L, %L, ''earliest''), or go on without the'
                                ' token from the position in the log', log, consumer);
    END IF;
    RETURN howdah.log_advance(log, consumer, newest.generation, seen, upto, part[8]::bigint,
                              newest.epoch + 1, newest.note);
END
$$;

-- Make a log that was restored or copied here one of this database. Its consumers are told that
-- their positions are lost until each is reanchored.
CREATE FUNCTION howdah.adopt_log(log text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || log, 0));
    its := howdah.log_named(log);
    IF howdah.log_at_home(its.system_identifier, its.database_oid) THEN
        RETURN false;
    END IF;
    PERFORM howdah.log_settle(its, false);
    RETURN true;
END
$$;

-- The rows of a restored log bear transaction ids of another server, which may lie in this one's
-- future, where no snapshot would show them: unless they are kept, they get ids of this server. Only
-- here are rows of a segment ever updated. The log gets a new uuid too: where it came from, somebody
-- may go on to number events under the old one.
CREATE FUNCTION howdah.log_settle(its howdah.log, keep boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    source text;
    newest howdah.log_turn;
BEGIN
    IF NOT keep THEN
        FOR source IN
            SELECT t.name FROM howdah.log_tables(its.log_id, its.name) AS t ORDER BY t.name
        LOOP
            EXECUTE format('LOCK TABLE howdah.%I IN EXCLUSIVE MODE', source);
            EXECUTE format('UPDATE howdah.%I SET xid = pg_current_xact_id()', source);
        END LOOP;
        SELECT * INTO newest FROM howdah.log_turn AS t
        WHERE t.log_id = its.log_id ORDER BY t.turn DESC LIMIT 1;
        DELETE FROM howdah.log_turn AS t WHERE t.log_id = its.log_id;
        PERFORM howdah.log_mark(its.log_id, newest.turn + 1, newest.segment, newest.opened_at,
                                newest.bytes);
    END IF;
    UPDATE howdah.log AS l
    SET system_identifier = h.system_identifier, database_oid = h.database_oid,
        uuid = CASE WHEN keep THEN l.uuid ELSE gen_random_uuid() END
    FROM howdah.log_home() AS h WHERE l.log_id = its.log_id;
    PERFORM howdah.log_compose(its.log_id);
END
$$;

-- Append a row to the log's turns; the caller holds the log's lock, so they are in order.
CREATE FUNCTION howdah.log_mark(
    log_id int, turn bigint, segment int, opened_at timestamptz, bytes bigint
) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO howdah.log_turn
        (log_id, turn, segment, opened_at, bytes, snapshot, timeline, lsn)
    VALUES (log_mark.log_id, log_mark.turn, log_mark.segment, log_mark.opened_at, log_mark.bytes,
            howdah.log_now(), howdah.log_timeline(), pg_current_wal_insert_lsn())
$$;

-- Every table that may hold rows of the log.
CREATE FUNCTION howdah.log_tables(log_id int, log text)
    RETURNS TABLE (name text, segment int, archive int)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('log_%s$%s', log, s.segment), s.segment, NULL::int
    FROM howdah.log_segment AS s WHERE s.log_id = log_tables.log_id
    UNION ALL
    SELECT format('log_%s$x%s', log, a.archive), NULL, a.archive
    FROM howdah.log_archive AS a WHERE a.log_id = log_tables.log_id
$$;

-- HD004: a reader whose function was composed for other tables would miss rows.
CREATE FUNCTION howdah.log_moved(log text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'the tables of log % have changed', log
        USING ERRCODE = 'HD004', HINT = 'repeat; in a new transaction if this one is repeatable read';
END
$$;

-- HD002: a reader's position in memory is ahead of this server.
CREATE FUNCTION howdah.log_ahead(log text, seen pg_snapshot) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'a position in log % is in the future', log
        USING ERRCODE = 'HD002',
              DETAIL = format('It has seen %s, this server is at %s.', seen, pg_current_snapshot()),
              HINT = 'open the consumer anew: its committed position went back with the server';
END
$$;

-- Make the functions of a log, for the tables that it has now: <log>$emit inserts into the current
-- segment, <log>$peek says whether a window could be opened, <log>$page returns its rows in the order
-- of their ids. As functions they are planned once a session, and on the index: segments have no
-- statistics, and without them the planner would rather read whole tables. Nor by bitmaps: a plan made
-- while a table was small stays, and later builds a bitmap of the whole backlog to find one row.
--
-- A row of a window has a transaction at or after the xmax of the window's beginning, or one that was
-- running then and is not any more. A page that goes on in a window looks first for transactions that
-- have far more rows there than it takes: it leaps through the index, many rows at a time. Of each of
-- them, and of those that were running, the index gives the next rows in order, and no more than the
-- page takes is read; else every page would sort all that is left of a bulk load. What lies between
-- them is read whole: marks keep that short. Both functions check that the names they were composed with
-- still mean the same tables. That is looked up afresh, whatever snapshot the transaction has, and
-- after the statement has locked what it reads, so that the answer holds until it is done.
CREATE FUNCTION howdah.log_compose(log_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
    inserts text;
    probes text;
    leaps text;
    branches text;
    apart text;
    unmoved text;
    ordered text;
    -- A page takes rows in order, or of those the ones with less than `max_bytes` before them. A
    -- shard is a hash of the key; events without one have no order, so ids spread them.
    whole CONSTANT text := $sql$
                SELECT p.id, p.segment, p.tid,
                       (coalesce(hashtextextended(p.key, 0), p.id) & 32767)::smallint, p.topic, p.key,
                       p.headers, CASE WHEN payloads THEN p.payload END, p.at
                FROM (%s) AS p$sql$;
    bounded CONSTANT text := $sql$
                SELECT p.id, p.segment, p.tid,
                       (coalesce(hashtextextended(p.key, 0), p.id) & 32767)::smallint, p.topic, p.key,
                       p.headers, CASE WHEN payloads THEN p.payload END, p.at
                FROM (SELECT n.*, sum(octet_length(n.payload))
                                  OVER (ORDER BY n.id ROWS UNBOUNDED PRECEDING)
                                  - octet_length(n.payload) AS before
                      FROM (%s) AS n) AS p
                WHERE p.before < max_bytes
                ORDER BY p.id$sql$;
BEGIN
    UPDATE howdah.log AS l SET shape = l.shape + 1 WHERE l.log_id = log_compose.log_id
    RETURNING l.* INTO its;
    SELECT string_agg(format($sql$
            WHEN %2$s THEN
                INSERT INTO howdah.%1$I (topic, key, headers, payload)
                VALUES (topic, key, headers, payload) RETURNING id INTO emitted;$sql$,
            t.name, t.segment), '' ORDER BY t.segment) FILTER (WHERE t.segment IS NOT NULL),
        string_agg(format($sql$
            IF NOT waiting AND pg_relation_size(%2$s::oid::regclass) > 0 THEN
                waiting := EXISTS (SELECT FROM howdah.%1$I AS s
                                   WHERE s.xid >= first AND s.xid < beyond
                                     AND pg_visible_in_snapshot(s.xid, upto));
                IF NOT waiting AND ended <> '{}' THEN
                    waiting := EXISTS (SELECT FROM howdah.%1$I AS s WHERE s.xid = ANY (ended));
                END IF;
            END IF;$sql$, t.name, t.oid), ''),
        string_agg(format($sql$
            place := CASE WHEN since > 0 AND pg_relation_size(%2$s::oid::regclass) > 1048576
                          THEN first END;
            WHILE place IS NOT NULL LOOP
                ahead := (SELECT s.xid FROM howdah.%1$I AS s
                          WHERE s.xid >= place AND s.xid < beyond
                            AND pg_visible_in_snapshot(s.xid, upto)
                          ORDER BY s.xid OFFSET many LIMIT 1);
                enough := (SELECT s.id FROM howdah.%1$I AS s WHERE s.xid = ahead AND s.id > since
                           ORDER BY s.id OFFSET max_rows - 1 LIMIT 1);
                IF ahead = place OR enough IS NOT NULL THEN
                    bulky := bulky || ahead;
                    place := (ahead::text::bigint + 1)::text::xid8;
                ELSE
                    IF ahead IS NOT NULL AND last = 9223372036854775807 THEN
                        enough := (SELECT l.id FROM (
                                       SELECT s.id FROM howdah.%1$I AS s
                                       WHERE s.xid >= place AND s.xid < ahead AND s.id > since
                                         AND pg_visible_in_snapshot(s.xid, upto) OFFSET 0) AS l
                                   ORDER BY l.id OFFSET max_rows - 1 LIMIT 1);
                    END IF;
                    place := ahead;
                END IF;
                last := least(last, enough);
            END LOOP;$sql$, t.name, t.oid), ''),
        string_agg(format($sql$
            SELECT id, %2$s AS segment, ctid AS tid, topic, key, headers, payload, at
            FROM howdah.%1$I
            WHERE xid >= first AND xid < beyond AND id > since AND pg_visible_in_snapshot(xid, upto)
            UNION ALL
            SELECT id, %2$s, ctid, topic, key, headers, payload, at
            FROM howdah.%1$I
            WHERE xid = ANY (ended) AND id > since$sql$, t.name, t.number), ' UNION ALL '),
        string_agg(format($sql$
            SELECT r.* FROM unnest(first || above, bulky || beyond) AS g (low, high), LATERAL (
                SELECT s.id, %2$s AS segment, s.ctid AS tid, s.topic, s.key, s.headers, s.payload, s.at
                FROM howdah.%1$I AS s
                WHERE s.xid >= g.low AND s.xid < g.high AND s.id > since AND s.id <= last
                  AND pg_visible_in_snapshot(s.xid, upto)
                OFFSET 0) AS r
            UNION ALL
            SELECT r.* FROM unnest(bulky || ended) AS b (xid), LATERAL (
                SELECT s.id, %2$s, s.ctid, s.topic, s.key, s.headers, s.payload, s.at
                FROM howdah.%1$I AS s
                WHERE s.xid = b.xid AND s.id > since AND s.id <= last
                ORDER BY s.id LIMIT max_rows) AS r$sql$, t.name, t.number), ' UNION ALL '),
        format('(SELECT l.shape = %s FROM howdah.log AS l WHERE l.log_id = %s)', its.shape, its.log_id)
        || string_agg(format(' AND to_regclass(%L) = %s::regclass', 'howdah.' || t.name, t.oid), '')
    INTO inserts, probes, leaps, branches, apart, unmoved
    FROM (SELECT n.*, to_regclass('howdah.' || n.name)::oid AS oid,
                 coalesce(n.segment::text, '-1 - ' || n.archive) AS number
          FROM howdah.log_tables(its.log_id, its.name) AS n) AS t;
    ordered := format($sql$
                    SELECT * FROM (%%s) AS every_row
                    WHERE (SELECT CASE WHEN %s THEN true ELSE howdah.log_moved(%L) END)
                    ORDER BY every_row.id LIMIT max_rows$sql$, unmoved, its.name);
    EXECUTE format($ddl$
        CREATE OR REPLACE FUNCTION howdah.%1$I(topic text, key text, payload bytea, headers jsonb)
        RETURNS bigint
        LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp
        AS $body$
        #variable_conflict use_variable
        DECLARE
            emitted bigint;
        BEGIN
            CASE (SELECT t.segment FROM howdah.log_turn AS t WHERE t.log_id = %2$s
                  ORDER BY t.turn DESC LIMIT 1) %3$s
            END CASE;
            RETURN emitted;
        END
        $body$ $ddl$, 'log_' || its.name || '$emit', its.log_id, inserts);
    EXECUTE format($ddl$
        CREATE OR REPLACE FUNCTION howdah.%1$I(
            seen pg_snapshot, OUT upto pg_snapshot, OUT lsn pg_lsn, OUT flushed boolean,
            OUT waiting boolean, OUT mark pg_snapshot)
        LANGUAGE plpgsql STABLE
        SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
        AS $body$
        DECLARE
            first xid8 := pg_snapshot_xmax(seen);
            beyond xid8;
            ended xid8[];
        BEGIN
            upto := CASE WHEN pg_current_xact_id_if_assigned() IS NULL THEN pg_current_snapshot()
                         ELSE howdah.log_now() END;
            lsn := pg_current_wal_insert_lsn();
            flushed := pg_current_wal_flush_lsn() >= lsn;
            waiting := false;
            IF seen::text = upto::text THEN
                RETURN; -- not one transaction has ended since
            END IF;
            beyond := pg_snapshot_xmax(upto);
            IF first > beyond THEN
                PERFORM howdah.log_ahead(%2$L, seen);
            END IF;
            ended := ARRAY(SELECT r.xid FROM pg_snapshot_xip(seen) AS r (xid)
                           WHERE pg_visible_in_snapshot(r.xid, upto));
            -- Only tables that hold anything are asked: to begin a query on each would cost more than
            -- all else. An empty one cannot have lost rows that were visible in `upto`.
            %5$s
            IF (%4$s) IS NOT TRUE THEN
                PERFORM howdah.log_moved(%2$L);
            END IF;
            IF waiting THEN
                -- Where a long window may end: a page sorts what is left of its window.
                mark := (SELECT t.snapshot FROM howdah.log_turn AS t
                         WHERE t.log_id = %3$s AND t.beyond > first
                           AND t.beyond <= pg_snapshot_xmax(upto)
                         ORDER BY t.beyond LIMIT 1);
            END IF;
        END
        $body$ $ddl$, 'log_' || its.name || '$peek', its.name, its.log_id, unmoved, probes);
    EXECUTE format($ddl$
        CREATE OR REPLACE FUNCTION howdah.%1$I(
            seen pg_snapshot, upto pg_snapshot, since bigint, max_rows int, payloads boolean,
            max_bytes bigint DEFAULT 9223372036854775807)
        RETURNS TABLE (
            id bigint, segment int, tid tid, shard smallint, topic text, key text, headers jsonb,
            payload bytea, at timestamptz)
        LANGUAGE plpgsql VOLATILE
        SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
        SET work_mem = '64MB' -- a page is sorted, and kept once more until it is sent
        AS $body$
        #variable_conflict use_column
        DECLARE
            first xid8 := pg_snapshot_xmax(seen);
            beyond xid8 := pg_snapshot_xmax(upto);
            ended xid8[] := ARRAY(SELECT r.xid FROM pg_snapshot_xip(seen) AS r (xid)
                                  WHERE pg_visible_in_snapshot(r.xid, upto));
            many bigint := greatest(max_rows + max_rows / 4, 1000);
            bulky xid8[] := '{}';
            last bigint := 9223372036854775807;
            enough bigint;
            above xid8[];
            place xid8;
            ahead xid8;
        BEGIN
            IF NOT howdah.log_reached(upto) THEN
                PERFORM howdah.log_ahead(%2$L, upto);
            END IF;
            %3$s
            IF since > 0 THEN
                bulky := ARRAY(SELECT DISTINCT b FROM unnest(bulky) AS b ORDER BY b);
                above := ARRAY(SELECT (b::text::bigint + 1)::text::xid8 FROM unnest(bulky) AS b);
                IF max_bytes = 9223372036854775807 THEN
                    RETURN QUERY %6$s;
                ELSE
                    RETURN QUERY %7$s;
                END IF;
            ELSIF max_bytes = 9223372036854775807 THEN
                RETURN QUERY %4$s;
            ELSE
                RETURN QUERY %5$s;
            END IF;
        END
        $body$ $ddl$, 'log_' || its.name || '$page', its.name, leaps,
        format(whole, format(ordered, branches)), format(bounded, format(ordered, branches)),
        format(whole, format(ordered, apart)), format(bounded, format(ordered, apart)));
    PERFORM howdah.log_grant_functions(its.name);
END
$$;

-- The next rows of a consumer, each with the position to commit once it is done. A page ends at
-- max_rows, or earlier once its payloads have reached max_bytes.
CREATE FUNCTION howdah.read(
    log text, consumer text, max_rows int DEFAULT 1000, max_bytes bigint DEFAULT 33554432
) RETURNS TABLE (
        "position" text, id bigint, topic text, key text, headers jsonb, payload bytea,
        at timestamptz
    )
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_at record := howdah.log_position(log, consumer);
    look record;
BEGIN
    IF max_rows IS NULL OR max_rows < 1 OR max_bytes IS NULL OR max_bytes < 1 THEN
        RAISE EXCEPTION 'a page has at least one row and one byte' USING ERRCODE = 'HD003';
    END IF;
    LOOP
        IF now_at.upto IS NULL THEN
            EXECUTE format('SELECT coalesce(mark, upto) AS upto, waiting FROM howdah.%I($1)',
                           'log_' || log || '$peek')
            INTO look USING now_at.seen;
            EXIT WHEN NOT look.waiting;
            now_at.upto := look.upto;
        END IF;
        -- One row more than asked for, or payloads that fill the page: its window may go on.
        RETURN QUERY EXECUTE format(
            'SELECT CASE WHEN number = total AND total <= $4 AND bytes < $6'
            '            THEN format(''%%s/%%s//0'', $5, $2)'
            '            ELSE format(''%%s/%%s/%%s/%%s'', $5, $1, $2, id) END,'
            ' id, topic, key, headers, payload, at'
            ' FROM (SELECT *, row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS total,'
            '              sum(octet_length(payload)) OVER () AS bytes'
            '       FROM howdah.%I($1, $2, $3, $4 + 1, true, $6)) AS page'
            ' ORDER BY id LIMIT $4', 'log_' || log || '$page')
        USING now_at.seen, now_at.upto, now_at.last_id, max_rows, now_at.generation, max_bytes;
        EXIT WHEN FOUND;
        -- The window had no more rows: go on with the next.
        now_at.seen := now_at.upto;
        now_at.upto := NULL;
        now_at.last_id := 0;
    END LOOP;
END
$$;

-- Commit a position that `howdah.read` gave; HD001 when another instance has moved on.
CREATE FUNCTION howdah.commit(log text, consumer text, "position" text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text[] := string_to_array("position", '/');
BEGIN
    IF "position" IS NULL OR "position" !~ '^\d+/\d+:\d+:[\d,]*/(\d+:\d+:[\d,]*)?/\d+$' THEN
        RAISE EXCEPTION '% is no position', quote_nullable("position")
            USING ERRCODE = 'HD003', HINT = 'pass the position column of a row of howdah.read';
    END IF;
    RETURN howdah.log_advance(log, consumer, part[1]::bigint, part[2]::pg_snapshot,
                              nullif(part[3], '')::pg_snapshot, part[4]::bigint);
END
$$;

-- Whether a table of the log holds a row that a consumer at `floor` has not consumed. Such a row's
-- transaction is at or after the floor's xmax, or was running when the floor was taken.
CREATE FUNCTION howdah.log_unread(source text, floor pg_snapshot) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    unread boolean;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM howdah.%1$I WHERE xid >= pg_snapshot_xmax($1))'
        ' OR EXISTS (SELECT FROM howdah.%1$I'
        '            WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1))))', source)
    INTO unread USING floor;
    RETURN unread;
END
$$;

-- The consumers of a log that still pin a table. One whose position means nothing here pins
-- everything until it is reanchored or forgotten.
CREATE FUNCTION howdah.log_pinned_by(log_id int, log text, source text) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    consumer howdah.log_consumer;
    seen pg_snapshot;
    pinning text[] := '{}';
BEGIN
    FOR consumer IN
        SELECT * FROM howdah.log_consumer AS c
        WHERE c.log_id = log_pinned_by.log_id AND c.dropped_at IS NULL ORDER BY c.name
    LOOP
        seen := (howdah.log_newest(log, consumer.name)).seen;
        IF NOT howdah.log_at_home(consumer.system_identifier, consumer.database_oid)
            OR NOT howdah.log_reached(seen) OR howdah.log_unread(source, seen)
        THEN
            pinning := pinning || consumer.name;
        END IF;
    END LOOP;
    RETURN pinning;
END
$$;

-- Turn the ring when the current segment is full or old, give back what every consumer has
-- consumed, and apply the policies for slow consumers. Says what it did and what it could not do.
-- Cheap when there is nothing to do: it then takes no transaction id and no lock.
CREATE FUNCTION howdah.maintain(
    log text, segment_bytes bigint DEFAULT 268435456, segment_seconds int DEFAULT 900
) RETURNS TABLE (action text, segment int, detail text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'howdah.maintain needs READ COMMITTED: it looks again after locking'
            USING ERRCODE = 'HD003';
    END IF;
    IF segment_bytes IS NULL OR segment_bytes < 1 OR segment_seconds IS NULL OR segment_seconds < 1
    THEN
        RAISE EXCEPTION 'a segment holds at least one byte, for at least one second'
            USING ERRCODE = 'HD003';
    END IF;
    -- One at a time; whoever comes second has nothing to do.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('howdah.log ' || its.name, 0)) THEN
        RETURN;
    END IF;
    IF NOT howdah.log_at_home(its.system_identifier, its.database_oid) THEN
        RETURN QUERY SELECT 'foreign', NULL::int,
            format('copied here from another database; SELECT howdah.adopt_log(%L)', log);
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM howdah.log_turn_ring(its, segment_bytes, segment_seconds);
    RETURN QUERY SELECT * FROM howdah.log_reclaim(its);
    RETURN QUERY SELECT * FROM howdah.log_trim_ledgers(its);
    RETURN QUERY SELECT * FROM howdah.log_judge_slow(its);
END
$$;

CREATE FUNCTION howdah.log_turn_ring(its howdah.log, segment_bytes bigint, segment_seconds int)
    RETURNS TABLE (action text, segment int, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mark_bytes CONSTANT bigint := 8388608; -- some ten thousand rows: a page or two
    kept_marks CONSTANT bigint := 10000;
    newest howdah.log_turn;
    current regclass;
    bytes bigint;
    free int;
BEGIN
    SELECT * INTO newest FROM howdah.log_turn AS t
    WHERE t.log_id = its.log_id ORDER BY t.turn DESC LIMIT 1;
    current := format('howdah.%I', 'log_' || its.name || '$' || newest.segment)::regclass;
    bytes := pg_table_size(current);
    IF pg_relation_size(current) = 0 THEN
        RETURN;
    END IF;
    IF bytes - newest.bytes >= mark_bytes THEN
        newest.turn := newest.turn + 1;
        PERFORM howdah.log_mark(its.log_id, newest.turn, newest.segment, newest.opened_at, bytes);
    END IF;
    IF bytes < segment_bytes
        AND howdah.clock() < newest.opened_at + make_interval(secs => segment_seconds)
    THEN
        RETURN;
    END IF;
    SELECT s.segment INTO free FROM howdah.log_segment AS s
    WHERE s.log_id = its.log_id AND s.segment <> newest.segment
      AND pg_relation_size(to_regclass(format('howdah.%I',
                                              'log_' || its.name || '$' || s.segment))) = 0
    ORDER BY (s.segment - newest.segment + 64) % 64 LIMIT 1;
    IF free IS NULL THEN
        IF (SELECT count(*) FROM howdah.log_segment AS s WHERE s.log_id = its.log_id) >= 64 THEN
            RETURN QUERY SELECT 'full', newest.segment, format('no free segment; %s grows',
                                                               pg_size_pretty(bytes));
            RETURN;
        END IF;
        free := howdah.log_add_segment(its.name);
        PERFORM howdah.log_compose(its.log_id);
        RETURN QUERY SELECT 'added', free, 'every other segment is pinned';
    END IF;
    PERFORM howdah.log_mark(its.log_id, newest.turn + 1, free, howdah.clock(), 0);
    DELETE FROM howdah.log_turn AS t
    WHERE t.log_id = its.log_id AND t.turn <= newest.turn - kept_marks;
    RETURN QUERY SELECT 'turned', free, format('after %s', pg_size_pretty(bytes));
END
$$;

CREATE FUNCTION howdah.log_reclaim(its howdah.log)
    RETURNS TABLE (action text, segment int, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candidate record;
    pinning text[];
BEGIN
    -- Without a consumer nothing was consumed.
    IF NOT EXISTS (SELECT FROM howdah.log_consumer AS c
                   WHERE c.log_id = its.log_id AND c.dropped_at IS NULL) THEN
        RETURN;
    END IF;
    FOR candidate IN
        SELECT t.* FROM howdah.log_tables(its.log_id, its.name) AS t
        WHERE t.segment IS DISTINCT FROM howdah.log_current(its.log_id)
          AND pg_relation_size(to_regclass(format('howdah.%I', t.name))) > 0
    LOOP
        pinning := howdah.log_pinned_by(its.log_id, its.name, candidate.name);
        IF pinning <> '{}' THEN
            RETURN QUERY SELECT 'pinned', candidate.segment, array_to_string(pinning, ', ');
            CONTINUE;
        END IF;
        BEGIN
            -- NOWAIT: a request that waits would make every producer behind it wait.
            EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', candidate.name);
            -- Look again, with a snapshot taken under the lock: a writer that held an old segment
            -- number may have committed since.
            IF howdah.log_pinned_by(its.log_id, its.name, candidate.name) <> '{}' THEN
                RAISE lock_not_available;
            END IF;
            IF candidate.archive IS NULL THEN
                EXECUTE format('TRUNCATE howdah.%I', candidate.name);
            ELSE
                EXECUTE format('DROP TABLE howdah.%I', candidate.name);
                DELETE FROM howdah.log_archive AS a
                WHERE a.log_id = its.log_id AND a.archive = candidate.archive;
                PERFORM howdah.log_compose(its.log_id);
            END IF;
            RETURN QUERY SELECT 'reclaimed', candidate.segment, candidate.name;
        EXCEPTION WHEN lock_not_available THEN
            RETURN QUERY SELECT 'busy', candidate.segment, candidate.name;
        END;
    END LOOP;
END
$$;

-- Empty the half of a ledger that holds only old positions.
CREATE FUNCTION howdah.log_trim_ledgers(its howdah.log)
    RETURNS TABLE (action text, segment int, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    consumer text;
    newest bigint;
    older text;
    stale boolean;
BEGIN
    FOR consumer IN SELECT c.name FROM howdah.log_consumer AS c WHERE c.log_id = its.log_id LOOP
        newest := (howdah.log_newest(its.name, consumer)).generation;
        older := format('log_%s$%s$%s', its.name, consumer, ((newest >> 16) & 1) # 1);
        -- Only from the middle of a half on: a position read a moment ago stays readable.
        CONTINUE WHEN newest & 65535 < 32768
            OR pg_relation_size(to_regclass(format('howdah.%I', older))) = 0;
        BEGIN
            EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', older);
            EXECUTE format('SELECT max(generation) < $1 FROM howdah.%I', older)
            INTO stale USING newest;
            IF stale THEN
                EXECUTE format('TRUNCATE howdah.%I', older);
                RETURN QUERY SELECT 'trimmed', NULL::int, older;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            RETURN QUERY SELECT 'busy', NULL::int, older;
        END;
    END LOOP;
END
$$;

-- What a consumer makes the log keep, and what its policy says about that.
CREATE FUNCTION howdah.log_judge_slow(its howdah.log)
    RETURNS TABLE (action text, segment int, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slow record;
    newest record;
BEGIN
    FOR slow IN
        SELECT c.name, c.when_slow, c.slow_bytes,
               sum(pg_table_size(to_regclass(format('howdah.%I', t.name)))) AS bytes
        FROM howdah.log_consumer AS c, howdah.log_tables(its.log_id, its.name) AS t
        WHERE c.log_id = its.log_id AND c.dropped_at IS NULL
          AND t.segment IS DISTINCT FROM howdah.log_current(its.log_id)
          AND pg_relation_size(to_regclass(format('howdah.%I', t.name))) > 0
          AND howdah.log_unread(t.name, (howdah.log_newest(its.name, c.name)).seen)
        GROUP BY c.name, c.when_slow, c.slow_bytes
        HAVING sum(pg_table_size(to_regclass(format('howdah.%I', t.name)))) > c.slow_bytes
    LOOP
        IF slow.when_slow = 'drop' THEN
            UPDATE howdah.log_consumer AS c SET dropped_at = howdah.clock()
            WHERE c.log_id = its.log_id AND c.name = slow.name;
            -- Whoever reads for it just now is about to miss rows, and must not commit.
            newest := howdah.log_newest(its.name, slow.name);
            PERFORM howdah.log_advance(its.name, slow.name, newest.generation, newest.seen,
                                       newest.upto, newest.last_id, newest.epoch + 1, newest.note);
            RETURN QUERY SELECT 'dropped', NULL::int,
                format('%s held %s', slow.name, pg_size_pretty(slow.bytes));
        ELSIF slow.when_slow = 'detach' THEN
            RETURN QUERY SELECT * FROM howdah.log_detach(its, slow.name);
        ELSE
            RETURN QUERY SELECT 'slow', NULL::int,
                format('%s holds %s', slow.name, pg_size_pretty(slow.bytes));
        END IF;
    END LOOP;
END
$$;

-- Take the segments that a slow consumer pins out of the ring: each becomes an archive that only
-- laggards read, and an empty table takes its place under the same name, so that a producer with an
-- old segment number still finds it.
CREATE FUNCTION howdah.log_detach(its howdah.log, consumer text)
    RETURNS TABLE (action text, segment int, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candidate record;
    number int;
    archive_table text;
BEGIN
    FOR candidate IN
        SELECT t.name, t.segment FROM howdah.log_tables(its.log_id, its.name) AS t
        WHERE t.archive IS NULL AND t.segment <> howdah.log_current(its.log_id)
          AND pg_relation_size(to_regclass(format('howdah.%I', t.name))) > 0
          AND howdah.log_unread(t.name, (howdah.log_newest(its.name, consumer)).seen)
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', candidate.name);
            SELECT coalesce(max(a.archive) + 1, 0) INTO number
            FROM howdah.log_archive AS a WHERE a.log_id = its.log_id;
            archive_table := format('log_%s$x%s', its.name, number);
            EXECUTE format('ALTER TABLE howdah.%I RENAME TO %I', candidate.name, archive_table);
            EXECUTE format('CREATE TABLE howdah.%I (LIKE howdah.%I INCLUDING ALL)'
                           ' WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)',
                           candidate.name, archive_table);
            PERFORM howdah.log_grant(its.name, candidate.name);
            INSERT INTO howdah.log_archive (log_id, archive, segment)
            VALUES (its.log_id, number, candidate.segment);
            PERFORM howdah.log_compose(its.log_id);
            RETURN QUERY SELECT 'detached', candidate.segment,
                                format('%s for %s', archive_table, consumer);
        EXCEPTION WHEN lock_not_available THEN
            RETURN QUERY SELECT 'busy', candidate.segment, candidate.name;
        END;
    END LOOP;
END
$$;

-- The tables of a log, by counters and index probes only.
CREATE FUNCTION howdah.segments(log text)
    RETURNS TABLE (
        source text, segment int, archive int, is_current boolean, bytes bigint, rows_estimated bigint,
        dead_estimated bigint, pinned_by text[]
    )
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
BEGIN
    RETURN QUERY
    SELECT t.name, t.segment, t.archive,
           t.segment IS NOT DISTINCT FROM howdah.log_current(its.log_id) AND t.archive IS NULL,
           CASE WHEN pg_relation_size(c.oid) = 0 THEN 0 ELSE pg_table_size(c.oid) END,
           greatest(pg_stat_get_live_tuples(c.oid), 0), pg_stat_get_dead_tuples(c.oid),
           CASE WHEN pg_relation_size(c.oid) > 0
                THEN howdah.log_pinned_by(its.log_id, its.name, t.name) ELSE '{}' END
    FROM howdah.log_tables(its.log_id, its.name) AS t
    JOIN pg_class AS c ON c.oid = to_regclass('howdah.' || t.name)
    ORDER BY t.archive NULLS LAST, t.segment;
END
$$;

-- The consumers of a log. Lag is what is stored behind the oldest unread row of each table, and the
-- age of the oldest of those rows: one index probe a table. It is counted from the beginning of the
-- window in which a consumer is. `problem` says why a position cannot be continued from.
CREATE FUNCTION howdah.consumers(log text)
    RETURNS TABLE (
        consumer text, generation bigint, epoch bigint, committed_at timestamptz,
        in_window boolean, lag_bytes bigint, lag_seconds float8, when_slow text, slow_bytes bigint,
        problem text
    )
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    registered howdah.log_consumer;
    newest record;
BEGIN
    FOR registered IN
        SELECT * FROM howdah.log_consumer AS c WHERE c.log_id = its.log_id ORDER BY c.name
    LOOP
        newest := howdah.log_newest(its.name, registered.name);
        RETURN QUERY
        SELECT registered.name, newest.generation, newest.epoch, newest.at,
               newest.upto IS NOT NULL, l.bytes, l.seconds, registered.when_slow,
               registered.slow_bytes,
               CASE WHEN registered.dropped_at IS NOT NULL THEN 'dropped'
                    WHEN NOT howdah.log_at_home(registered.system_identifier,
                                                registered.database_oid) THEN 'foreign'
                    WHEN NOT howdah.log_reached(newest.seen) THEN 'future' END
        FROM howdah.log_lag(its, newest.seen) AS l;
    END LOOP;
END
$$;

CREATE FUNCTION howdah.log_lag(its howdah.log, seen pg_snapshot, OUT bytes bigint, OUT seconds float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    source regclass;
    oldest record;
    page_bytes bigint := current_setting('block_size')::bigint;
    heap_bytes bigint;
    first_at timestamptz;
BEGIN
    bytes := 0;
    FOR source IN
        SELECT to_regclass('howdah.' || t.name) FROM howdah.log_tables(its.log_id, its.name) AS t
    LOOP
        heap_bytes := pg_relation_size(source);
        CONTINUE WHEN heap_bytes = 0;
        EXECUTE format(
            'SELECT * FROM ('
            ' (SELECT ctid AS tid, at FROM %1$s WHERE xid >= pg_snapshot_xmax($1)'
            '  ORDER BY xid LIMIT 1)'
            ' UNION ALL'
            ' (SELECT ctid, at FROM %1$s WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1)))'
            '  LIMIT 1)) AS unread ORDER BY at LIMIT 1', source)
        INTO oldest USING seen;
        CONTINUE WHEN oldest.tid IS NULL;
        -- Rows are appended: what comes after the row's block is as unread as the row.
        bytes := bytes + (pg_table_size(source)::float8 / heap_bytes * (heap_bytes
            - page_bytes * split_part(trim(oldest.tid::text, '()'), ',', 1)::bigint))::bigint;
        first_at := least(first_at, oldest.at);
    END LOOP;
    IF first_at IS NOT NULL THEN
        seconds := greatest(extract(epoch FROM howdah.clock() - first_at), 0);
    END IF;
END
$$;
