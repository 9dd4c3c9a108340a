-- name: create
-- purpose: its queue
SELECT pgque.create_queue(%(queue)s)

-- name: eager
-- purpose: every tick takes what is there, instead of waiting for 500 events or 3 seconds
SELECT pgque.set_queue_config(%(queue)s, 'ticker_max_lag', '1 millisecond')

-- name: subscribe
-- purpose: its one consumer
SELECT pgque.subscribe(%(queue)s, %(consumer)s)

-- name: send
-- purpose: one event
SELECT pgque.send(%(queue)s, %(item)s::pg_catalog.jsonb)

-- name: send_batch
-- purpose: a batch of events in one statement
SELECT pg_catalog.array_length(
  pgque.send_batch(%(queue)s, 'default', %(items)s::pg_catalog.jsonb[]), 1)

-- name: tick
-- purpose: close the batch that readers may see
SELECT pgque.ticker(%(queue)s)

-- name: settle
-- purpose: one more tick, so that what was sent since the last one is counted
SELECT coalesce(pgque.ticker(%(queue)s), 0)

-- name: receive
-- purpose: the events between two ticks
SELECT batch_id, payload FROM pgque.receive(%(queue)s, %(consumer)s, %(size)s)

-- name: ack
-- purpose: acknowledge the batch
SELECT pgque.ack(%(batch)s)

-- name: unfinished
-- purpose: events after the consumer's position
SELECT pending_events FROM pgque.get_consumer_info(%(queue)s, %(consumer)s)
