-- name: tables
-- purpose: tables first..last, each with a primary key, so two relations each; one transaction
DO $$
BEGIN
  FOR n IN {first}..{last} LOOP
    EXECUTE pg_catalog.format(
      'CREATE TABLE bench.t%s (id bigint PRIMARY KEY, parent bigint, name text, at timestamptz)', n);
  END LOOP;
END $$

-- name: bare
-- purpose: the least that any collector must read, as the server alone takes it
SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.length(relation::text))
FROM pg_catalog.pg_class AS relation
UNION ALL
SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.length(attribute::text))
FROM pg_catalog.pg_attribute AS attribute
UNION ALL
SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.length(statistics::text))
FROM pg_catalog.pg_stat_all_tables AS statistics
UNION ALL
SELECT pg_catalog.count(*),
  pg_catalog.sum(pg_catalog.length(pg_catalog.pg_get_indexdef(indexrelid)))
FROM pg_catalog.pg_index
