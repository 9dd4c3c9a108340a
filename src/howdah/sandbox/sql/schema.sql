-- name: locale [-14]
-- purpose: encoding and collation of the connected database, and the search_path set for it
SELECT pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
       'c' AS provider,
       d.datcollate::text AS collate,
       d.datctype::text AS ctype,
       NULL::text AS locale,
       (SELECT pg_catalog.split_part(setting, '=', 2)
          FROM pg_catalog.pg_db_role_setting s
         CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting
         WHERE s.setdatabase = d.oid AND s.setrole = 0 AND setting LIKE 'search\_path=%'
       ) AS search_path
  FROM pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()

-- name: locale [15-16]
-- purpose: encoding and collation of the connected database, and the search_path set for it
SELECT pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
       d.datlocprovider::text AS provider,
       d.datcollate::text AS collate,
       d.datctype::text AS ctype,
       d.daticulocale::text AS locale,
       (SELECT pg_catalog.split_part(setting, '=', 2)
          FROM pg_catalog.pg_db_role_setting s
         CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting
         WHERE s.setdatabase = d.oid AND s.setrole = 0 AND setting LIKE 'search\_path=%'
       ) AS search_path
  FROM pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()

-- name: locale [17-]
-- purpose: encoding and collation of the connected database, and the search_path set for it
SELECT pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
       d.datlocprovider::text AS provider,
       d.datcollate::text AS collate,
       d.datctype::text AS ctype,
       d.datlocale::text AS locale,
       (SELECT pg_catalog.split_part(setting, '=', 2)
          FROM pg_catalog.pg_db_role_setting s
         CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting
         WHERE s.setdatabase = d.oid AND s.setrole = 0 AND setting LIKE 'search\_path=%'
       ) AS search_path
  FROM pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()

-- name: tables
-- purpose: every table that pg_dump locks
SELECT n.nspname::text AS schema, c.relname::text AS name
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
 ORDER BY c.oid

-- name: look_at
-- purpose: what pg_dump does first to a table; filled by psycopg.sql
LOCK TABLE {table} IN ACCESS SHARE MODE

-- name: prepare_load
-- purpose: a loading session: bodies of functions are not checked, nothing waits, nothing translates
SELECT pg_catalog.set_config('check_function_bodies', 'off', false),
       pg_catalog.set_config('client_min_messages', 'error', false),
       pg_catalog.set_config('lc_messages', 'C', false)

-- name: extension_available
-- purpose: whether the server's installation has that extension
SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions e WHERE e.name = %(name)s)

-- name: role_exists
-- purpose: whether the cluster knows that role
SELECT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = %(name)s)

-- name: collation_exists
-- purpose: whether a collation of that name can be found
SELECT pg_catalog.to_regcollation(%(name)s) IS NOT NULL

-- name: create_role
-- purpose: a role that can do nothing, for policies that name it; filled by psycopg.sql
CREATE ROLE {role} NOLOGIN

-- name: create_collation
-- purpose: a stand-in for a collation that this build does not have; filled by psycopg.sql
CREATE COLLATION {collation} (PROVIDER = libc, LOCALE = {locale})

-- name: create_wrapper
-- purpose: a foreign data wrapper without a handler: it reaches nothing
CREATE FOREIGN DATA WRAPPER howdah_nowhere

-- name: create_server
-- purpose: a foreign server that leads nowhere; filled by psycopg.sql
CREATE SERVER {server} FOREIGN DATA WRAPPER howdah_nowhere

-- name: lock_timeout
-- purpose: wait no longer than pg_dump did, for this transaction
SELECT pg_catalog.set_config('lock_timeout', %(milliseconds)s, true)
