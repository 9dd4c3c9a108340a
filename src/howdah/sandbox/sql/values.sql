-- One expression per type: the value in row {n}, a bigint that counts from 0. Distinct rows get
-- distinct values as far as the type has them. The places are filled by psycopg.sql.

-- name: smallint
-- purpose: 1 to 32767, then again
(1 + {n} % 32767)::smallint

-- name: integer
-- purpose: 1, 2, 3
(1 + {n} % 2147483647)::integer

-- name: number
-- purpose: 1, 2, 3 for bigint, floating point, oid and unbounded numeric
1 + {n}

-- name: decimal
-- purpose: 1, 2, 3 within the digits before the point
1 + {n} % {limit}

-- name: fraction
-- purpose: between 0 and 1, where there are no digits before the point
({n} % {count})::numeric / {count}

-- name: digits
-- purpose: 1, 2, 3 for a type that only a text is cast to
(1 + {n})::text

-- name: text
-- purpose: a short text
'v' || (1 + {n})

-- name: short
-- purpose: a text of limited length
pg_catalog.right((1 + {n})::text, {length})

-- name: boolean
-- purpose: yes and no in turn
{n} % 2 = 0

-- name: timestamp
-- purpose: a minute apart, oldest first
timestamp '2025-01-01 00:00' + {n} * interval '1 minute'

-- name: timestamptz
-- purpose: a minute apart, oldest first
timestamptz '2025-01-01 00:00+00' + {n} * interval '1 minute'

-- name: date
-- purpose: days of a century
date '2000-01-01' + ({n} % 36500)::integer

-- name: time
-- purpose: seconds of a day
time '00:00' + ({n} % 86400) * interval '1 second'

-- name: interval
-- purpose: seconds
(1 + {n}) * interval '1 second'

-- name: uuid
-- purpose: scattered, as version 4 is
pg_catalog.md5({n}::text)::uuid

-- name: json
-- purpose: a small document
pg_catalog.jsonb_build_object('id', {n}, 'name', 'v' || {n})

-- name: xml
-- purpose: a small document
'<v>' || {n} || '</v>'

-- name: bytea
-- purpose: eight bytes
pg_catalog.int8send({n})

-- name: inet
-- purpose: addresses of one private network
inet '10.0.0.0' + {n} % 16777216

-- name: cidr
-- purpose: single addresses of one private network
pg_catalog.network(inet '10.0.0.0' + {n} % 16777216)

-- name: macaddr
-- purpose: counted up
pg_catalog.lpad(pg_catalog.to_hex({n}), 12, '0')

-- name: macaddr8
-- purpose: counted up
pg_catalog.lpad(pg_catalog.to_hex({n}), 16, '0')

-- name: bits
-- purpose: the binary digits
pg_catalog.right({n}::bit(64)::text, {length})

-- name: lsn
-- purpose: a position in the WAL
pg_lsn '0/1' + {n}

-- name: words
-- purpose: one word for text search
'w' || {n}

-- name: point
-- purpose: on the diagonal
pg_catalog.point({n}, {n})

-- name: box
-- purpose: unit boxes on the diagonal
pg_catalog.box(pg_catalog.point({n}, {n}), pg_catalog.point({n} + 1, {n} + 1))

-- name: circle
-- purpose: unit circles on the diagonal
pg_catalog.circle(pg_catalog.point({n}, {n}), 1)

-- name: numbers
-- purpose: ranges of numbers side by side
'[' || 2 * {n} || ',' || (2 * {n} + 1) || ']'

-- name: days
-- purpose: ranges of days or of time side by side
'[' || (date '2000-01-01' + (2 * {n} % 36500)::integer) || ','
    || (date '2000-01-01' + (2 * {n} % 36500 + 1)::integer) || ')'

-- name: multirange
-- purpose: around a range
'{{' || ({range}) || '}}'

-- name: label
-- purpose: the labels of an enumeration in turn
(pg_catalog.enum_range(NULL::{type}))[1 + {n} % {count}]

-- name: listed
-- purpose: the values that a check constraint lists, in turn
(ARRAY[{values}])[1 + {n} % {count}]

-- name: bounded
-- purpose: the whole numbers between the bounds of a check constraint
{low} + {n} % {count}

-- name: array
-- purpose: an array of one
ARRAY[{element}]

-- name: within
-- purpose: spread over a range partition: any type with a difference that can be multiplied
{low}::{type} + ({high}::{type} - {low}::{type}) * (({n} % 1000) / 1000.0)

-- name: within_whole
-- purpose: spread over a range partition: whole numbers and days
{low}::{type} + ({n} % ({high}::{type} - {low}::{type})::bigint)::integer

-- name: above
-- purpose: in a range partition that is open above, or for a type without differences
{low}::{type}

-- name: below_whole
-- purpose: in a range partition that is open below: whole numbers and days
{high}::{type} - (1 + {n})::integer

-- name: below
-- purpose: in a range partition that is open below: points in time
{high}::{type} - (1 + {n}) * interval '1 minute'

-- name: cast
-- purpose: the value as the column's own type
({value})::{column_type}
