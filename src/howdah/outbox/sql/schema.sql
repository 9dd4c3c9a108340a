-- The outbox: what each one asks for, the messages that were set aside, and the second layout.
--
-- howdah.outbox         one row per outbox; with layout ring it is the log of the same name, whose
--                       consumer `relay` is the relay's position
-- howdah.outbox_parked  messages that a sink did not accept, and those behind them in their keys;
--                       the only rows of an outbox that are changed and deleted
-- howdah.outbox_epoch   layout partitioned: who relays, and that it lives; rows are only added
-- howdah.outbox_rotated layout partitioned: published events that wait to be dropped
-- howdah.outbox_inbox   the inboxes; their tables are howdah.outbox_inbox_<name>$<ring>
--
-- Layout partitioned, of an outbox `orders`: howdah.outbox_orders$all, partitioned by LIST
-- (published_at), with howdah.outbox_orders$unpublished for NULL and howdah.outbox_orders$published
-- as the default partition. Errors: HD003 bad input.

CREATE TABLE howdah.outbox (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,23}$'),
    layout     text NOT NULL CHECK (layout IN ('ring', 'partitioned')),
    uuid       uuid NOT NULL DEFAULT gen_random_uuid(),
    config     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT howdah.clock()
);

CREATE TABLE howdah.outbox_parked (
    outbox   text NOT NULL REFERENCES howdah.outbox ON DELETE CASCADE,
    event_id bigint NOT NULL,
    uid      text NOT NULL,
    shard    smallint NOT NULL,
    topic    text NOT NULL,
    key      text,
    headers  jsonb,
    payload  bytea NOT NULL,
    at       timestamptz NOT NULL,
    policy   text NOT NULL CHECK (policy IN ('block', 'park', 'skip')),
    state    text NOT NULL CHECK (state IN ('failed', 'behind', 'replay')),
    error    text NOT NULL,
    code     text NOT NULL,
    attempts int NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    retry_at timestamptz,
    PRIMARY KEY (outbox, event_id)
);
CREATE INDEX outbox_parked_key ON howdah.outbox_parked (outbox, key, event_id);

CREATE TABLE howdah.outbox_epoch (
    outbox text NOT NULL REFERENCES howdah.outbox ON DELETE CASCADE,
    epoch  bigint NOT NULL,
    beat   bigint NOT NULL,
    at     timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (outbox, epoch, beat)
);

CREATE TABLE howdah.outbox_rotated (
    outbox     text NOT NULL REFERENCES howdah.outbox ON DELETE CASCADE,
    number     int NOT NULL,
    rotated_at timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (outbox, number)
);

CREATE TABLE howdah.outbox_inbox (
    name           text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,23}$'),
    rings          int NOT NULL CHECK (rings BETWEEN 3 AND 16),
    window_seconds float8 NOT NULL CHECK (window_seconds > 0)
);

-- The outbox of that name, or HD003 with what to do.
CREATE FUNCTION howdah.outbox_named(outbox text) RETURNS howdah.outbox
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.outbox;
BEGIN
    SELECT * INTO its FROM howdah.outbox AS o WHERE o.name = outbox;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no outbox %', quote_literal(outbox)
            USING ERRCODE = 'HD003', HINT = format('howdah outbox create %s', outbox);
    END IF;
    RETURN its;
END
$$;

-- Make an outbox, or give the one that is there another configuration; whether it is new.
CREATE FUNCTION howdah.create_outbox(outbox text, layout text, config jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.outbox;
    made howdah.log;
BEGIN
    IF outbox !~ '^[a-z][a-z0-9_]{0,23}$' THEN
        RAISE EXCEPTION '% is no name for an outbox', quote_literal(outbox)
            USING ERRCODE = 'HD003',
                  HINT = 'a lower-case letter, then up to 23 letters, digits or underscores';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.outbox ' || outbox, 0));
    SELECT * INTO its FROM howdah.outbox AS o WHERE o.name = outbox;
    IF FOUND THEN
        IF its.layout <> layout THEN
            RAISE EXCEPTION 'outbox % has layout %, not %', outbox, its.layout, layout
                USING ERRCODE = 'HD003',
                      HINT = 'make another outbox, emit into it, and relay the old one until it'
                             ' is empty';
        END IF;
        UPDATE howdah.outbox AS o SET config = create_outbox.config
        WHERE o.name = outbox AND o.config <> create_outbox.config;
        RETURN false;
    END IF;
    IF layout = 'ring' THEN
        made := howdah.create_log(outbox);
        PERFORM howdah.subscribe(outbox, 'relay');
        INSERT INTO howdah.outbox (name, layout, uuid, config)
        VALUES (outbox, layout, made.uuid, config);
    ELSE
        INSERT INTO howdah.outbox (name, layout, config) VALUES (outbox, layout, config);
        PERFORM howdah.outbox_make_partitions(outbox);
    END IF;
    RETURN true;
END
$$;

-- Remove an outbox with everything in it.
CREATE FUNCTION howdah.drop_outbox(outbox text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.outbox := howdah.outbox_named(outbox);
    rotated int;
BEGIN
    IF its.layout = 'ring' THEN
        PERFORM howdah.drop_log(outbox);
    ELSE
        FOR rotated IN SELECT r.number FROM howdah.outbox_rotated AS r WHERE r.outbox = its.name LOOP
            EXECUTE format('DROP TABLE howdah.%I', format('outbox_%s$published%s', outbox, rotated));
        END LOOP;
        EXECUTE format('DROP TABLE howdah.%I', format('outbox_%s$all', outbox));
        EXECUTE format('DROP SEQUENCE howdah.%I', format('outbox_%s$id', outbox));
    END IF;
    DELETE FROM howdah.outbox AS o WHERE o.name = its.name;
END
$$;

-- Emit one event in the caller's transaction, whatever the layout; its id.
CREATE FUNCTION howdah.outbox_emit(
    outbox text, topic text, key text, payload bytea, headers jsonb DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    emitted bigint;
BEGIN
    IF (howdah.outbox_named(outbox)).layout = 'ring' THEN
        RETURN howdah.emit(outbox, topic, key, payload, headers);
    END IF;
    EXECUTE format(
        'INSERT INTO howdah.%I (topic, key, headers, payload) VALUES ($1, $2, $3, $4) RETURNING id',
        format('outbox_%s$unpublished', outbox))
    INTO emitted USING topic, key, headers, payload;
    RETURN emitted;
END
$$;

CREATE FUNCTION howdah.outbox_make_partitions(outbox text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whole text := format('outbox_%s$all', outbox);
    hot text := format('outbox_%s$unpublished', outbox);
BEGIN
    EXECUTE format('CREATE SEQUENCE howdah.%I CACHE 1', format('outbox_%s$id', outbox));
    EXECUTE format($ddl$
        CREATE TABLE howdah.%1$I (
            id      bigint NOT NULL DEFAULT nextval(%2$L::regclass),
            topic   text NOT NULL,
            key     text,
            shard   smallint NOT NULL GENERATED ALWAYS AS
                    ((hashtextextended(coalesce(key, ''), 0) & 32767)::smallint) STORED,
            headers jsonb,
            payload bytea NOT NULL,
            at      timestamptz NOT NULL DEFAULT howdah.clock(),
            published_at timestamptz
        ) PARTITION BY LIST (published_at)
        $ddl$, whole, format('howdah.%I', format('outbox_%s$id', outbox)));
    -- Every published event leaves a dead row and a dead index entry in the hot partition: vacuum
    -- it after a thousand of them however large it is, at full speed, its index every time; and
    -- without giving pages back at its end, which would lock producers out.
    EXECUTE format($ddl$
        CREATE TABLE howdah.%1$I PARTITION OF howdah.%2$I (PRIMARY KEY (id)) FOR VALUES IN (NULL)
        WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
              autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
              autovacuum_analyze_threshold = 1000, vacuum_index_cleanup = on,
              vacuum_truncate = off)
        $ddl$, hot, whole);
    PERFORM howdah.outbox_make_published(outbox);
    IF to_regrole('howdah_producer') IS NOT NULL THEN
        EXECUTE format('GRANT INSERT, SELECT ON howdah.%I TO howdah_producer', hot);
        EXECUTE format('GRANT USAGE ON SEQUENCE howdah.%I TO howdah_producer',
                       format('outbox_%s$id', outbox));
    END IF;
    IF to_regrole('howdah_worker') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON howdah.%I, howdah.%I'
                       ' TO howdah_worker', whole, hot);
        EXECUTE format('GRANT USAGE ON SEQUENCE howdah.%I TO howdah_worker',
                       format('outbox_%s$id', outbox));
    END IF;
    IF to_regrole('howdah_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON howdah.%I, howdah.%I TO howdah_reader', whole, hot);
    END IF;
END
$$;

-- The default partition: rows only come, until it is dropped whole. Nothing to vacuum.
CREATE FUNCTION howdah.outbox_make_published(outbox text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE howdah.%I PARTITION OF howdah.%I DEFAULT'
        ' WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)',
        format('outbox_%s$published', outbox), format('outbox_%s$all', outbox));
END
$$;

-- Take published events out of the table once there are enough of them, and drop what was taken out
-- before, when it is old enough. Says what it did and what it could not do. Waits for no lock longer
-- than a twentieth of a second, because producers would wait behind it.
CREATE FUNCTION howdah.outbox_rotate(outbox text, most_bytes bigint, keep_seconds float8)
    RETURNS TABLE (action text, detail text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
    published text := format('outbox_%s$published', outbox);
    n int;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('howdah.outbox ' || outbox, 0)) THEN
        RETURN;
    END IF;
    FOR n IN
        SELECT r.number FROM howdah.outbox_rotated AS r
        WHERE r.outbox = outbox_rotate.outbox
          AND r.rotated_at < howdah.clock() - make_interval(secs => keep_seconds)
    LOOP
        EXECUTE format('DROP TABLE howdah.%I', published || n);
        DELETE FROM howdah.outbox_rotated AS r
        WHERE r.outbox = outbox_rotate.outbox AND r.number = n;
        RETURN QUERY SELECT 'dropped', published || n;
    END LOOP;
    IF pg_relation_size(to_regclass(format('howdah.%I', published))) <= most_bytes THEN
        RETURN;
    END IF;
    BEGIN
        SELECT coalesce(max(r.number) + 1, 0) INTO n
        FROM howdah.outbox_rotated AS r WHERE r.outbox = outbox_rotate.outbox;
        EXECUTE format('ALTER TABLE howdah.%I DETACH PARTITION howdah.%I',
                       format('outbox_%s$all', outbox), published);
        EXECUTE format('ALTER TABLE howdah.%I RENAME TO %I', published, published || n);
        PERFORM howdah.outbox_make_published(outbox);
        INSERT INTO howdah.outbox_rotated (outbox, number) VALUES (outbox, n);
        RETURN QUERY SELECT 'rotated', published || n;
    EXCEPTION WHEN lock_not_available THEN
        RETURN QUERY SELECT 'busy', published;
    END;
END
$$;

-- Make an inbox: rings of tables, each hashed into partitions, that remember event uids.
CREATE FUNCTION howdah.create_inbox(
    inbox text, window_seconds float8 DEFAULT 604800, rings int DEFAULT 4, partitions int DEFAULT 4
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ring_table text;
BEGIN
    IF inbox !~ '^[a-z][a-z0-9_]{0,23}$' THEN
        RAISE EXCEPTION '% is no name for an inbox', quote_literal(inbox)
            USING ERRCODE = 'HD003',
                  HINT = 'a lower-case letter, then up to 23 letters, digits or underscores';
    END IF;
    IF partitions NOT BETWEEN 1 AND 64 THEN
        RAISE EXCEPTION 'a ring has 1 to 64 partitions, not %', partitions USING ERRCODE = 'HD003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.inbox ' || inbox, 0));
    INSERT INTO howdah.outbox_inbox (name, rings, window_seconds)
    VALUES (inbox, rings, window_seconds) ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- A sequence, because every transaction sees its present value, whatever its isolation.
    EXECUTE format('CREATE SEQUENCE howdah.%I MINVALUE 0', format('outbox_inbox_%s$turn', inbox));
    EXECUTE format('CREATE TABLE howdah.%I (turn bigint NOT NULL, at timestamptz NOT NULL'
                   ' DEFAULT howdah.clock())', format('outbox_inbox_%s$turns', inbox));
    PERFORM setval(format('howdah.%I', format('outbox_inbox_%s$turn', inbox))::regclass, 0);
    EXECUTE format('INSERT INTO howdah.%I (turn) VALUES (0)',
                   format('outbox_inbox_%s$turns', inbox));
    FOR ring IN 0..rings - 1 LOOP
        ring_table := format('outbox_inbox_%s$%s', inbox, ring);
        EXECUTE format('CREATE TABLE howdah.%I (uid text PRIMARY KEY) PARTITION BY HASH (uid)',
                       ring_table);
        FOR part IN 0..partitions - 1 LOOP
            EXECUTE format(
                'CREATE TABLE howdah.%I PARTITION OF howdah.%I FOR VALUES WITH'
                ' (MODULUS %s, REMAINDER %s) WITH (autovacuum_enabled = off)',
                ring_table || '_' || part, ring_table, partitions, part);
        END LOOP;
        IF to_regrole('howdah_worker') IS NOT NULL THEN
            EXECUTE format('GRANT SELECT, INSERT ON howdah.%I TO howdah_worker', ring_table);
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- Which of the uids the inbox has not seen; from now on it has, if the transaction commits.
--
-- The lock is shared by all who use the inbox and excludes only its turning, so that everybody
-- inserts into the same ring and two who bring one uid meet at its primary key. Under REPEATABLE
-- READ an older ring cannot be looked into (its snapshot may be older than the uid): it is inserted
-- into as well, and PostgreSQL refuses what the snapshot does not show.
CREATE FUNCTION howdah.inbox_first(inbox text, uids text[]) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rings int;
    turn bigint;
    current_ring text;
    older text;
    fresh text[];
    may_look boolean := current_setting('transaction_isolation')
                        IN ('read committed', 'read uncommitted');
BEGIN
    SELECT i.rings INTO rings FROM howdah.outbox_inbox AS i WHERE i.name = inbox;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no inbox %', quote_literal(inbox)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.create_inbox(%L)', inbox);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('howdah.inbox turn ' || inbox, 0));
    EXECUTE format('SELECT last_value FROM howdah.%I', format('outbox_inbox_%s$turn', inbox))
    INTO turn;
    current_ring := format('outbox_inbox_%s$%s', inbox, turn % rings);
    -- In the order of the uids, so that two batches with the same ones do not deadlock.
    EXECUTE format(
        'WITH added AS (INSERT INTO howdah.%I (uid) SELECT DISTINCT u FROM unnest($1) AS u'
        ' ORDER BY u ON CONFLICT (uid) DO NOTHING RETURNING uid) SELECT array_agg(uid) FROM added',
        current_ring)
    INTO fresh USING uids;
    FOR back IN 1..rings - 1 LOOP
        EXIT WHEN fresh IS NULL OR turn - back < 0;
        older := format('outbox_inbox_%s$%s', inbox, (turn - back) % rings);
        IF may_look THEN
            EXECUTE format('SELECT array_agg(u) FROM unnest($1) AS u'
                           ' WHERE NOT EXISTS (SELECT FROM howdah.%I AS o WHERE o.uid = u)', older)
            INTO fresh USING fresh;
        ELSE
            EXECUTE format(
                'WITH added AS (INSERT INTO howdah.%I (uid) SELECT u FROM unnest($1) AS u'
                ' ORDER BY u ON CONFLICT (uid) DO NOTHING RETURNING uid)'
                ' SELECT array_agg(uid) FROM added', older)
            INTO fresh USING fresh;
        END IF;
    END LOOP;
    RETURN QUERY SELECT unnest(fresh);
END
$$;

-- Turn the ring when its time has come: the oldest ring is emptied and becomes the current one.
-- Returns what was done: turned, busy (somebody uses the inbox; try again), or nothing.
CREATE FUNCTION howdah.inbox_maintain(inbox text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
    its howdah.outbox_inbox;
    turn bigint;
    since timestamptz;
BEGIN
    SELECT * INTO its FROM howdah.outbox_inbox AS i WHERE i.name = inbox;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no inbox %', quote_literal(inbox)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.create_inbox(%L)', inbox);
    END IF;
    EXECUTE format('SELECT t.at FROM howdah.%I AS t ORDER BY t.turn DESC LIMIT 1',
                   format('outbox_inbox_%s$turns', inbox)) INTO since;
    -- A uid of the last moment of a ring is kept while the others have their turns.
    IF howdah.clock() < since + make_interval(secs => its.window_seconds / (its.rings - 1)) THEN
        RETURN NULL;
    END IF;
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended('howdah.inbox turn ' || inbox, 0));
        -- Not from the table: if a turning is rolled back, the sequence has moved all the same, and
        -- the ring that it names is in use.
        EXECUTE format('SELECT last_value FROM howdah.%I', format('outbox_inbox_%s$turn', inbox))
        INTO turn;
        EXECUTE format('TRUNCATE howdah.%I',
                       format('outbox_inbox_%s$%s', inbox, (turn + 1) % its.rings));
    EXCEPTION WHEN lock_not_available THEN
        RETURN 'busy';
    END;
    EXECUTE format('INSERT INTO howdah.%I (turn) VALUES ($1)',
                   format('outbox_inbox_%s$turns', inbox)) USING turn + 1;
    PERFORM setval(format('howdah.%I', format('outbox_inbox_%s$turn', inbox))::regclass, turn + 1);
    RETURN 'turned';
END
$$;

-- Remove an inbox with everything that it remembers.
CREATE FUNCTION howdah.drop_inbox(inbox text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rings int;
BEGIN
    DELETE FROM howdah.outbox_inbox AS i WHERE i.name = inbox RETURNING i.rings INTO rings;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no inbox %', quote_literal(inbox) USING ERRCODE = 'HD003';
    END IF;
    FOR ring IN 0..rings - 1 LOOP
        EXECUTE format('DROP TABLE howdah.%I', format('outbox_inbox_%s$%s', inbox, ring));
    END LOOP;
    EXECUTE format('DROP TABLE howdah.%I', format('outbox_inbox_%s$turns', inbox));
    EXECUTE format('DROP SEQUENCE howdah.%I', format('outbox_inbox_%s$turn', inbox));
END
$$;
