"""An append-only log on plain tables: emit in your transaction, read by snapshots.

Owns segments, cursors and windows. Must never update or delete a row.
"""
