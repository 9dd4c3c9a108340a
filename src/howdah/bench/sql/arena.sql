-- name: may_create_database
-- purpose: whether this role may make a database of our own
SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user

-- name: create_database
-- purpose: a database of our own, empty
CREATE DATABASE {name} TEMPLATE template0

-- name: drop_database
-- purpose: remove it with whatever is still connected
DROP DATABASE IF EXISTS {name} WITH (FORCE)

-- name: create_schema
-- purpose: where systems without a schema of their own are installed
CREATE SCHEMA {name}

-- name: drop_schema
-- purpose: remove what a contender made
DROP SCHEMA IF EXISTS {name} CASCADE

-- name: present_schemas
-- purpose: which of these schemas are there already
SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY (%(schemas)s) ORDER BY nspname

-- name: present_roles
-- purpose: which of these roles are there already
SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY (%(roles)s) ORDER BY rolname

-- name: drop_role
-- purpose: remove a role that a contender's installer made
DROP ROLE IF EXISTS {name}
