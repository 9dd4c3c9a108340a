-- name: schema
-- purpose: the tables of a small shop, as many shops have them
CREATE SCHEMA shop;

CREATE TABLE shop.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE shop.warehouses (
  id int PRIMARY KEY,
  name text NOT NULL
);

CREATE TABLE shop.products (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  title text NOT NULL,
  attributes jsonb NOT NULL
);
CREATE INDEX products_attributes ON shop.products USING gin (attributes);
CREATE EXTENSION pg_trgm WITH SCHEMA shop;
CREATE INDEX products_title ON shop.products USING gin (title shop.gin_trgm_ops);

CREATE TABLE shop.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES shop.customers ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'new',
  total numeric(12,2) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer ON shop.orders (customer_id);
CREATE INDEX orders_customer_created ON shop.orders (customer_id, created_at);

CREATE TABLE shop.order_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id bigint NOT NULL REFERENCES shop.orders ON DELETE CASCADE,
  product_id bigint NOT NULL REFERENCES shop.products,
  warehouse_id int NOT NULL REFERENCES shop.warehouses,
  quantity int NOT NULL
);
CREATE INDEX order_items_product ON shop.order_items (product_id);
CREATE INDEX order_items_warehouse ON shop.order_items (warehouse_id);

CREATE TABLE shop.outbox (
  id serial PRIMARY KEY,
  topic text NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamp NOT NULL DEFAULT now(),
  published_at timestamp
);
CREATE INDEX outbox_unpublished ON shop.outbox (created_at) WHERE published_at IS NULL;

CREATE TABLE shop.visits (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  customer_id bigint NOT NULL,
  page text NOT NULL
);

CREATE TABLE shop.carts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint NOT NULL,
  content jsonb NOT NULL
) WITH (autovacuum_enabled = false);

CREATE TABLE shop.events (
  happened_at timestamptz NOT NULL,
  kind text NOT NULL,
  detail text
) PARTITION BY RANGE (happened_at);

CREATE TABLE shop.audit (
  at timestamptz NOT NULL DEFAULT now(),
  who text NOT NULL,
  what text NOT NULL
);

CREATE SEQUENCE shop.shipment_numbers;
CREATE TABLE shop.shipments (
  number int PRIMARY KEY DEFAULT nextval('shop.shipment_numbers'),
  order_id bigint NOT NULL,
  weight_grams int NOT NULL
);

-- name: partition
-- purpose: one month of events, its offset in months from now
SELECT pg_catalog.format(
  'CREATE TABLE shop.%%I PARTITION OF shop.events FOR VALUES FROM (%%L) TO (%%L)',
  'events_' || pg_catalog.to_char(month, 'YYYY_MM'), month, month + interval '1 month')
FROM (SELECT pg_catalog.date_trunc('month', pg_catalog.now())
             + %(offset)s * interval '1 month' AS month) AS months

-- name: rows
-- purpose: enough rows that sizes mean something
INSERT INTO shop.customers (email) SELECT 'customer' || n || '@example.com'
FROM generate_series(1, 20000) AS n;
INSERT INTO shop.warehouses SELECT n, 'warehouse ' || n FROM generate_series(1, 4) AS n;
INSERT INTO shop.products (title, attributes)
SELECT 'product number ' || n,
  jsonb_build_object('sku', 'SKU-' || n, 'color', (ARRAY['red','green','blue'])[1 + n % 3],
                     'tags', jsonb_build_array('t' || n % 50, 't' || n % 7))
FROM generate_series(1, 20000) AS n;
INSERT INTO shop.orders (customer_id, status, total, created_at)
SELECT 1 + n * 7919 % 20000, (ARRAY['new','paid','sent','done'])[1 + n % 4], n % 500,
  now() - n * interval '20 seconds'
FROM generate_series(1, 60000) AS n;
INSERT INTO shop.order_items (order_id, product_id, warehouse_id, quantity)
SELECT 1 + n % 60000, 1 + n * 31 % 20000, 1 + n % 4, 1 + n % 5
FROM generate_series(1, 150000) AS n;
INSERT INTO shop.events SELECT now() - n * interval '40 seconds', 'view', 'page ' || n % 100
FROM generate_series(1, 60000) AS n;
INSERT INTO shop.audit (who, what) SELECT 'user' || n % 20, 'changed ' || n
FROM generate_series(1, 5000) AS n;
INSERT INTO shop.carts (customer_id, content) SELECT n, '{"items": []}'
FROM generate_series(1, 20000) AS n;
SELECT setval('shop.shipment_numbers', 2140000000);
INSERT INTO shop.shipments (order_id, weight_grams) SELECT n, n % 3000
FROM generate_series(1, 5000) AS n;

-- name: settle
-- purpose: what autovacuum would have done by now; the partitioned parent it never does
VACUUM (ANALYZE)
  shop.customers, shop.warehouses, shop.products, shop.orders, shop.order_items, shop.visits,
  shop.audit, shop.shipments

-- name: not_valid
-- purpose: a check that was added in a hurry and never validated
ALTER TABLE shop.orders ADD CONSTRAINT orders_total_positive CHECK (total >= 0) NOT VALID;

-- name: publish
-- purpose: a publication of tables that lack a replica identity
CREATE PUBLICATION shop_changes FOR TABLE shop.audit, shop.orders;

-- name: duplicate_mails
-- purpose: a unique build that must fail, because two audit rows say the same
CREATE UNIQUE INDEX CONCURRENTLY audit_who ON shop.audit (who);
