-- The log: an append-only ring of plain tables, its consumers and their ledgers.
--
-- howdah.log            one row per log, changed only when a restored one is adopted
-- howdah.log_segment    the tables of its ring: howdah.log_<log>$<segment>
-- howdah.log_turn       append-only: the newest row names the segment that producers fill
-- howdah.log_consumer   who reads; positions are in two ledger tables per consumer,
--                       howdah.log_<log>$<consumer>$0 and $1
--
-- A consumer has consumed everything visible in the snapshot `seen`. While it is inside a window,
-- `upto` is the window's end and `last_id` the last row of it that is done; the next row is the one
-- with the next larger id. Errors: HD001 superseded, HD002 position lost, HD003 bad input.

CREATE TABLE howdah.log (
    log_id     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_]{0,23}$'),
    uuid       uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The database that its transaction ids belong to; anywhere else they mean nothing.
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE howdah.log_segment (
    log_id     int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    segment    int NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log_id, segment)
);

CREATE TABLE howdah.log_turn (
    log_id    int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    turn      bigint NOT NULL,
    segment   int NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log_id, turn)
);

CREATE TABLE howdah.log_consumer (
    log_id            int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    name              text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,23}$'),
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    when_slow         text NOT NULL DEFAULT 'pin' CHECK (when_slow IN ('pin', 'detach', 'drop')),
    slow_bytes        bigint NOT NULL DEFAULT 1073741824 CHECK (slow_bytes > 0),
    dropped_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log_id, name)
);

-- Where events of a log went whose segment was taken out of the ring for a slow consumer.
CREATE TABLE howdah.log_archive (
    log_id      int NOT NULL REFERENCES howdah.log ON DELETE CASCADE,
    archive     int NOT NULL,
    segment     int NOT NULL,
    detached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
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
        RAISE EXCEPTION 'there is no log %', quote_literal(log)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.create_log(%L)', log);
    END IF;
    RETURN its;
END
$$;

-- Add one table to the ring.
CREATE FUNCTION howdah.log_add_segment(log text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    added int;
    segment_table text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || its.name, 0));
    SELECT coalesce(max(s.segment) + 1, 0) INTO added
    FROM howdah.log_segment AS s WHERE s.log_id = its.log_id;
    segment_table := format('log_%s$%s', its.name, added);
    EXECUTE format($ddl$
        CREATE TABLE howdah.%1$I (
            id      bigint NOT NULL DEFAULT nextval(%2$L::regclass),
            xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
            topic   text NOT NULL,
            key     text,
            shard   smallint NOT NULL GENERATED ALWAYS AS
                    ((hashtextextended(coalesce(key, ''), 0) & 32767)::smallint) STORED,
            headers jsonb,
            payload bytea NOT NULL,
            at      timestamptz NOT NULL DEFAULT clock_timestamp()
        ) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off, fillfactor = 100)
        $ddl$, segment_table, format('howdah.%I', 'log_' || its.name || '$id'));
    EXECUTE format('CREATE INDEX ON howdah.%I (xid)', segment_table);
    PERFORM howdah.log_grant(its.name, segment_table);
    INSERT INTO howdah.log_segment (log_id, segment) VALUES (its.log_id, added);
    RETURN added;
END
$$;

-- What the roles may do with a segment, where the roles exist.
CREATE FUNCTION howdah.log_grant(log text, segment_table text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regrole('howdah_producer') IS NOT NULL THEN
        EXECUTE format('GRANT INSERT, SELECT ON howdah.%I TO howdah_producer', segment_table);
        EXECUTE format('GRANT USAGE ON SEQUENCE howdah.%I TO howdah_producer',
                       'log_' || log || '$id');
    END IF;
    IF to_regrole('howdah_worker') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT, INSERT ON howdah.%I TO howdah_worker', segment_table);
        EXECUTE format('GRANT USAGE ON SEQUENCE howdah.%I TO howdah_worker',
                       'log_' || log || '$id');
    END IF;
    IF to_regrole('howdah_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON howdah.%I TO howdah_reader', segment_table);
    END IF;
END
$$;

-- Make a log; nothing happens when it is there.
CREATE FUNCTION howdah.create_log(log text, segments int DEFAULT 8) RETURNS howdah.log
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log;
BEGIN
    IF log !~ '^[a-z][a-z0-9_]{0,23}$' THEN
        RAISE EXCEPTION '% is no name for a log', quote_literal(log)
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
    INSERT INTO howdah.log_turn (log_id, turn, segment) VALUES (its.log_id, 1, 0);
    PERFORM howdah.log_compose(its);
    RETURN its;
END
$$;

-- Remove a log with everything in it.
CREATE FUNCTION howdah.drop_log(log text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    each_name text;
BEGIN
    FOR each_name IN
        SELECT format('log_%s$%s', its.name, s.segment) FROM howdah.log_segment AS s
        WHERE s.log_id = its.log_id
        UNION ALL
        SELECT format('log_%s$x%s', its.name, a.archive) FROM howdah.log_archive AS a
        WHERE a.log_id = its.log_id
        UNION ALL
        SELECT format('log_%s$%s$%s', its.name, c.name, half)
        FROM howdah.log_consumer AS c, generate_series(0, 1) AS half
        WHERE c.log_id = its.log_id
    LOOP
        EXECUTE format('DROP TABLE IF EXISTS howdah.%I', each_name);
    END LOOP;
    EXECUTE format('DROP SEQUENCE howdah.%I', 'log_' || its.name || '$id');
    EXECUTE format('DROP FUNCTION howdah.%I, howdah.%I', 'log_' || its.name || '$peek',
                   'log_' || its.name || '$page');
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
    its howdah.log := howdah.log_named(log);
    emitted bigint;
BEGIN
    EXECUTE format(
        'INSERT INTO howdah.%I (topic, key, headers, payload) VALUES ($1, $2, $3, $4) RETURNING id',
        'log_' || its.name || '$' || howdah.log_current(its.log_id))
    INTO emitted USING topic, key, headers, payload;
    RETURN emitted;
END
$$;

CREATE FUNCTION howdah.emit(
    log text, topic text, key text, payload jsonb, headers jsonb DEFAULT NULL
) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN howdah.emit(log, topic, key, convert_to(payload::text, 'UTF8'), headers);

-- Where snapshots of this database belong to.
CREATE FUNCTION howdah.log_home() RETURNS TABLE (system_identifier bigint, database_oid oid)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.system_identifier, d.oid
    FROM pg_control_system() AS c, pg_database AS d
    WHERE d.datname = current_database()
$$;

-- Register a consumer that starts at the oldest row that is still there, or after what is now
-- visible. Nothing happens when it is registered.
CREATE FUNCTION howdah.subscribe(log text, consumer text, start_at text DEFAULT 'earliest')
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
BEGIN
    IF consumer !~ '^[a-z][a-z0-9_]{0,23}$' THEN
        RAISE EXCEPTION '% is no name for a consumer', quote_literal(consumer)
            USING ERRCODE = 'HD003',
                  HINT = 'a lower-case letter, then up to 23 letters, digits or underscores';
    END IF;
    IF start_at NOT IN ('earliest', 'now') THEN
        RAISE EXCEPTION 'a consumer starts at earliest or now, not %', quote_literal(start_at)
            USING ERRCODE = 'HD003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || its.name, 0));
    INSERT INTO howdah.log_consumer (log_id, name, system_identifier, database_oid)
    SELECT its.log_id, consumer, h.system_identifier, h.database_oid FROM howdah.log_home() AS h
    ON CONFLICT (log_id, name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    FOR half IN 0..1 LOOP
        EXECUTE format($ddl$
            CREATE TABLE howdah.%I (
                generation bigint PRIMARY KEY,
                epoch      bigint NOT NULL,
                seen       pg_snapshot NOT NULL,
                upto       pg_snapshot,
                last_id    bigint NOT NULL,
                note       jsonb,
                at         timestamptz NOT NULL DEFAULT clock_timestamp()
            ) WITH (autovacuum_enabled = off, fillfactor = 100)
            $ddl$, format('log_%s$%s$%s', its.name, consumer, half));
        IF to_regrole('howdah_worker') IS NOT NULL THEN
            EXECUTE format('GRANT SELECT, INSERT ON howdah.%I TO howdah_worker',
                           format('log_%s$%s$%s', its.name, consumer, half));
        END IF;
    END LOOP;
    EXECUTE format(
        'INSERT INTO howdah.%I (generation, epoch, seen, last_id)'
        ' VALUES (1, 0, CASE $1 WHEN ''now'' THEN pg_current_snapshot()'
        ' ELSE ''1:1:''::pg_snapshot END, 0)',
        format('log_%s$%s$0', its.name, consumer)) USING start_at;
    RETURN true;
END
$$;

-- Forget a consumer and its position.
CREATE FUNCTION howdah.unsubscribe(log text, consumer text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || its.name, 0));
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
        RAISE EXCEPTION 'log % has no consumer %', its.name, quote_literal(consumer)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.subscribe(%L, %L)', log, consumer);
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
    IF (registered.system_identifier, registered.database_oid)
        IS DISTINCT FROM (SELECT (h.system_identifier, h.database_oid) FROM howdah.log_home() AS h)
    THEN
        RAISE EXCEPTION 'the position of consumer % of log % belongs to another database',
            consumer, its.name
            USING ERRCODE = 'HD002',
                  DETAIL = 'Transaction ids do not survive a dump and restore or a logical copy.',
                  HINT = format('SELECT howdah.reanchor(%L, %L, ''earliest'') to read again what'
                                ' the log still holds, or ''now'' to skip it', log, consumer);
    END IF;
    SELECT * INTO generation, epoch, seen, upto, last_id, note, at
    FROM howdah.log_newest(log, consumer);
    IF pg_snapshot_xmax(coalesce(upto, seen)) > pg_snapshot_xmax(pg_current_snapshot()) THEN
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

-- Set a consumer's position anew: 'earliest' reads again what the log holds, 'now' skips it, 'keep'
-- says that the position is right although the server is another one (after pg_upgrade).
CREATE FUNCTION howdah.reanchor(log text, consumer text, start_at text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    newest record;
    anchor pg_snapshot;
    appended bigint;
BEGIN
    IF start_at NOT IN ('earliest', 'now', 'keep') THEN
        RAISE EXCEPTION 'a position is set to earliest, now or keep, not %', quote_literal(start_at)
            USING ERRCODE = 'HD003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.log ' || its.name, 0));
    IF (its.system_identifier, its.database_oid)
        IS DISTINCT FROM (SELECT (h.system_identifier, h.database_oid) FROM howdah.log_home() AS h)
        AND start_at <> 'keep'
    THEN
        PERFORM howdah.log_adopt(its.name);
    END IF;
    UPDATE howdah.log_consumer AS c
    SET system_identifier = h.system_identifier, database_oid = h.database_oid, dropped_at = NULL
    FROM howdah.log_home() AS h
    WHERE c.log_id = its.log_id AND c.name = consumer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'log % has no consumer %', its.name, quote_literal(consumer)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.subscribe(%L, %L)', log, consumer);
    END IF;
    newest := howdah.log_newest(log, consumer);
    anchor := CASE start_at WHEN 'now' THEN pg_current_snapshot()
                            WHEN 'keep' THEN newest.seen ELSE '1:1:' END;
    RETURN howdah.log_advance(
        log, consumer, newest.generation, anchor,
        CASE start_at WHEN 'keep' THEN newest.upto END,
        CASE start_at WHEN 'keep' THEN newest.last_id ELSE 0 END,
        newest.epoch + 1,
        CASE start_at WHEN 'keep' THEN newest.note END);
END
$$;

-- Give the rows of a restored log transaction ids of this server: theirs may lie in its future,
-- where no snapshot would show them. Only here are rows of a segment ever updated.
CREATE FUNCTION howdah.log_adopt(log text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.log := howdah.log_named(log);
    source text;
BEGIN
    FOR source IN SELECT t.name FROM howdah.log_tables(its.log_id, its.name) AS t LOOP
        EXECUTE format('LOCK TABLE howdah.%I IN EXCLUSIVE MODE', source);
        EXECUTE format('UPDATE howdah.%I SET xid = pg_current_xact_id()', source);
    END LOOP;
    UPDATE howdah.log AS l
    SET system_identifier = h.system_identifier, database_oid = h.database_oid
    FROM howdah.log_home() AS h WHERE l.log_id = its.log_id;
END
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

-- Which tables the names of a log mean at this moment, as one number. Names are looked up afresh,
-- whatever snapshot the transaction holds: a statement that has them locked can rely on the answer.
CREATE FUNCTION howdah.log_shape(log_id int, log text) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sum(to_regclass('howdah.' || t.name)::oid::bigint)::bigint
    FROM howdah.log_tables(log_id, log) AS t
$$;

-- True, or HD004: a reader whose function was composed for other tables would miss rows.
CREATE FUNCTION howdah.log_guard(log_id int, log text, shape bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF howdah.log_shape(log_id, log) IS DISTINCT FROM shape THEN
        RAISE EXCEPTION 'the tables of log % have changed', log
            USING ERRCODE = 'HD004', HINT = 'look up the tables again and repeat';
    END IF;
    RETURN true;
END
$$;

-- Make the two functions that read a log, for the tables that it has now: <log>$peek says whether a
-- window could be opened, <log>$page returns its rows in the order of their ids. As functions they
-- are planned once a session, and on the index: segments have no statistics, and without them the
-- planner would rather read whole tables. A row of a window has a transaction at or after the xmax
-- of the window's beginning, or one that was running then.
CREATE FUNCTION howdah.log_compose(its howdah.log) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    waiting text;
    branches text;
    shape bigint := howdah.log_shape(its.log_id, its.name);
BEGIN
    SELECT string_agg(format($sql$
            EXISTS (SELECT FROM howdah.%1$I WHERE xid >= first)
            OR EXISTS (SELECT FROM howdah.%1$I WHERE xid = ANY (running))$sql$, t.name), ' OR '),
        string_agg(format($sql$
            SELECT id, %2$s AS segment, ctid AS tid, shard, topic, key, headers, payload, at
            FROM howdah.%1$I
            WHERE xid >= first AND xid < pg_snapshot_xmax(upto)
              AND id > since AND pg_visible_in_snapshot(xid, upto)
            UNION ALL
            SELECT id, %2$s, ctid, shard, topic, key, headers, payload, at
            FROM howdah.%1$I
            WHERE xid = ANY (running)
              AND id > since AND pg_visible_in_snapshot(xid, upto)$sql$,
            t.name, coalesce(t.segment::text, '-1 - ' || t.archive)), ' UNION ALL ')
    INTO waiting, branches FROM howdah.log_tables(its.log_id, its.name) AS t;
    EXECUTE format($ddl$
        CREATE OR REPLACE FUNCTION howdah.%1$I(
            seen pg_snapshot, OUT upto pg_snapshot, OUT lsn pg_lsn, OUT flushed boolean,
            OUT waiting boolean)
        LANGUAGE plpgsql STABLE
        SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
        AS $body$
        DECLARE
            first xid8 := pg_snapshot_xmax(seen);
            running xid8[] := ARRAY(SELECT pg_snapshot_xip(seen));
        BEGIN
            upto := pg_current_snapshot();
            lsn := pg_current_wal_insert_lsn();
            flushed := pg_current_wal_flush_lsn() >= lsn;
            waiting := howdah.log_guard(%2$s, %3$L, %4$s) AND (%5$s);
        END
        $body$ $ddl$, 'log_' || its.name || '$peek', its.log_id, its.name, shape, waiting);
    EXECUTE format($ddl$
        CREATE OR REPLACE FUNCTION howdah.%1$I(
            seen pg_snapshot, upto pg_snapshot, since bigint, max_rows int, payloads boolean)
        RETURNS TABLE (
            id bigint, segment int, tid tid, shard smallint, topic text, key text, headers jsonb,
            payload bytea, at timestamptz)
        LANGUAGE plpgsql VOLATILE
        SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
        AS $body$
        #variable_conflict use_column
        DECLARE
            first xid8 := pg_snapshot_xmax(seen);
            running xid8[] := ARRAY(SELECT pg_snapshot_xip(seen));
        BEGIN
            RETURN QUERY
            SELECT p.id, p.segment, p.tid, p.shard, p.topic, p.key, p.headers,
                   CASE WHEN payloads THEN p.payload END, p.at
            FROM (SELECT * FROM (%5$s) AS every_row
                  WHERE (SELECT howdah.log_guard(%2$s, %3$L, %4$s))
                  ORDER BY every_row.id LIMIT max_rows) AS p
            ORDER BY p.id;
        END
        $body$ $ddl$, 'log_' || its.name || '$page', its.log_id, its.name, shape, branches);
END
$$;

-- The next rows of a consumer, each with the position to commit once it is done.
CREATE FUNCTION howdah.read(log text, consumer text, max_rows int DEFAULT 1000)
    RETURNS TABLE (
        "position" text, id bigint, topic text, key text, headers jsonb, payload bytea,
        at timestamptz
    )
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_at record := howdah.log_position(log, consumer);
    until pg_snapshot := coalesce(now_at.upto, pg_current_snapshot());
BEGIN
    FOR turn IN 1..2 LOOP
        -- One row more than asked for tells whether the page ends its window.
        RETURN QUERY EXECUTE format(
            'SELECT CASE WHEN number = total AND total <= $4 THEN format(''%%s/%%s//0'', $5, $2)'
            ' ELSE format(''%%s/%%s/%%s/%%s'', $5, $1, $2, id) END,'
            ' id, topic, key, headers, payload, at'
            ' FROM (SELECT *, row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS total'
            '       FROM howdah.%I($1, $2, $3, $4 + 1, true)) AS page'
            ' ORDER BY id LIMIT $4', 'log_' || log || '$page')
        USING now_at.seen, until, now_at.last_id, max_rows, now_at.generation;
        EXIT WHEN FOUND OR now_at.upto IS NULL;
        -- The open window had no more rows: go on with the next.
        now_at.seen := now_at.upto;
        now_at.upto := NULL;
        now_at.last_id := 0;
        until := pg_current_snapshot();
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
    IF array_length(part, 1) IS DISTINCT FROM 4 THEN
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

-- The consumers of a log that still pin a table.
CREATE FUNCTION howdah.log_pinned_by(log_id int, log text, source text) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    consumer text;
    pinning text[] := '{}';
BEGIN
    FOR consumer IN
        SELECT c.name FROM howdah.log_consumer AS c
        WHERE c.log_id = log_pinned_by.log_id AND c.dropped_at IS NULL ORDER BY c.name
    LOOP
        IF howdah.log_unread(source, (howdah.log_newest(log, consumer)).seen) THEN
            pinning := pinning || consumer;
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
    -- One at a time; whoever comes second has nothing to do.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('howdah.log ' || its.name, 0)) THEN
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
    newest howdah.log_turn;
    bytes bigint;
    free int;
BEGIN
    SELECT * INTO newest FROM howdah.log_turn AS t
    WHERE t.log_id = its.log_id ORDER BY t.turn DESC LIMIT 1;
    bytes := pg_relation_size(to_regclass(format('howdah.%I', 'log_' || its.name || '$'
                                                              || newest.segment)));
    IF bytes = 0 OR (bytes < segment_bytes
        AND clock_timestamp() < newest.opened_at + make_interval(secs => segment_seconds))
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
        PERFORM howdah.log_compose(its);
        RETURN QUERY SELECT 'added', free, 'every other segment is pinned';
    END IF;
    INSERT INTO howdah.log_turn (log_id, turn, segment)
    VALUES (its.log_id, newest.turn + 1, free);
    DELETE FROM howdah.log_turn AS t WHERE t.log_id = its.log_id AND t.turn < newest.turn - 1000;
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
                PERFORM howdah.log_compose(its);
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
BEGIN
    FOR slow IN
        SELECT c.name, c.when_slow, c.slow_bytes,
               sum(pg_relation_size(to_regclass(format('howdah.%I', t.name)))) AS bytes
        FROM howdah.log_consumer AS c, howdah.log_tables(its.log_id, its.name) AS t
        WHERE c.log_id = its.log_id AND c.dropped_at IS NULL
          AND t.segment IS DISTINCT FROM howdah.log_current(its.log_id)
          AND pg_relation_size(to_regclass(format('howdah.%I', t.name))) > 0
          AND howdah.log_unread(t.name, (howdah.log_newest(its.name, c.name)).seen)
        GROUP BY c.name, c.when_slow, c.slow_bytes
        HAVING sum(pg_relation_size(to_regclass(format('howdah.%I', t.name)))) > c.slow_bytes
    LOOP
        IF slow.when_slow = 'drop' THEN
            UPDATE howdah.log_consumer AS c SET dropped_at = clock_timestamp()
            WHERE c.log_id = its.log_id AND c.name = slow.name;
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
            PERFORM howdah.log_compose(its);
            RETURN QUERY SELECT 'detached', candidate.segment,
                                format('%s for %s', archive_table, consumer);
        EXCEPTION WHEN lock_not_available THEN
            RETURN QUERY SELECT 'busy', candidate.segment, candidate.name;
        END;
    END LOOP;
END
$$;
