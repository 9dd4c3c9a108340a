"""The traps of logs, outboxes and queues on PostgreSQL, each with the tests that hold it.

`tests/test_runtime_traps.py` keeps the map true. A test is named by its file below `tests/` and its
function.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.traps import Trap

_SEEN = "postgres/log/test_visibility.py::"
_LEDGER = "postgres/log/test_ledger.py::"
_PAGES = "postgres/log/test_pages.py::"
_RECLAIM = "postgres/log/test_reclaim.py::"
_RESTORE = "postgres/log/test_restore.py::"
_RELAY = "postgres/outbox/test_relay.py::"
_PARKED = "postgres/outbox/test_parked.py::"
_QUEUE = "postgres/queue/test_traps_of_queues.py::"
_WORK = "postgres/queue/test_working.py::"
_ORDER = "postgres/queue/test_order_and_limits.py::"
_FAIL = "postgres/queue/test_failover.py::"
_QUIET = "postgres/queue/test_quiet.py::"

_TRAPS = {
    "Q1": Trap(
        "the order of ids is not the order of commits",
        (
            _SEEN + "test_commits_out_of_the_order_of_ids",
            _SEEN + "test_every_interleaving_of_two_writers_and_a_reader",
        ),
    ),
    "Q2": Trap(
        "a cursor that is updated bloats under a held horizon",
        (
            _LEDGER + "test_commits_under_a_held_horizon_leave_nothing_dead",
            _QUIET + "test_hot_tables_have_no_dead_rows",
        ),
    ),
    "Q3": Trap(
        "ordering by transaction inverts causality",
        (
            _SEEN + "test_a_key_in_causal_order_though_the_later_one_has_the_smaller_xid",
            _SEEN + "test_causal_order_under_any_order_of_sessions",
        ),
    ),
    "Q4": Trap(
        "a watermark of the oldest transaction stalls on strangers",
        (
            _SEEN + "test_strangers_do_not_hold_up_delivery",
            _QUIET + "test_hot_tables_have_no_dead_rows",
        ),
    ),
    "Q5": Trap(
        "the system column xmin is that of a subtransaction",
        (
            _SEEN + "test_savepoints_and_rolled_back_parts",
            _SEEN + "test_more_savepoints_than_a_snapshot_can_hold",
        ),
    ),
    "Q6": Trap(
        "snapshots mean nothing on another server",
        (
            _RESTORE + "test_a_dump_elsewhere_is_refused_until_it_is_reanchored",
            _RESTORE + "test_a_position_in_the_future_is_refused",
            _FAIL + "test_a_queue_that_was_copied_is_refused_until_it_is_reanchored",
        ),
    ),
    "Q7": Trap(
        "an acknowledgement wider than what was read",
        (_PAGES + "test_a_commit_covers_what_it_names_and_no_more",),
    ),
    "Q8": Trap(
        "a batch without bounds",
        (
            _PAGES + "test_a_large_transaction_comes_in_pages_and_in_order",
            _PAGES + "test_payloads_bound_a_page_before_rows_do",
        ),
    ),
    "Q9": Trap(
        "a late writer into a segment that is given back",
        (
            _RECLAIM + "test_a_late_writer_into_an_old_segment_in_every_order",
            _RECLAIM + "test_strangers_do_not_stop_it",
        ),
    ),
    "Q10": Trap(
        "TRUNCATE waits, and everybody behind it",
        (
            _RECLAIM + "test_a_writer_at_work_is_not_waited_for",
            _LEDGER + "test_a_half_in_use_is_not_waited_for",
        ),
    ),
    "Q11": Trap(
        "visible is not durable",
        ("postgres/log/test_durability.py::test_the_gate_opens_when_the_log_is_flushed",),
    ),
    "Q12": Trap(
        "a sequence as the cursor of claims passes over what commits late",
        (_QUEUE + "test_a_job_whose_number_is_older_than_its_commit_is_not_passed_over",),
    ),
    "Q13": Trap(
        "a zombie worker closes the attempt of another",
        (
            _FAIL + "test_a_zombie_can_end_nothing",
            "race/test_queue_completion.py::"
            "test_the_effect_is_there_or_the_job_is_taken_away_never_both",
        ),
    ),
    "Q14": Trap(
        "a busy handler starves the heartbeat",
        ("postgres/queue/test_alive.py::test_a_handler_that_keeps_the_lock_keeps_its_lease",),
    ),
    "Q15": Trap(
        "a rescue that deletes its evidence, a name that is used again",
        (
            _QUEUE + "test_no_two_incarnations_of_a_worker_share_a_name",
            _FAIL + "test_a_job_that_kills_its_worker_stops_at_its_limit",
        ),
    ),
    "Q16": Trap(
        "counting and claiming in two steps exceeds a limit",
        (
            _ORDER + "test_concurrency_is_never_exceeded",
            _ORDER + "test_rates_are_never_exceeded",
        ),
    ),
    "Q17": Trap(
        "what comes while its key is let go stays blocked",
        (_QUEUE + "test_jobs_that_come_while_their_key_is_let_go_are_not_left_behind",),
    ),
    "Q18": Trap(
        "a retry breaks the order of its key",
        (
            _ORDER + "test_jobs_of_a_key_run_in_order_and_one_at_a_time",
            _ORDER + "test_a_dead_letter_holds_its_key_by_its_policy",
        ),
    ),
    "Q19": Trap(
        "acknowledgements of a broker come out of order",
        (
            _RELAY + "test_everything_arrives_in_the_order_of_its_key",
            _RELAY + "test_messages_that_are_to_be_sent_again_keep_their_order",
        ),
    ),
    "Q20": Trap(
        "two relays, two dispatchers at once",
        (
            _RELAY + "test_a_newer_relay_supersedes_and_nothing_is_lost",
            _FAIL + "test_behind_a_pooler_the_lock_means_nothing",
            "crash/test_queue_statements.py::test_a_deposed_dispatcher_can_write_nothing",
        ),
    ),
    "Q21": Trap(
        "one poisonous message blocks everything behind it",
        (
            _PARKED + "test_a_poisoned_key_is_set_aside_and_others_go_on",
            _PARKED + "test_a_message_that_is_too_large_is_set_aside",
        ),
    ),
    "Q22": Trap(
        "NOTIFY takes a lock of the whole cluster at commit",
        (_QUEUE + "test_no_row_of_a_queue_is_locked_to_be_claimed",),
    ),
    "Q23": Trap(
        "now() is when the transaction began",
        (_QUEUE + "test_delays_count_from_the_call_and_not_from_the_transaction",),
    ),
    "Q24": Trap(
        "plans flip on tables without statistics",
        (
            "postgres/log/test_plans.py::test_no_table_of_the_log_is_ever_read_whole",
            _QUIET + "test_the_first_read_of_each_poll_uses_an_index",
        ),
    ),
    "Q25": Trap(
        "FOR UPDATE in a subquery claims more than its LIMIT",
        (_QUEUE + "test_no_row_of_a_queue_is_locked_to_be_claimed",),
    ),
    "Q26": Trap(
        "claims, rescues and cancellations lock in different orders",
        (
            _QUEUE + "test_producers_people_and_the_dispatcher_do_not_deadlock",
            "race/test_log_locks.py::test_nobody_waits_in_a_circle",
        ),
    ),
    "Q27": Trap(
        "prepared transactions surface hours later",
        (
            _SEEN + "test_a_prepared_transaction_surfaces_when_it_is_committed",
            _QUEUE + "test_a_prepared_transaction_is_delivered_whenever_it_commits",
        ),
    ),
    "Q28": Trap(
        "a restart of the server stops every worker",
        (
            _FAIL + "test_an_immediate_restart_of_the_server_loses_nothing",
            _FAIL + "test_every_connection_of_a_worker_may_be_terminated",
            _RELAY + "test_a_crash_of_postgresql_repeats_and_loses_nothing",
        ),
    ),
    "Q29": Trap(
        "keys of duplicates are forgotten too early",
        (
            _WORK + "test_unique_jobs_until_done_and_for_a_window",
            "postgres/outbox/test_inbox.py::"
            "test_the_window_is_kept_through_turns_and_then_forgotten",
        ),
    ),
    "Q30": Trap(
        "a standby shows old snapshots",
        (_RESTORE + "test_a_standby_is_refused_and_after_promotion_goes_on",),
    ),
}

TRAPS: Mapping[str, Trap] = MappingProxyType(_TRAPS)
