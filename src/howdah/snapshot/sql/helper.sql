-- What `howdah doctor` prints for an administrator to run; Howdah itself never runs it.

-- name: column_statistics_view
-- purpose: let a role see the shape of column statistics without any value of any row
CREATE SCHEMA IF NOT EXISTS howdah;
CREATE OR REPLACE VIEW howdah.column_statistics AS
SELECT
  s.starelid AS relation, s.staattnum AS number, s.stainherit AS inherited,
  s.stanullfrac::float8 AS null_fraction, s.stawidth AS average_width,
  s.stadistinct::float8 AS n_distinct,
  CASE 3
    WHEN s.stakind1 THEN s.stanumbers1[1]
    WHEN s.stakind2 THEN s.stanumbers2[1]
    WHEN s.stakind3 THEN s.stanumbers3[1]
    WHEN s.stakind4 THEN s.stanumbers4[1]
    WHEN s.stakind5 THEN s.stanumbers5[1]
  END::float8 AS correlation,
  coalesce(pg_catalog.cardinality(m.frequencies), 0) AS most_common_count,
  coalesce((SELECT pg_catalog.sum(u.f) FROM pg_catalog.unnest(m.frequencies) AS u (f)), 0)::float8
    AS most_common_total,
  coalesce(CASE 2
    WHEN s.stakind1 THEN pg_catalog.array_length(s.stavalues1, 1)
    WHEN s.stakind2 THEN pg_catalog.array_length(s.stavalues2, 1)
    WHEN s.stakind3 THEN pg_catalog.array_length(s.stavalues3, 1)
    WHEN s.stakind4 THEN pg_catalog.array_length(s.stavalues4, 1)
    WHEN s.stakind5 THEN pg_catalog.array_length(s.stavalues5, 1)
  END, 0) AS histogram_bounds
FROM pg_catalog.pg_statistic AS s
CROSS JOIN LATERAL (
  SELECT CASE 1
    WHEN s.stakind1 THEN s.stanumbers1
    WHEN s.stakind2 THEN s.stanumbers2
    WHEN s.stakind3 THEN s.stanumbers3
    WHEN s.stakind4 THEN s.stanumbers4
    WHEN s.stakind5 THEN s.stanumbers5
  END AS frequencies
) AS m;
REVOKE ALL ON howdah.column_statistics FROM PUBLIC;
GRANT USAGE ON SCHEMA howdah TO {role};
GRANT SELECT ON howdah.column_statistics TO {role}
