-- name: create_role
-- purpose: a role for one test
CREATE ROLE {role} LOGIN

-- name: grant_role
-- purpose: make the test's role a member of another
GRANT {granted} TO {role}

-- name: prepared
-- purpose: the prepared transactions of this database, which keep it from being dropped
SELECT p.gid
FROM pg_catalog.pg_prepared_xacts AS p
WHERE p.database = pg_catalog.current_database()

-- name: rollback_prepared
-- purpose: end a prepared transaction that a test left
ROLLBACK PREPARED {gid}

-- name: end_slot_users
-- purpose: end the sessions that use a slot of this database
SELECT pg_catalog.pg_terminate_backend(s.active_pid, 5000)
FROM pg_catalog.pg_replication_slots AS s
WHERE s.database = pg_catalog.current_database() AND s.active_pid IS NOT NULL

-- name: slots
-- purpose: the replication slots of this database, which keep it from being dropped
SELECT s.slot_name
FROM pg_catalog.pg_replication_slots AS s
WHERE s.database = pg_catalog.current_database()

-- name: drop_slot
-- purpose: drop a replication slot that a test left
SELECT pg_catalog.pg_drop_replication_slot(%(slot)s)

-- name: drop_owned
-- purpose: revoke what a role may do here and drop what it owns here
DROP OWNED BY {role} CASCADE

-- name: drop_role
-- purpose: remove the role of a test that is over
DROP ROLE IF EXISTS {role}
