"""What came, went or changed its name between 14 and 19, as data for the tests of traps.

Each entry says in which majors a name exists. A test asks real servers whether that is so; another
one reads our SQL and refuses a block that names something a server of its range does not have.
"""

from __future__ import annotations

from typing import NamedTuple

EVER = 99


class Name(NamedTuple):
    """A column of a relation, or a function (`relation` is then empty)."""

    trap: str
    relation: str
    name: str
    since: int = 14
    until: int = EVER


def _columns(
    trap: str, relation: str, names: str, since: int = 14, until: int = EVER
) -> list[Name]:
    return [Name(trap, relation, name, since, until) for name in names.split()]


NAMES = (
    *_columns(
        "T4",
        "pg_stat_bgwriter",
        "checkpoints_timed checkpoints_req checkpoint_write_time checkpoint_sync_time"
        " buffers_checkpoint buffers_backend buffers_backend_fsync",
        until=16,
    ),
    *_columns("T4", "pg_stat_checkpointer", "num_timed num_requested buffers_written", since=17),
    *_columns("T4", "pg_stat_checkpointer", "num_done slru_written", since=18),
    *_columns("T5", "pg_stat_wal", "wal_write wal_sync wal_write_time wal_sync_time", until=17),
    *_columns("T5", "pg_stat_io", "op_bytes", since=16, until=17),
    *_columns("T5", "pg_stat_io", "read_bytes write_bytes extend_bytes", since=18),
    *_columns("T6", "pg_stat_statements", "blk_read_time blk_write_time", until=16),
    *_columns(
        "T6",
        "pg_stat_statements",
        "shared_blk_read_time shared_blk_write_time local_blk_read_time stats_since"
        " minmax_stats_since",
        since=17,
    ),
    *_columns("T6", "pg_stat_statements", "temp_blk_read_time temp_blk_write_time", since=15),
    *_columns("T6", "pg_stat_statements", "parallel_workers_to_launch", since=18),
    *_columns("T7", "pg_stat_progress_vacuum", "max_dead_tuples num_dead_tuples", until=16),
    *_columns(
        "T7",
        "pg_stat_progress_vacuum",
        "max_dead_tuple_bytes dead_tuple_bytes num_dead_item_ids indexes_total",
        since=17,
    ),
    *_columns("T8", "pg_constraint", "conenforced conperiod", since=18),
    *_columns("T9", "pg_index", "indnullsnotdistinct", since=15),
    *_columns("T10", "pg_stat_all_tables", "n_tup_newpage_upd last_seq_scan last_idx_scan", 16),
    *_columns("T10", "pg_stat_all_indexes", "last_idx_scan", since=16),
    *_columns("T10", "", "pg_stat_get_tuples_newpage_updated pg_stat_get_lastscan", since=16),
    *_columns("T12", "", "pg_stat_force_next_flush", since=15),
)

CHANGED_SETTINGS_OF_19 = {
    "jit": "off",
    "default_toast_compression": "lz4",
    "max_locks_per_transaction": "128",
    "log_lock_waits": "on",
    "io_workers": None,
    "io_min_workers": "2",
    "io_max_workers": "8",
}
"""T34: defaults of 19 where 18 has others; None is gone. Source: the release notes of 19."""
