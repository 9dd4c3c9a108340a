"""Jobs: work to do once, on the log.

Owns dispatching, attempts, leases and schedules. Must never update a row of a hot table.
"""
