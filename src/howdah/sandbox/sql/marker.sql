-- The marker is a comment on the database. It names the cluster and the database itself, so that a
-- comment which travelled (a dump restored elsewhere, a copied comment) does not count.

-- name: here
-- purpose: who this database is, and the comment that it carries
SELECT pg_catalog.current_database()::text AS name,
       d.oid::bigint AS oid,
       s.system_identifier::text AS system_identifier,
       pg_catalog.shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_catalog.pg_database d
 CROSS JOIN pg_catalog.pg_control_system() s
 WHERE d.datname = pg_catalog.current_database()

-- name: comment_on_database
-- purpose: write the comment; both places are filled by psycopg.sql
COMMENT ON DATABASE {database} IS {comment}
