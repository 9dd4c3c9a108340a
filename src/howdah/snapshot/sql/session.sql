-- Transactions of ours: short, read-only, and never waiting long for anybody.

-- name: begin
-- purpose: one moment for all that is read inside
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: begin_short
-- purpose: a moment of its own for one measurement
BEGIN READ ONLY

-- name: mark
-- purpose: before each fact, a place to return to and what is left of our patience
SAVEPOINT fact; SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}

-- name: keep
-- purpose: after a fact was read
RELEASE SAVEPOINT fact

-- name: forget
-- purpose: after a fact failed, so that the next one can be read
ROLLBACK TO SAVEPOINT fact; RELEASE SAVEPOINT fact

-- name: end
-- purpose: give the snapshot back
COMMIT
