-- name: set
-- purpose: one setting of the sandbox's server
ALTER SYSTEM SET {name} = {value}

-- name: reset
-- purpose: take that back
ALTER SYSTEM RESET {name}

-- name: reload
-- purpose: make the server read its settings
SELECT pg_catalog.pg_reload_conf()

-- name: break_index
-- purpose: leave an index as a build that failed would leave it
UPDATE pg_catalog.pg_index SET indisvalid = false
WHERE indexrelid = %(index)s::pg_catalog.regclass

-- name: vacuum
-- purpose: take the dead rows of a table away and leave their room
VACUUM {table}
