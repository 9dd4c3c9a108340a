-- name: create
-- purpose: its queue, logged
SELECT pgmq.create(%(queue)s)

-- name: send
-- purpose: one message
SELECT * FROM pgmq.send(%(queue)s, %(item)s::pg_catalog.jsonb)

-- name: send_batch
-- purpose: a batch of messages in one statement
SELECT pg_catalog.count(*) FROM pgmq.send_batch(%(queue)s, %(items)s::pg_catalog.jsonb[])

-- name: read
-- purpose: take a batch and hide it from others for a while
SELECT msg_id, message FROM pgmq.read(%(queue)s, %(hidden)s, %(size)s)

-- name: delete
-- purpose: acknowledge a batch
SELECT pg_catalog.count(*) FROM pgmq.delete(%(queue)s, %(ids)s::pg_catalog.int8[])

-- name: unfinished
-- purpose: messages in the queue, hidden ones too
SELECT queue_length FROM pgmq.metrics(%(queue)s)
