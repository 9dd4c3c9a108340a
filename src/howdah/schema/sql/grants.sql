-- Everybody of ours may look into the schema and read which versions are installed.
GRANT USAGE ON SCHEMA howdah TO howdah_owner, howdah_worker, howdah_producer, howdah_reader;
GRANT SELECT ON howdah.installed TO howdah_owner, howdah_worker, howdah_producer, howdah_reader;
