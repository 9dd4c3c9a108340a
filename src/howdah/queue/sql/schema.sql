-- The queue: jobs on a log, reports on another, and a ledger that one dispatcher appends to.
--
-- howdah.queue                    one row per queue, never changed
-- howdah.log_jobs_<queue>$...     the jobs: a log that producers emit into
-- howdah.log_reports_<queue>$...  what workers and people tell the dispatcher: a log too
-- howdah.queue_<queue>$ledger$0   one row per step of the dispatcher; two halves by generation
-- howdah.queue_<queue>$claim$0    the claims of a step: which rows which worker was given
-- howdah.queue_<queue>$settled$0  rows whose claim has ended outside the reports: completed in the
--                                 job's own transaction, or revoked; the primary key lets one win.
--                                 Row 0: whether the worker took a claim that it must confirm
--
-- Only exceptions are mutable rows: howdah.queue_later_* (retries and schedules, by the hour they
-- are due), queue_parked, queue_dead, queue_hold, queue_pause, queue_worker, queue_kind,
-- queue_unique, queue_cron. `row` numbers come from the sequence of the jobs log, in every table.
-- Segments of a locator: 0 and up is a segment of the jobs log, -1 a later table (its tid is the
-- bucket), -2 the parked table.

CREATE TABLE howdah.queue (
    queue_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_]{0,15}$'),
    created_at timestamptz NOT NULL DEFAULT howdah.clock()
);

CREATE TABLE howdah.queue_parked (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    row_id      bigint NOT NULL,
    job      bigint NOT NULL,
    kind     text NOT NULL,
    key      text,
    headers  jsonb,
    payload  bytea NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (queue_id, row_id)
);
CREATE INDEX ON howdah.queue_parked (queue_id, key, row_id);
CREATE INDEX ON howdah.queue_parked (queue_id, job);

CREATE TABLE howdah.queue_dead (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    job      bigint NOT NULL,
    row_id      bigint NOT NULL,
    kind     text NOT NULL,
    key      text,
    headers  jsonb,
    payload  bytea NOT NULL,
    at       timestamptz NOT NULL,
    attempt  int NOT NULL,
    reason   text NOT NULL,
    error    text NOT NULL,
    died_at  timestamptz NOT NULL,
    PRIMARY KEY (queue_id, job)
);
CREATE INDEX ON howdah.queue_dead (queue_id, died_at);

CREATE TABLE howdah.queue_hold (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    key      text NOT NULL,
    job      bigint,
    policy   text NOT NULL,
    since    timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (queue_id, key)
);

CREATE TABLE howdah.queue_pause (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    kind     text,
    tenant   text,
    since    timestamptz NOT NULL,
    UNIQUE (queue_id, kind, tenant)
);

CREATE TABLE howdah.queue_worker (
    queue_id      int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    name          text NOT NULL,
    slots         int NOT NULL CHECK (slots > 0),
    kinds         text[],
    host          text NOT NULL,
    pid           int NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT howdah.clock(),
    terms         jsonb,  -- the limits and shares that it declares
    confirms      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (queue_id, name)
);

-- How each kind is treated, as the process that began last has it. It outlives the workers: their
-- lost jobs are dealt with when they are gone.
CREATE TABLE howdah.queue_kind (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    kind     text NOT NULL,
    policy   jsonb NOT NULL,
    since    timestamptz NOT NULL,
    PRIMARY KEY (queue_id, kind)
);

CREATE TABLE howdah.queue_unique (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    digest   text NOT NULL,
    job      bigint NOT NULL,
    until    timestamptz,  -- null: until the job is finished
    PRIMARY KEY (queue_id, digest)
);
CREATE INDEX ON howdah.queue_unique (until) WHERE until IS NOT NULL;

CREATE TABLE howdah.queue_cron (
    queue_id   int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    name       text NOT NULL,
    expression text NOT NULL,
    zone       text NOT NULL,
    catch_up   text NOT NULL CHECK (catch_up IN ('none', 'one', 'all')),
    kind       text NOT NULL,
    key        text,
    headers    jsonb,
    payload    bytea NOT NULL,
    dealt_upto timestamptz NOT NULL DEFAULT howdah.clock(),
    PRIMARY KEY (queue_id, name)
);

-- A firing exists once, however many dispatchers believe that it is theirs.
CREATE TABLE howdah.queue_fired (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    name     text NOT NULL,
    fire_at  timestamptz NOT NULL,
    job      bigint NOT NULL,
    PRIMARY KEY (queue_id, name, fire_at)
);

-- What the dispatcher counted since the row before; the newest row also says how full it is.
CREATE TABLE howdah.queue_count (
    queue_id int NOT NULL REFERENCES howdah.queue ON DELETE CASCADE,
    at       timestamptz NOT NULL DEFAULT howdah.clock(),
    counts   jsonb NOT NULL,
    PRIMARY KEY (queue_id, at)
);

-- Retries and schedules, by the hour they are due: eight buckets, and one for what is further off.
-- Results and progress, by the hour they were written: three buckets.
-- A bucket whose hour is over is truncated as soon as it is empty.
DO $do$
DECLARE
    bucket text;
BEGIN
    FOREACH bucket IN ARRAY ARRAY['0', '1', '2', '3', '4', '5', '6', '7', 'far'] LOOP
        EXECUTE format($ddl$
            CREATE TABLE howdah.%1$I (
                queue_id int NOT NULL,
                row_id      bigint NOT NULL,
                job      bigint NOT NULL,
                due      timestamptz NOT NULL,
                kind     text NOT NULL,
                key      text,
                headers  jsonb,
                payload  bytea NOT NULL,
                at       timestamptz NOT NULL,
                PRIMARY KEY (queue_id, row_id)
            );
            CREATE INDEX ON howdah.%1$I (queue_id, due, row_id);
            CREATE INDEX ON howdah.%1$I (queue_id, job);
            $ddl$, 'queue_later_' || bucket);
    END LOOP;
    FOR number IN 0..2 LOOP
        EXECUTE format($ddl$
            CREATE TABLE howdah.%1$I (
                queue_id int NOT NULL,
                job      bigint NOT NULL,
                at       timestamptz NOT NULL DEFAULT howdah.clock(),
                final    boolean NOT NULL,
                value    jsonb NOT NULL
            ) WITH (autovacuum_enabled = off);
            CREATE INDEX ON howdah.%1$I (queue_id, job);
            $ddl$, 'queue_result_' || number);
    END LOOP;
END
$do$;

CREATE FUNCTION howdah.queue_named(queue text) RETURNS howdah.queue
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue;
BEGIN
    SELECT * INTO its FROM howdah.queue AS q WHERE q.name = queue_named.queue;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no queue %', quote_literal(queue)
            USING ERRCODE = 'HD003', HINT = format('SELECT howdah.create_queue(%L)', queue);
    END IF;
    RETURN its;
END
$$;

-- Make a queue; nothing happens when it is there.
CREATE FUNCTION howdah.create_queue(queue text) RETURNS howdah.queue
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue;
BEGIN
    IF queue !~ '^[a-z][a-z0-9_]{0,15}$' THEN
        RAISE EXCEPTION '% is no name for a queue', quote_literal(queue)
            USING ERRCODE = 'HD003',
                  HINT = 'a lower-case letter, then up to 15 letters, digits or underscores';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.queue ' || queue, 0));
    SELECT * INTO its FROM howdah.queue AS q WHERE q.name = create_queue.queue;
    IF FOUND THEN
        RETURN its;
    END IF;
    INSERT INTO howdah.queue (name) VALUES (queue) RETURNING * INTO its;
    PERFORM howdah.create_log('jobs_' || queue);
    PERFORM howdah.create_log('reports_' || queue, 4);
    PERFORM howdah.subscribe('jobs_' || queue, 'dispatch');
    PERFORM howdah.subscribe('reports_' || queue, 'dispatch');
    PERFORM howdah.log_make_ledger(format('queue_%s$ledger', queue), $columns$
        generation  bigint PRIMARY KEY,
        epoch       bigint NOT NULL,
        at          timestamptz NOT NULL DEFAULT howdah.clock(),
        done        pg_snapshot NOT NULL,
        read        pg_snapshot NOT NULL,
        upto        pg_snapshot,
        last_id     bigint NOT NULL DEFAULT 0,
        heard       pg_snapshot NOT NULL,
        floor       bigint NOT NULL,
        moved       bigint[],
        rates       jsonb,
        rates_whole boolean NOT NULL DEFAULT false$columns$);
    PERFORM howdah.log_make_ledger(format('queue_%s$claim', queue), $columns$
        generation bigint NOT NULL,
        ordinal    int NOT NULL,
        worker     text NOT NULL,
        at         timestamptz NOT NULL DEFAULT howdah.clock(),
        rows       bigint[] NOT NULL,
        segments   int[] NOT NULL,  -- one element: the same for every row
        tids       text[] NOT NULL,
        attempts   int[],           -- null: the first of each; negative: to be confirmed
        PRIMARY KEY (generation, ordinal)$columns$);
    PERFORM howdah.log_make_ledger(format('queue_%s$settled', queue), $columns$
        generation bigint NOT NULL,
        ordinal    int NOT NULL,
        row_id     bigint NOT NULL,
        revoked    boolean NOT NULL,
        PRIMARY KEY (generation, ordinal, row_id)$columns$);
    EXECUTE format('INSERT INTO howdah.%I (generation, epoch, done, read, heard, floor)'
                   ' VALUES (1, 0, ''1:1:'', ''1:1:'', ''1:1:'', 1)',
                   format('queue_%s$ledger$0', queue));
    RETURN its;
END
$$;

-- What the roles may do with queues that were made before the roles were.
CREATE FUNCTION howdah.queue_grant_all() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT howdah.log_grant_ledger(format('queue_%s$%s', q.name, part))
    FROM howdah.queue AS q, unnest(ARRAY['ledger', 'claim', 'settled']) AS part
$$;

-- Remove a queue with every job in it.
CREATE FUNCTION howdah.drop_queue(queue text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    each_table text;
BEGIN
    PERFORM howdah.drop_log('jobs_' || its.name);
    PERFORM howdah.drop_log('reports_' || its.name);
    FOR each_table IN
        SELECT format('queue_%s$%s$%s', its.name, part, half)
        FROM unnest(ARRAY['ledger', 'claim', 'settled']) AS part, generate_series(0, 1) AS half
    LOOP
        EXECUTE format('DROP TABLE howdah.%I', each_table);
    END LOOP;
    FOREACH each_table IN ARRAY ARRAY['later_0', 'later_1', 'later_2', 'later_3', 'later_4',
        'later_5', 'later_6', 'later_7', 'later_far', 'result_0', 'result_1', 'result_2']
    LOOP
        EXECUTE format('DELETE FROM howdah.%I WHERE queue_id = $1', 'queue_' || each_table)
        USING its.queue_id;
    END LOOP;
    DELETE FROM howdah.queue AS q WHERE q.queue_id = its.queue_id;
END
$$;

-- Which later table holds what is due then. Seven hours ahead have a bucket of their own.
CREATE FUNCTION howdah.queue_bucket(due timestamptz) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN due < date_trunc('hour', howdah.clock()) + interval '7 hours'
        THEN (floor(extract(epoch FROM greatest(due, howdah.clock())) / 3600)::bigint % 8)
             ::text
        ELSE 'far' END;

-- Put a job off until it is due; its row.
CREATE FUNCTION howdah.queue_put_later(
    its howdah.queue, job bigint, due timestamptz, kind text, key text, headers jsonb,
    payload bytea, at timestamptz
) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    put bigint := nextval(format('howdah.%I', 'log_jobs_' || its.name || '$id'));
BEGIN
    EXECUTE format('INSERT INTO howdah.%I VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)',
                   'queue_later_' || howdah.queue_bucket(due))
    USING its.queue_id, put, coalesce(job, put), due, kind, key, headers, payload, at;
    RETURN put;
END
$$;

-- Enqueue a job in the caller's transaction; its id. With `digest`, only if no such job is there:
-- then the id is that of the other, and `new` is false.
CREATE FUNCTION howdah.enqueue(
    queue text, kind text, payload jsonb DEFAULT '{}', key text DEFAULT NULL,
    headers jsonb DEFAULT NULL, due timestamptz DEFAULT NULL,
    digest text DEFAULT NULL, until timestamptz DEFAULT NULL, OUT job bigint, OUT new boolean
)
    -- Of the owner: a producer may neither choose the number of a row nor write the tables of
    -- unique and later jobs.
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    jobs howdah.log := howdah.log_named('jobs_' || queue);
    content bytea := convert_to(payload::text, 'UTF8');
BEGIN
    job := nextval(format('howdah.%I', 'log_jobs_' || queue || '$id'));
    new := true;
    IF digest IS NOT NULL THEN
        LOOP
            INSERT INTO howdah.queue_unique AS u (queue_id, digest, job, until)
            VALUES (its.queue_id, enqueue.digest, enqueue.job, enqueue.until)
            ON CONFLICT ON CONSTRAINT queue_unique_pkey DO UPDATE
            SET job = excluded.job, until = excluded.until
            WHERE u.until < howdah.clock();
            EXIT WHEN FOUND;
            SELECT u.job, false INTO enqueue.job, enqueue.new FROM howdah.queue_unique AS u
            WHERE u.queue_id = its.queue_id AND u.digest = enqueue.digest;
            IF FOUND THEN
                RETURN;
            END IF;
            new := true;  -- the other job has ended between the two statements
            job := nextval(format('howdah.%I', 'log_jobs_' || queue || '$id'));
        END LOOP;
        IF until IS NULL THEN
            headers := coalesce(headers, '{}') || jsonb_build_object('unique', digest);
        END IF;
    END IF;
    IF due > howdah.clock() THEN
        PERFORM howdah.queue_put_later(its, job, due, kind, key, coalesce(headers, '{}')
            || jsonb_build_object('job', job), content, howdah.clock());
    ELSE
        EXECUTE format('INSERT INTO howdah.%I (id, topic, key, headers, payload)'
                       ' VALUES ($1, $2, $3, $4, $5)',
                       'log_jobs_' || queue || '$' || howdah.log_current(jobs.log_id))
        USING job, kind, key, headers, content;
    END IF;
END
$$;

-- One job by its locator, wherever its row stands; no row when it is there no more.
CREATE FUNCTION howdah.queue_row(its howdah.queue, row_id bigint, segment int, tid text,
    OUT kind text, OUT key text, OUT headers jsonb, OUT payload bytea, OUT at timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF segment >= 0 THEN
        EXECUTE format('SELECT topic, key, headers, payload, at FROM howdah.%I'
                       ' WHERE ctid = $1::tid AND id = $2', 'log_jobs_' || its.name || '$' || segment)
        INTO kind, key, headers, payload, at USING tid, row_id;
        IF kind IS NULL THEN  -- the table was rewritten: its rows have moved
            EXECUTE format('SELECT topic, key, headers, payload, at FROM howdah.%I WHERE id = $1',
                           'log_jobs_' || its.name || '$' || segment)
            INTO kind, key, headers, payload, at USING row_id;
        END IF;
    ELSE
        EXECUTE format('SELECT kind, key, headers, payload, at FROM howdah.%I AS t'
                       ' WHERE t.queue_id = $1 AND t.row_id = $2',
                       CASE segment WHEN -1 THEN 'queue_later_' || tid ELSE 'queue_parked' END)
        INTO kind, key, headers, payload, at USING its.queue_id, row_id;
    END IF;
END
$$;

-- True, or HD001: the generation was taken, another dispatcher owns the queue now.
CREATE FUNCTION howdah.queue_owned(won boolean) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF won IS NOT TRUE THEN
        RAISE EXCEPTION 'another dispatcher owns the queue now' USING ERRCODE = 'HD001';
    END IF;
    RETURN true;
END
$$;

-- Everything of a step that is not plain claims, in the transaction of its append. `parts` has the
-- fields of howdah.queue.model.Step by their names. Returns the settlements that a revoke could
-- not take, and the jobs that a purge deleted.
CREATE FUNCTION howdah.queue_apply(queue text, parts jsonb)
    RETURNS TABLE (settled jsonb, dropped bigint[], busy jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    part jsonb;
    found_row record;
BEGIN
    settled := '[]';
    dropped := '{}';
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'later') LOOP
        found_row := howdah.queue_row(its, (part ->> 'row')::bigint, (part ->> 'segment')::int,
                                      part ->> 'tid');
        CONTINUE WHEN found_row.kind IS NULL;  -- nothing is left to try again
        PERFORM howdah.queue_put_later(
            its, (part ->> 'job')::bigint, to_timestamp((part ->> 'due')::float8),
            found_row.kind, found_row.key,
            coalesce(found_row.headers, '{}') || jsonb_build_object(
                'job', (part ->> 'job')::bigint, 'attempt', (part ->> 'attempt')::int,
                'error', part ->> 'error'),
            found_row.payload, found_row.at);
    END LOOP;
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'dead') LOOP
        found_row := howdah.queue_row(its, (part ->> 'row')::bigint, (part ->> 'segment')::int,
                                      part ->> 'tid');
        INSERT INTO howdah.queue_dead AS d (queue_id, job, row_id, kind, key, headers, payload, at,
                                       attempt, reason, error, died_at)
        -- A person must see a job whose row has vanished: what is known of it is kept.
        VALUES (its.queue_id, (part ->> 'job')::bigint, (part ->> 'row')::bigint,
                coalesce(found_row.kind, part ->> 'kind'), coalesce(found_row.key, part ->> 'key'),
                found_row.headers, coalesce(found_row.payload, ''),
                coalesce(found_row.at, howdah.clock()),
                (part ->> 'attempt')::int, part ->> 'reason', part ->> 'error',
                to_timestamp((part ->> 'at')::float8))
        ON CONFLICT (queue_id, job) DO NOTHING;
    END LOOP;
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'parks') LOOP
        found_row := howdah.queue_row(its, (part ->> 'row')::bigint, (part ->> 'segment')::int,
                                      part ->> 'tid');
        CONTINUE WHEN found_row.kind IS NULL;
        INSERT INTO howdah.queue_parked (queue_id, row_id, job, kind, key, headers, payload, at)
        VALUES (its.queue_id, (part ->> 'row')::bigint, (part ->> 'job')::bigint, found_row.kind,
                found_row.key, found_row.headers, found_row.payload, found_row.at)
        ON CONFLICT (queue_id, row_id) DO NOTHING;
    END LOOP;
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'removed') LOOP
        EXECUTE format('DELETE FROM howdah.%I AS t WHERE t.queue_id = $1 AND t.row_id = $2',
            CASE (part ->> 'segment')::int WHEN -1 THEN 'queue_later_' || (part ->> 'tid')
                 ELSE 'queue_parked' END)
        USING its.queue_id, (part ->> 'row')::bigint;
    END LOOP;
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'cancelled') LOOP
        PERFORM howdah.queue_delete(its, (part #>> '{}')::bigint, NULL, NULL, NULL, '{}');
    END LOOP;
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'purges') LOOP
        dropped := dropped || howdah.queue_delete(
            its, NULL, to_timestamp((part ->> 'at')::float8), part ->> 'kind', part ->> 'tenant',
            ARRAY(SELECT (s #>> '{}')::bigint FROM jsonb_array_elements(parts -> 'spared') AS s));
    END LOOP;
    FOR part IN SELECT * FROM jsonb_array_elements(parts -> 'replays') LOOP
        PERFORM howdah.queue_redrive(its, (part #>> '{}')::bigint);
    END LOOP;
    DELETE FROM howdah.queue_dead AS d
    WHERE d.queue_id = its.queue_id
      AND d.job IN (SELECT (j #>> '{}')::bigint FROM jsonb_array_elements(parts -> 'discards') AS j
                    UNION ALL
                    SELECT (j #>> '{}')::bigint FROM jsonb_array_elements(parts -> 'cancelled') AS j);
    INSERT INTO howdah.queue_hold (queue_id, key, job, policy)
    SELECT its.queue_id, h ->> 'key', (h ->> 'job')::bigint, h ->> 'policy'
    FROM jsonb_array_elements(parts -> 'holds') AS h
    ON CONFLICT (queue_id, key) DO UPDATE SET job = excluded.job, policy = excluded.policy;
    DELETE FROM howdah.queue_hold AS h
    WHERE h.queue_id = its.queue_id
      AND h.key IN (SELECT k #>> '{}' FROM jsonb_array_elements(parts -> 'lifted') AS k);
    IF jsonb_typeof(parts -> 'paused') = 'array' THEN
        DELETE FROM howdah.queue_pause AS p WHERE p.queue_id = its.queue_id;
        INSERT INTO howdah.queue_pause (queue_id, kind, tenant, since)
        SELECT its.queue_id, p ->> 'kind', p ->> 'tenant', to_timestamp((p ->> 'at')::float8)
        FROM jsonb_array_elements(parts -> 'paused') AS p;
    END IF;
    DELETE FROM howdah.queue_worker AS w
    WHERE w.queue_id = its.queue_id
      AND w.name IN (SELECT g #>> '{}' FROM jsonb_array_elements(parts -> 'gone') AS g);
    DELETE FROM howdah.queue_unique AS u
    WHERE u.queue_id = its.queue_id AND u.until IS NULL
      AND u.digest IN (SELECT f #>> '{}' FROM jsonb_array_elements(parts -> 'freed') AS f);
    SELECT r.settled, r.busy INTO settled, busy
    FROM howdah.queue_revoke(its, parts -> 'revokes') AS r;
    RETURN NEXT;
END
$$;

-- Take rows away from their claims. The primary key decides between us and a worker that completes
-- the job in its own transaction. `settled` are the rows that it won; `busy` those of transactions
-- that are still open: one of them must not make everybody wait, so ask again.
CREATE FUNCTION howdah.queue_revoke(
    its howdah.queue, revokes jsonb, OUT settled jsonb, OUT busy jsonb
)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
    part jsonb;
    each_row bigint;
BEGIN
    settled := '[]';
    busy := '[]';
    FOR part IN SELECT * FROM jsonb_array_elements(revokes) LOOP
        BEGIN  -- together, for a subtransaction a claim instead of one a row
            settled := settled || howdah.queue_revoke_rows(
                its.name, (part ->> 'generation')::bigint, (part ->> 'ordinal')::int,
                ARRAY(SELECT (r #>> '{}')::bigint FROM jsonb_array_elements(part -> 'rows') AS r));
        EXCEPTION WHEN lock_not_available THEN
            FOR each_row IN
                SELECT (r #>> '{}')::bigint FROM jsonb_array_elements(part -> 'rows') AS r
            LOOP
                BEGIN
                    settled := settled || howdah.queue_revoke_rows(
                        its.name, (part ->> 'generation')::bigint, (part ->> 'ordinal')::int,
                        ARRAY[each_row]);
                EXCEPTION WHEN lock_not_available THEN
                    busy := busy || jsonb_build_array(
                        jsonb_build_array(part -> 'generation', part -> 'ordinal', each_row));
                END;
            END LOOP;
        END;
    END LOOP;
END
$$;

-- The same for rows of one claim: those that the worker has settled before.
CREATE FUNCTION howdah.queue_revoke_rows(queue text, generation bigint, ordinal int, rows bigint[])
    RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text := format('queue_%s$settled$%s', queue, (generation >> 16) & 1);
    settled jsonb;
BEGIN
    EXECUTE format('INSERT INTO howdah.%I SELECT $1, $2, r, true FROM unnest($3) AS r'
                   ' ON CONFLICT DO NOTHING', target) USING generation, ordinal, rows;
    EXECUTE format('SELECT jsonb_agg(jsonb_build_array($1, $2, s.row_id)) FROM howdah.%I AS s'
                   ' WHERE s.generation = $1 AND s.ordinal = $2 AND s.row_id = ANY ($3)'
                   ' AND NOT s.revoked', target)
    INTO settled USING generation, ordinal, rows;
    RETURN coalesce(settled, '[]');
END
$$;

-- What a worker asks whose handler failed after it had called complete: whether that counts. If not,
-- it never will: the job is ours to try again.
CREATE FUNCTION howdah.queue_fence(queue text, generation bigint, ordinal int, row_id bigint)
    RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN howdah.queue_revoke_rows(queue, generation, ordinal, ARRAY[row_id]) <> '[]';

-- Delete waiting rows of the later and parked tables, but not the spared ones, and what they held;
-- the jobs that are gone.
CREATE FUNCTION howdah.queue_delete(
    its howdah.queue, job bigint, before timestamptz, kind text, tenant text, spared bigint[]
) RETURNS bigint[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    each_table text;
    gone bigint[] := '{}';
    part bigint[];
BEGIN
    FOREACH each_table IN ARRAY ARRAY['later_0', 'later_1', 'later_2', 'later_3', 'later_4',
        'later_5', 'later_6', 'later_7', 'later_far', 'parked']
    LOOP
        EXECUTE format(
            'WITH gone AS (DELETE FROM howdah.%I AS t WHERE t.queue_id = $1'
            ' AND ($2 IS NULL OR t.job = $2) AND ($3 IS NULL OR t.at < $3)'
            ' AND ($4 IS NULL OR t.kind = $4) AND ($5 IS NULL OR t.headers ->> ''tenant'' = $5)'
            ' AND t.row_id <> ALL ($6)'
            ' RETURNING t.job, t.headers),'
            ' freed AS (DELETE FROM howdah.queue_unique AS u USING gone AS g'
            '  WHERE u.queue_id = $1 AND u.until IS NULL AND u.digest = g.headers ->> ''unique'')'
            ' SELECT array_agg(job) FROM gone', 'queue_' || each_table)
        INTO part USING its.queue_id, job, before, kind, tenant, spared;
        gone := gone || coalesce(part, '{}');
    END LOOP;
    DELETE FROM howdah.queue_hold AS h WHERE h.queue_id = its.queue_id AND h.job = ANY (gone);
    RETURN gone;
END
$$;

-- Put a dead letter among the jobs that are due, with fresh attempts.
CREATE FUNCTION howdah.queue_redrive(its howdah.queue, job bigint) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dead howdah.queue_dead;
BEGIN
    DELETE FROM howdah.queue_dead AS d
    WHERE d.queue_id = its.queue_id AND d.job = queue_redrive.job RETURNING * INTO dead;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Its uniqueness ended with its death: another such job may be there by now.
    PERFORM howdah.queue_put_later(
        its, dead.job, howdah.clock(), dead.kind, dead.key,
        (coalesce(dead.headers, '{}') - '{attempt, error, expires, expires_in, unique}'::text[])
            || jsonb_build_object('job', dead.job), dead.payload, dead.at);
    RETURN true;
END
$$;

-- Complete a job in the caller's transaction: HD001 when it was taken away, and then the caller's
-- transaction must not commit. The lease token is (generation, ordinal, row).
CREATE FUNCTION howdah.complete(queue text, generation bigint, ordinal int, row_id bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken int;
    held boolean;
BEGIN
    EXECUTE format('SELECT $3 = ANY (c.rows) FROM howdah.%I AS c'
                   ' WHERE c.generation = $1 AND c.ordinal = $2',
                   format('queue_%s$claim$%s', queue, (generation >> 16) & 1))
    INTO held USING generation, ordinal, row_id;
    IF held IS TRUE THEN
        EXECUTE format('INSERT INTO howdah.%I VALUES ($1, $2, $3, false) ON CONFLICT DO NOTHING',
                       format('queue_%s$settled$%s', queue, (generation >> 16) & 1))
        USING generation, ordinal, row_id;
        GET DIAGNOSTICS taken = ROW_COUNT;
    END IF;
    IF held IS NOT TRUE OR taken = 0 THEN
        RAISE EXCEPTION 'the job was taken away from this worker'
            USING ERRCODE = 'HD001', HINT = 'roll back; another attempt does the work';
    END IF;
END
$$;

-- Fire a schedule: the firing and its job commit together, and a firing exists once.
CREATE FUNCTION howdah.queue_fire(queue text, schedule text, fire_at timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    jobs howdah.log := howdah.log_named('jobs_' || queue);
    planned howdah.queue_cron;
    fired bigint := nextval(format('howdah.%I', 'log_jobs_' || queue || '$id'));
BEGIN
    SELECT * INTO planned FROM howdah.queue_cron AS c
    WHERE c.queue_id = its.queue_id AND c.name = schedule;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO howdah.queue_fired (queue_id, name, fire_at, job)
    VALUES (its.queue_id, schedule, queue_fire.fire_at, fired) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    EXECUTE format('INSERT INTO howdah.%I (id, topic, key, headers, payload)'
                   ' VALUES ($1, $2, $3, $4, $5)',
                   'log_jobs_' || queue || '$' || howdah.log_current(jobs.log_id))
    USING fired, planned.kind, planned.key,
          coalesce(planned.headers, '{}')
              || jsonb_build_object('schedule', schedule, 'fire_at', extract(epoch FROM fire_at)),
          planned.payload;
    UPDATE howdah.queue_cron AS c SET dealt_upto = greatest(c.dealt_upto, fire_at)
    WHERE c.queue_id = its.queue_id AND c.name = schedule;
    RETURN fired;
END
$$;

-- The buckets of later and result tables whose hour is over are emptied; what is far off and comes
-- near moves into its hour; old ledger halves go. Cheap when there is nothing to do.
CREATE FUNCTION howdah.queue_maintain(queue text) RETURNS TABLE (action text, detail text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    this_hour bigint := floor(extract(epoch FROM howdah.clock()) / 3600)::bigint;
    target text;
    near record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('howdah.queue maintenance', 0)) THEN
        RETURN;
    END IF;
    -- Rows that are due soon stay where they are: a dispatcher may have read their place already.
    FOR near IN
        SELECT DISTINCT howdah.queue_bucket(f.due) AS bucket FROM howdah.queue_later_far AS f
        WHERE f.queue_id = its.queue_id AND f.due > howdah.clock() + interval '5 minutes'
          AND f.due < date_trunc('hour', howdah.clock()) + interval '7 hours'
    LOOP
        EXECUTE format(
            'WITH near AS (DELETE FROM howdah.queue_later_far AS f WHERE f.queue_id = $1'
            ' AND f.due > howdah.clock() + interval ''5 minutes'''
            ' AND howdah.queue_bucket(f.due) = $2 RETURNING f.*)'
            ' INSERT INTO howdah.%I SELECT * FROM near', 'queue_later_' || near.bucket)
        USING its.queue_id, near.bucket;
        RETURN QUERY SELECT 'moved', near.bucket;
    END LOOP;
    FOREACH target IN ARRAY ARRAY['queue_later_' || (this_hour + 7) % 8,
                                  'queue_result_' || (this_hour + 1) % 3]
    LOOP
        RETURN QUERY SELECT 'emptied', target
            WHERE howdah.queue_empty(target, target LIKE 'queue_result_%');
    END LOOP;
    FOR target IN
        SELECT format('queue_%s$%s$%s', queue, part, half)
        FROM unnest(ARRAY['claim', 'settled', 'ledger']) AS part, generate_series(0, 1) AS half
    LOOP
        RETURN QUERY SELECT 'trimmed', target WHERE howdah.queue_trim(queue, target);
    END LOOP;
    DELETE FROM howdah.queue_unique AS u WHERE u.until < howdah.clock();
    DELETE FROM howdah.queue_fired AS f WHERE f.fire_at < howdah.clock() - interval '40 days';
    DELETE FROM howdah.queue_count AS c
    WHERE c.queue_id = its.queue_id AND c.at < howdah.clock() - interval '7 days';
END
$$;

-- Truncate a bucket if nothing is in it, or whatever is in it; whether that was done.
CREATE FUNCTION howdah.queue_empty(target text, anyway boolean) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    occupied boolean;
BEGIN
    IF pg_relation_size(to_regclass(format('howdah.%I', target))) = 0 THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', target);
    EXECUTE format('SELECT EXISTS (SELECT FROM howdah.%I)', target) INTO occupied;
    IF occupied AND NOT anyway THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE howdah.%I', target);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;

-- Truncate the half of a ledger whose generations no rebuild would read; whether that was done.
CREATE FUNCTION howdah.queue_trim(queue text, target text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest record := howdah.queue_newest(queue);
    half int := right(target, 1)::int;
    stale boolean;
BEGIN
    IF half = (newest.generation >> 16) & 1 OR newest.generation & 65535 < 32768
        OR pg_relation_size(to_regclass(format('howdah.%I', target))) = 0
    THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', target);
    EXECUTE format('SELECT max(generation) < $1 FROM howdah.%I', target)
    INTO stale USING newest.floor;
    IF stale IS NOT TRUE THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE howdah.%I', target);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;

-- The newest row of the dispatcher's ledger.
CREATE FUNCTION howdah.queue_newest(
    queue text, OUT generation bigint, OUT epoch bigint, OUT at timestamptz, OUT done pg_snapshot,
    OUT read pg_snapshot, OUT upto pg_snapshot, OUT last_id bigint, OUT heard pg_snapshot,
    OUT floor bigint
)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_sort = off
AS $$
BEGIN
    EXECUTE format(
        'SELECT generation, epoch, at, done, read, upto, last_id, heard, floor'
        ' FROM ((SELECT * FROM howdah.%I ORDER BY generation DESC LIMIT 1) UNION ALL'
        ' (SELECT * FROM howdah.%I ORDER BY generation DESC LIMIT 1)) AS both_halves'
        ' ORDER BY generation DESC LIMIT 1',
        format('queue_%s$ledger$0', queue), format('queue_%s$ledger$1', queue))
    INTO generation, epoch, at, done, read, upto, last_id, heard, floor;
END
$$;

-- Rows of the later tables that are due from a time on (and there from a row on), oldest first. One
-- branch a table, written out here once: a statement that is put together in each call would be
-- planned in each call.
DO $do$
DECLARE
    branches text;
BEGIN
    SELECT string_agg(format($sql$
        (SELECT %L AS bucket, b.* FROM howdah.%I AS b
         WHERE b.queue_id = its.queue_id AND b.due >= since AND b.due <= upto
           AND (b.due > since OR b.row_id > after)
         ORDER BY b.due, b.row_id LIMIT max_rows)$sql$, bucket, 'queue_later_' || bucket), ' UNION ALL')
    INTO branches
    FROM unnest(ARRAY['0', '1', '2', '3', '4', '5', '6', '7', 'far']) AS bucket;
    EXECUTE format($ddl$
        CREATE FUNCTION howdah.queue_due(
            queue text, since timestamptz, after bigint, upto timestamptz, max_rows int
        )
            RETURNS TABLE (row_id bigint, bucket text, job bigint, kind text, key text, headers jsonb,
                           at timestamptz, due timestamptz)
            LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
        AS $body$
        DECLARE
            its howdah.queue := howdah.queue_named(queue);
        BEGIN
            RETURN QUERY
            SELECT l.row_id, l.bucket, l.job, l.kind, l.key, l.headers, l.at, l.due FROM (%s) AS l
            ORDER BY l.due, l.row_id LIMIT max_rows;
        END
        $body$ $ddl$, branches);
END
$do$;

-- When the next row of the later tables is due; null when there is none.
CREATE FUNCTION howdah.queue_next_due(queue text, since timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(d.due) FROM howdah.queue_due(queue, since, 0, 'infinity', 1) AS d
$$;

-- Keep a result or progress in the bucket of this hour.
CREATE FUNCTION howdah.queue_keep(queue_id int, job bigint, final boolean, value jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('INSERT INTO howdah.%I (queue_id, job, final, value) VALUES ($1, $2, $3, $4)',
        'queue_result_' || floor(extract(epoch FROM howdah.clock()) / 3600)::bigint % 3)
    USING queue_id, job, final, value;
END
$$;

-- Rows of the later and parked tables by their numbers.
CREATE FUNCTION howdah.queue_outside(queue text, rows bigint[])
    RETURNS TABLE (row_id bigint, segment int, tid text, kind text, key text, headers jsonb,
                   payload bytea, at timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    bucket text;
BEGIN
    FOREACH bucket IN ARRAY ARRAY['0', '1', '2', '3', '4', '5', '6', '7', 'far'] LOOP
        RETURN QUERY EXECUTE format(
            'SELECT l.row_id, -1, $3, l.kind, l.key, l.headers, l.payload, l.at'
            ' FROM howdah.%I AS l WHERE l.queue_id = $1 AND l.row_id = ANY ($2)',
            'queue_later_' || bucket) USING its.queue_id, rows, bucket;
    END LOOP;
    RETURN QUERY SELECT p.row_id, -2, '', p.kind, p.key, p.headers, p.payload, p.at
    FROM howdah.queue_parked AS p
    WHERE p.queue_id = its.queue_id AND p.row_id = ANY (rows);
END
$$;

-- HD002 when the ledger's snapshots are of another database, or of a future that did not happen.
CREATE FUNCTION howdah.queue_at_home(queue text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest record := howdah.queue_newest(queue);
    lost boolean;
BEGIN
    SELECT bool_or(NOT howdah.log_at_home(l.system_identifier, l.database_oid)) INTO lost
    FROM howdah.log AS l WHERE l.name IN ('jobs_' || queue, 'reports_' || queue);
    IF lost OR NOT howdah.log_reached(newest.heard) THEN
        RAISE EXCEPTION 'queue % was restored or copied here from another database', queue
            USING ERRCODE = 'HD002',
                  DETAIL = 'Its place among the transactions of that database means nothing here.',
                  HINT = format('SELECT howdah.queue_reanchor(%L), while no worker runs', queue);
    END IF;
    RETURN true;
END
$$;

-- Let a queue go on that was restored or copied here; how many jobs it has. The record that came
-- with it is complete in itself: what it does not show as finished becomes a row that is due now, in
-- order, and both logs begin anew. HD003 for a queue that has not lost its place.
CREATE FUNCTION howdah.queue_reanchor(queue text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its howdah.queue := howdah.queue_named(queue);
    newest record;
    source record;
    moved bigint := 0;
    part bigint;
    log text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.queue ' || queue, 0));
    BEGIN
        PERFORM howdah.queue_at_home(queue);
        RAISE EXCEPTION 'queue % has not lost its place', queue USING ERRCODE = 'HD003';
    EXCEPTION WHEN SQLSTATE 'HD002' THEN
        newest := howdah.queue_newest(queue);
    END;
    PERFORM howdah.queue_finished(its, newest.floor);
    FOR source IN
        SELECT t.name FROM howdah.log AS l, howdah.log_tables(l.log_id, l.name) AS t
        WHERE l.name = 'jobs_' || queue ORDER BY t.name
    LOOP
        EXECUTE format(
            'INSERT INTO howdah.queue_later_%s'
            ' SELECT $1, s.id, coalesce((s.headers ->> ''job'')::bigint, s.id), $2, s.topic, s.key,'
            '  coalesce(s.headers, ''{}'') || jsonb_build_object('
            '   ''job'', coalesce((s.headers ->> ''job'')::bigint, s.id)), s.payload, s.at'
            ' FROM howdah.%I AS s WHERE NOT pg_visible_in_snapshot(s.xid, $3)'
            ' AND NOT EXISTS (SELECT FROM pg_temp.howdah_finished AS f WHERE f.row_id = s.id)',
            howdah.queue_bucket(howdah.clock()), source.name)
        USING its.queue_id, howdah.clock(), newest.done;
        GET DIAGNOSTICS part = ROW_COUNT;
        moved := moved + part;
    END LOOP;
    DROP TABLE pg_temp.howdah_finished;
    FOREACH log IN ARRAY ARRAY['jobs_' || queue, 'reports_' || queue] LOOP
        FOR source IN
            SELECT t.name FROM howdah.log AS l, howdah.log_tables(l.log_id, l.name) AS t
            WHERE l.name = log
        LOOP
            EXECUTE format('TRUNCATE howdah.%I', source.name);
        END LOOP;
        PERFORM howdah.adopt_log(log);
        PERFORM howdah.reanchor(log, 'dispatch', 'now');
    END LOOP;
    DELETE FROM howdah.queue_worker AS w WHERE w.queue_id = its.queue_id;
    DELETE FROM howdah.queue_kind AS k WHERE k.queue_id = its.queue_id;  -- by another server's clock
    EXECUTE format('INSERT INTO howdah.%I (generation, epoch, done, read, heard, floor)'
                   ' SELECT $1, $2, n.now, n.now, n.now, $1 FROM howdah.log_now() AS n (now)',
                   format('queue_%s$ledger$%s', queue, ((newest.generation + 1) >> 16) & 1))
    USING newest.generation + 1, newest.epoch + 1;
    RETURN moved;
END
$$;

-- The rows of the jobs log that the record shows as finished, in a temporary table: moved by a step,
-- completed by their worker, or acknowledged as done before they were taken away.
CREATE FUNCTION howdah.queue_finished(its howdah.queue, floor bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    source record;
BEGIN
    CREATE TEMPORARY TABLE howdah_acks (report jsonb NOT NULL);
    FOR source IN
        SELECT t.name FROM howdah.log AS l, howdah.log_tables(l.log_id, l.name) AS t
        WHERE l.name = 'reports_' || its.name
    LOOP
        EXECUTE format('INSERT INTO pg_temp.howdah_acks SELECT c.r FROM howdah.%I AS s,'
                       ' LATERAL (SELECT convert_from(s.payload, ''UTF8'')::jsonb) AS c (r)'
                       ' WHERE r ->> ''type'' = ''Ack'' AND (r ->> ''generation'')::bigint >= $1',
                       source.name) USING floor;
    END LOOP;
    CREATE TEMPORARY TABLE howdah_finished (row_id bigint NOT NULL);
    FOR half IN 0..1 LOOP
        EXECUTE format(
            'INSERT INTO pg_temp.howdah_finished'
            ' SELECT m FROM howdah.%1$I AS l, unnest(l.moved) AS m WHERE l.generation >= $1'
            ' UNION ALL'
            ' SELECT s.row_id FROM howdah.%2$I AS s WHERE s.generation >= $1 AND NOT s.revoked'
            ' UNION ALL'
            ' SELECT c.rows[p.n + 1] FROM howdah.%3$I AS c'
            ' JOIN pg_temp.howdah_acks AS a ON (a.report ->> ''generation'')::bigint = c.generation'
            '  AND (a.report ->> ''ordinal'')::int = c.ordinal AND a.report ->> ''worker'' = c.worker,'
            ' generate_series(0, cardinality(c.rows) - 1) AS p (n)'
            ' WHERE c.generation >= $1'
            '  AND (jsonb_typeof(a.report -> ''done'') IS DISTINCT FROM ''array'' '
            '       OR a.report -> ''done'' @> to_jsonb(p.n))'
            '  AND NOT coalesce(a.report -> ''released'' @> to_jsonb(p.n), false)'
            '  AND NOT EXISTS (SELECT FROM jsonb_array_elements(a.report -> ''failed'') AS f'
            '                  WHERE (f ->> ''position'')::int = p.n)'
            '  AND NOT EXISTS (SELECT FROM howdah.%2$I AS s WHERE s.generation = c.generation'
            '                  AND s.ordinal = c.ordinal AND s.row_id = c.rows[p.n + 1]'
            '                  AND s.revoked)',
            format('queue_%s$ledger$%s', its.name, half),
            format('queue_%s$settled$%s', its.name, half),
            format('queue_%s$claim$%s', its.name, half))
        USING floor;
    END LOOP;
    CREATE INDEX ON pg_temp.howdah_finished (row_id);
    DROP TABLE pg_temp.howdah_acks;
END
$$;
