-- Transactions of ours: short, read-only, and never waiting long for anybody. Each statement ends
-- with our marker, by which `statements` leaves it out.

-- name: begin
-- purpose: one moment for all that is read inside
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY /* howdah */

-- name: begin_short
-- purpose: a moment of its own for one measurement
BEGIN READ ONLY /* howdah */

-- name: mark
-- purpose: before each fact, a place to return to and what is left of our patience
SAVEPOINT fact /* howdah */;
SET LOCAL statement_timeout = {statement} /* howdah */;
SET LOCAL lock_timeout = {lock} /* howdah */

-- name: keep
-- purpose: after a fact was read
RELEASE SAVEPOINT fact /* howdah */

-- name: forget
-- purpose: after a fact failed, so that the next one can be read
ROLLBACK TO SAVEPOINT fact /* howdah */;
RELEASE SAVEPOINT fact /* howdah */

-- name: end
-- purpose: give the snapshot back
COMMIT /* howdah */
