-- The ledger: which migrations of which component this database has had.
CREATE TABLE howdah.installed (
  component pg_catalog.text NOT NULL,
  version pg_catalog.int4 NOT NULL CHECK (version > 0),
  phase pg_catalog.text NOT NULL CHECK (phase IN ('expand', 'contract')),
  what pg_catalog.text NOT NULL,
  requires pg_catalog.text[] NOT NULL,
  objects pg_catalog.text[] NOT NULL,
  library pg_catalog.text NOT NULL,
  installed_by pg_catalog.text NOT NULL DEFAULT session_user,
  installed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (component, version)
);

COMMENT ON TABLE howdah.installed IS
  'One row per migration that was run here. objects: what it made in schema howdah.';
