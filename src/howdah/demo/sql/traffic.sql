-- name: place_order
-- purpose: an order with items, and its event in the outbox, in one transaction
WITH placed AS (
  INSERT INTO shop.orders (customer_id, total) VALUES (%(customer)s, %(total)s) RETURNING id
), items AS (
  INSERT INTO shop.order_items (order_id, product_id, warehouse_id, quantity)
  SELECT placed.id, 1 + (%(customer)s * 13 + n * 17) %% 20000, 1 + n %% 2, 1
  FROM placed, generate_series(1, 3) AS n
)
INSERT INTO shop.outbox (topic, payload)
SELECT 'order-placed', jsonb_build_object('order', placed.id) FROM placed

-- name: reserve
-- purpose: items of an order in a transaction of their own, so that warehouse rows are shared
INSERT INTO shop.order_items (order_id, product_id, warehouse_id, quantity)
VALUES (%(order)s, %(product)s, %(warehouse)s, 1)

-- name: publish_batch
-- purpose: the publisher, as it is usually written
WITH batch AS (
  SELECT id FROM shop.outbox WHERE published_at IS NULL
  ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED
)
UPDATE shop.outbox SET published_at = now() FROM batch WHERE outbox.id = batch.id

-- name: find_by_sku
-- purpose: a search that the GIN index on attributes cannot serve
SELECT id, title FROM shop.products WHERE attributes->>'sku' = %(sku)s

-- name: visit
-- purpose: a page view under a random key
INSERT INTO shop.visits (customer_id, page)
SELECT %(customer)s, 'page ' || n FROM generate_series(1, 20) AS n

-- name: fill_cart
-- purpose: updates of a table whose autovacuum is off
UPDATE shop.carts SET content = content || jsonb_build_object('item', %(product)s::int)
WHERE id BETWEEN %(cart)s AND %(cart)s + 5

-- name: add_product
-- purpose: inserts that grow the pending lists of two GIN indexes
INSERT INTO shop.products (title, attributes)
VALUES ('new product ' || %(product)s, jsonb_build_object('sku', 'NEW-' || %(product)s))

-- name: forget_customer
-- purpose: a deletion that cascades into two child tables
DELETE FROM shop.customers WHERE id = %(customer)s

-- name: customer_orders
-- purpose: what a customer sees after signing in
SELECT id, status, total FROM shop.orders
WHERE customer_id = %(customer)s ORDER BY created_at DESC LIMIT 10

-- name: ship
-- purpose: a shipment, its number drawn from the sequence
INSERT INTO shop.shipments (order_id, weight_grams) VALUES (%(order)s, 500)

-- name: hold
-- purpose: the report that somebody left open: one snapshot, then silence
SELECT count(*) FROM shop.orders

-- name: back_up
-- purpose: what the nightly backup begins with; it makes the server's control file current
CHECKPOINT
