-- Reading what is installed, and the fixed parts of every change. Braces are filled by psycopg.sql.

-- name: prelude
-- purpose: one change at a time, short waits, no name without its schema; for this transaction only
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = {lock_timeout};
SET LOCAL search_path = '';
SET LOCAL client_min_messages = 'warning';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_catalog.pg_advisory_xact_lock({key});

-- name: here
-- purpose: the database, who we are in it, what we may do there, and what there is already
SELECT pg_catalog.current_database()::pg_catalog.text AS database,
       r.rolname::pg_catalog.text AS "user",
       pg_catalog.pg_is_in_recovery() AS standby,
       pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool AS read_only,
       r.rolsuper AS superuser,
       r.rolsuper OR r.rolcreaterole AS may_create_roles,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
         AS may_create_schema,
       pg_catalog.pg_get_userbyid(n.nspowner)::pg_catalog.text AS schema_owner,
       COALESCE(pg_catalog.pg_has_role(n.nspowner, %(become)s), false) AS may_be_schema_owner,
       EXISTS (
         SELECT FROM pg_catalog.pg_depend AS d
         WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
           AND d.refobjid = n.oid
       ) AS occupied,
       4 = (
         SELECT pg_catalog.count(*)
         FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
         WHERE c.relnamespace = n.oid AND c.relname = 'installed' AND c.relkind = 'r'
           AND a.attname IN ('component', 'version', 'phase', 'objects') AND NOT a.attisdropped
       ) AS ledger,
       ARRAY(
         SELECT o.rolname::pg_catalog.text
         FROM pg_catalog.pg_roles AS o
         WHERE o.rolname = ANY (%(roles)s::pg_catalog.text[])
         ORDER BY o.rolname
       ) AS roles,
       EXISTS (
         SELECT FROM pg_catalog.pg_roles AS o
         WHERE o.rolname = %(owner)s AND pg_catalog.pg_has_role(o.oid, %(become)s)
       ) AS may_be_owner_role,
       n.oid IS NOT NULL AND EXISTS (
         SELECT FROM pg_catalog.aclexplode(n.nspacl) AS acl
         JOIN pg_catalog.pg_roles AS o ON o.oid = acl.grantee
         WHERE o.rolname = 'howdah_reader'
       ) AS granted
FROM pg_catalog.pg_roles AS r
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'howdah'
WHERE r.rolname = current_user

-- name: applied
-- purpose: the migrations that this database has had
SELECT i.component, i.version, i.phase
FROM howdah.installed AS i
ORDER BY i.component, i.version

-- name: create_roles
-- purpose: the roles of the cluster; another database's installation may be making them just now
DO $body$
DECLARE
  name pg_catalog.text;
BEGIN
  FOREACH name IN ARRAY {names}::pg_catalog.text[] LOOP
    BEGIN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
END
$body$

-- name: create_role
-- purpose: what a DBA is asked to run where we may not
CREATE ROLE {name} NOLOGIN

-- name: join_owner
-- purpose: whoever made the owner role must be able to become it
GRANT {owner} TO CURRENT_USER

-- name: create_schema
-- purpose: the schema in which everything lives
CREATE SCHEMA howdah AUTHORIZATION {owner}

-- name: become
-- purpose: what is made from here on belongs to the schema's owner
SET LOCAL ROLE {owner}

-- name: record
-- purpose: write down what was run, and which objects of the schema this transaction made for it
INSERT INTO howdah.installed (component, version, phase, what, requires, objects, library)
SELECT {component}, new.version, new.phase, {what}, {requires},
       CASE WHEN new.version = {last} THEN ARRAY(
         SELECT o.type || ' ' || o.identity
         FROM pg_catalog.pg_depend AS d
         CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o
         WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
           AND d.refobjid = 'howdah'::pg_catalog.regnamespace
           AND d.xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid
         EXCEPT
         SELECT known.object
         FROM howdah.installed AS i
         CROSS JOIN LATERAL pg_catalog.unnest(i.objects) AS known (object)
       ) ELSE '{{}}' END,
       {library}
FROM ROWS FROM (
  pg_catalog.unnest({versions}::pg_catalog.int4[]), pg_catalog.unnest({phases}::pg_catalog.text[])
) AS new (version, phase)

-- name: close_to_public
-- purpose: a new function may be called by everybody who sees the schema, until somebody forbids it
DO $body$
DECLARE
  routine pg_catalog.regprocedure;
BEGIN
  FOR routine IN
    SELECT p.oid
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = 'howdah' AND p.proowner = n.nspowner
      AND (
        p.proacl IS NULL
        OR EXISTS ( -- made just now, with rights by ALTER DEFAULT PRIVILEGES
          SELECT FROM howdah.installed AS i
          CROSS JOIN LATERAL pg_catalog.pg_identify_object(
            'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0
          ) AS o
          WHERE i.xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid
            AND o.type || ' ' || o.identity = ANY (i.objects)
        )
      )
  LOOP
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routine);
  END LOOP;
END
$body$

-- name: blockers
-- purpose: who has held a lock on something of ours, or on an installation, for that long
SELECT DISTINCT l.pid,
       COALESCE(a.application_name, '') AS application,
       COALESCE(a.usename::pg_catalog.text, '') AS "user",
       COALESCE(a.state, '') AS state,
       p.gid::pg_catalog.text AS prepared
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks AS x
  ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
 AND x.locktype = 'transactionid' -- a prepared transaction has no process, but locks its own id
LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = x.transactionid
WHERE l.granted
  AND l.database = (
    SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
  )
  AND (
    n.nspname = 'howdah'
    OR (l.locktype = 'advisory' AND l.objsubid = 1
        AND (l.classid::pg_catalog.int8 << 32) + l.objid::pg_catalog.int8 = %(key)s)
  )
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
  AND COALESCE(a.xact_start, p.prepared, '-infinity')
      <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %(seconds)s)
ORDER BY l.pid

-- name: ledger_here
-- purpose: whether the ledger is there, and whether we may read it; never fails
SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_namespace AS n
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid
WHERE n.nspname = 'howdah' AND c.relname = 'installed' AND c.relkind = 'r'

-- name: versions_of
-- purpose: the migrations that one component has had
SELECT i.version, i.phase
FROM howdah.installed AS i
WHERE i.component = %(component)s

-- name: objects
-- purpose: everything in the schema, the newest first, with the component whose script made it
SELECT o.type, o.identity,
       COALESCE(c.relname, p.proname, t.typname)::pg_catalog.text AS name,
       pg_catalog.format(
         'DROP %%s IF EXISTS %%s',
         CASE o.type WHEN 'composite type' THEN 'TYPE' ELSE pg_catalog.upper(o.type) END,
         o.identity
       ) AS statement,
       made.component,
       COALESCE(pg_catalog.pg_has_role(
         COALESCE(c.relowner, p.proowner, t.typowner), n.nspowner, 'MEMBER'
       ), false) AS of_ours,
       COALESCE(c.relkind IN ('r', 'p'), false) AS is_table,
       COALESCE(pg_catalog.has_table_privilege(c.oid, 'DELETE'), false) AS may_lock
FROM pg_catalog.pg_namespace AS n
JOIN pg_catalog.pg_depend AS d
  ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid
 AND d.deptype = 'n'
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o
LEFT JOIN pg_catalog.pg_class AS c
  ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
LEFT JOIN pg_catalog.pg_proc AS p
  ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
LEFT JOIN pg_catalog.pg_type AS t
  ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
LEFT JOIN LATERAL (
  SELECT i.component
  FROM howdah.installed AS i
  WHERE o.type || ' ' || o.identity = ANY (i.objects)
  ORDER BY i.installed_at DESC
  LIMIT 1
) AS made ON true
WHERE n.nspname = 'howdah'
ORDER BY d.objid DESC

-- name: dependents
-- purpose: other components that require one of these
SELECT DISTINCT i.component
FROM howdah.installed AS i
WHERE i.requires && %(components)s::pg_catalog.text[]
  AND i.component <> ALL (%(components)s::pg_catalog.text[])
ORDER BY i.component

-- name: workers
-- purpose: sessions of our own processes in this database, which name themselves
SELECT a.pid, a.application_name
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = pg_catalog.current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.application_name LIKE ANY (%(names)s::pg_catalog.text[])
ORDER BY a.pid

-- name: estimated
-- purpose: how many rows tables hold, by the server's estimates, and their bytes
SELECT c.relname::pg_catalog.text AS name,
       GREATEST(c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid), 1)::pg_catalog.int8 AS rows,
       pg_catalog.pg_total_relation_size(c.oid) AS bytes,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_look
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'howdah' AND c.relname = ANY (%(names)s::pg_catalog.text[])
  AND c.relkind = 'r' AND pg_catalog.pg_relation_size(c.oid) > 0
ORDER BY 3 DESC, 1

-- name: any_row
-- purpose: whether a table holds anything
SELECT EXISTS (SELECT FROM howdah.{table})

-- name: lock_tables
-- purpose: nobody may write any more, so that what is looked at is what is dropped
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE

-- name: forget
-- purpose: take removed components out of the ledger
DELETE FROM howdah.installed WHERE component = ANY ({components}::pg_catalog.text[])

-- name: drop_schema
-- purpose: the schema itself, which must be empty by now
DROP SCHEMA howdah
