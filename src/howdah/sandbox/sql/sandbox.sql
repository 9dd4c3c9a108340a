-- name: exists
-- purpose: whether the server has that database
SELECT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = %(name)s)

-- name: use_search_path
-- purpose: what unqualified names in statements mean, for this session
SELECT pg_catalog.set_config('search_path', %(search_path)s, false)

-- name: keep_search_path
-- purpose: the same for every later session; filled by psycopg.sql
ALTER DATABASE {database} SET search_path FROM CURRENT

-- name: create_libc
-- purpose: a database with a collation of the C library; filled by psycopg.sql
CREATE DATABASE {name} TEMPLATE template0
       ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype}

-- name: create_icu
-- purpose: a database with a collation of ICU (15 and later); filled by psycopg.sql
CREATE DATABASE {name} TEMPLATE template0
       ENCODING {encoding} LOCALE_PROVIDER icu ICU_LOCALE {locale} LOCALE 'C'

-- name: create_builtin
-- purpose: a database with a builtin collation (17 and later); filled by psycopg.sql
CREATE DATABASE {name} TEMPLATE template0
       ENCODING {encoding} LOCALE_PROVIDER builtin BUILTIN_LOCALE {locale} LOCALE 'C'
