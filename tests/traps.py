"""The traps of diagnosing PostgreSQL, each with the tests that fail when it is fallen into.

A newcomer's map: read what the trap is, then open one of its tests. `tests/test_traps.py` keeps the
map true. A test is named by its file below `tests/` and its function.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Trap(NamedTuple):
    """What is easily got wrong, and the tests that hold it."""

    what: str
    tests: tuple[str, ...]


_SNAPSHOT = "postgres/test_snapshot_traps.py::"
_STATUSES = "postgres/test_snapshot_statuses.py::"
_VERSIONS = "postgres/test_traps_of_versions.py::"
_TIME = "postgres/test_traps_of_time.py::"
_SPACE = "postgres/test_traps_of_space.py::"
_SIGHT = "postgres/test_traps_of_sight.py::"
_BUILDS = "postgres/test_traps_of_builds.py::"
_PLANNER = "postgres/test_sandbox_planner.py::"
_SOURCE = "unit/test_traps_in_source.py::"
_RULES = "postgres/rules/"
_UNIT = "unit/check/"
# Our SQL names nothing that a server of its range lacks; what they lack is asked of servers.
_NAMES = (
    _SOURCE + "test_no_block_reads_a_name_that_its_servers_lack",
    _VERSIONS + "test_names_exist_in_the_majors_that_the_table_says",
)

_TRAPS = {
    "T1": Trap(
        "age() of a MultiXact, and of the zero of a partitioned table, is 2147483647",
        (
            _SNAPSHOT + "test_t1_ages_are_real_or_none",
            _SOURCE + "test_t1_ages_of_multixacts_are_taken_with_their_own_function",
            _RULES + "test_wraparound.py::test_old_multixacts_are_found_by_their_own_age",
            _UNIT + "test_wraparound.py::test_each_kind_of_age_has_its_own_rule",
        ),
    ),
    "T2": Trap(
        "the SLRU caches have other names since 17",
        (
            _SNAPSHOT + "test_t2_slru_names_are_those_of_17",
            "postgres/test_versions.py::test_slru_names_of_this_server",
        ),
    ),
    "T3": Trap(
        "42 wait events have other names since 17, and 19 has a class Buffer",
        (
            _SNAPSHOT + "test_t3_wait_names_are_those_of_17",
            "postgres/test_versions.py::test_every_old_spelling_is_known",
            "postgres/test_versions.py::test_no_old_spelling_is_missing",
            _VERSIONS + "test_t3_every_wait_with_a_cause_is_one_that_servers_report",
            _SOURCE + "test_t3_the_buffer_class_of_19_is_folded_into_the_old_names",
        ),
    ),
    "T4": Trap(
        "17 moves checkpoints from pg_stat_bgwriter to pg_stat_checkpointer",
        (_SNAPSHOT + "test_t4_t5_checkpoints_and_wal_on_every_major", *_NAMES),
    ),
    "T5": Trap(
        "18 moves the times of writing WAL to pg_stat_io, and op_bytes is gone",
        (_SNAPSHOT + "test_t4_t5_checkpoints_and_wal_on_every_major", *_NAMES),
    ),
    "T6": Trap(
        "columns of pg_stat_statements come and change names in 15, 17 and 18",
        (_SNAPSHOT + "test_t6_statements_on_every_major_and_without_ours", *_NAMES),
    ),
    "T7": Trap(
        "17 counts a vacuum's dead rows in bytes",
        (_SNAPSHOT + "test_t7_vacuum_progress", *_NAMES),
    ),
    "T8": Trap(
        "18 has NOT NULL constraints, and NOT ENFORCED ones that look not validated",
        (
            _SNAPSHOT + "test_t8_not_enforced_is_not_unvalidated",
            _SNAPSHOT + "test_t8_before_18_all_is_enforced_and_not_null_is_no_constraint",
            _RULES + "test_schema.py::test_not_enforced_is_told_apart",
            _RULES + "test_foreign_keys.py::test_keys_that_are_not_enforced_have_no_checks",
            *_NAMES,
        ),
    ),
    "T9": Trap(
        "UNIQUE NULLS NOT DISTINCT exists since 15, and is stricter",
        (
            _SNAPSHOT + "test_t9_nulls_not_distinct",
            _RULES + "test_redundancy.py::test_nulls_not_distinct_is_stricter_and_only_that_way",
            *_NAMES,
        ),
    ),
    "T10": Trap(
        "the last use of an index and updates to new pages are counted since 16 only",
        (
            _SNAPSHOT + "test_t10_columns_of_16",
            _VERSIONS + "test_t10_the_last_use_of_an_index_is_told_since_16",
            *_NAMES,
        ),
    ),
    "T11": Trap(
        "a crash empties all statistics and leaves stats_reset NULL",
        (
            _SNAPSHOT + "test_t11_window_after_a_crash",
            _SNAPSHOT + "test_t11_window_of_a_reset_database_is_the_databases_own",
            "unit/test_snapshot_window.py::test_after_a_crash_the_servers_own_reset_counts",
            _RULES + "test_unused.py::test_after_a_crash_it_is_unknown",
            _RULES + "test_vacuum.py::test_after_a_crash_zero_counters_are_no_ok",
        ),
    ),
    "T12": Trap(
        "counters arrive late, and by default each is of another moment",
        (
            _SNAPSHOT + "test_t12_statistics_are_of_one_moment",
            _TIME + "test_t12_rows_counted_while_we_look_are_not_in_the_picture",
            _TIME + "test_t12_a_busy_sessions_counters_are_late_and_its_index_is_not_called_unused",
        ),
    ),
    "T13": Trap(
        "pg_stat_activity is frozen inside a transaction",
        (
            _SNAPSHOT + "test_t13_ticks_are_not_frozen",
            _TIME + "test_t13_each_wait_sample_is_a_new_look",
        ),
    ),
    "T14": Trap(
        "pg_monitor sees no row of pg_stats, may run pgstattuple, and not amcheck",
        (
            _STATUSES + "test_t14_pg_monitor_sees_no_column_statistics_and_says_so",
            _SIGHT + "test_t14_a_rule_on_statistics_that_the_role_cannot_see_is_unknown",
            _RULES + "test_space.py::test_a_monitor_may_measure",
            _SOURCE + "test_t14_a_snapshot_calls_nothing_that_is_closed_to_pg_monitor",
        ),
    ),
    "T15": Trap(
        "sizes, definitions and plans wait behind ACCESS EXCLUSIVE, and others behind them",
        (
            _STATUSES + "test_t15_locked_tables_are_left_out_without_waiting",
            _STATUSES + "test_t15_somebody_who_waits_for_access_exclusive_counts_too",
            "postgres/test_sandbox_schema.py::test_behind_a_lock_it_gives_up_soon",
        ),
    ),
    "T16": Trap(
        "the snapshot of whoever looks holds the horizon",
        (
            _SNAPSHOT + "test_t16_no_snapshot_is_held_while_waits_are_sampled",
            _UNIT + "test_horizon.py::test_the_collectors_own_snapshot_is_not_blamed",
        ),
    ),
    "T17": Trap(
        "an index named in a plan may be read from end to end",
        (
            _PLANNER + "test_not_served",
            _PLANNER + "test_gin_is_not_served_by_reading_all_of_it",
            _UNIT + "test_predicates.py::test_a_bitmap_of_the_whole_index_is_no_use_of_it",
        ),
    ),
    "T18": Trap(
        "18 enters an index past its leading key (skip scan)",
        (_PLANNER + "test_not_served", _RULES + "test_foreign_keys.py::test_not_served"),
    ),
    "T19": Trap(
        "a partial index WHERE p IS NOT NULL serves p = $1, one WHERE p = 1 does not",
        (
            _PLANNER + "test_served",
            _PLANNER + "test_not_served",
            _RULES + "test_foreign_keys.py::test_served",
            _RULES + "test_foreign_keys.py::test_not_served",
        ),
    ),
    "T20": Trap(
        "enforcing uniqueness counts as no scan, checks of foreign keys do",
        (
            _SIGHT + "test_t20_an_index_that_only_refuses_rows_is_not_called_unused",
            _RULES
            + "test_unused.py::"
            + "test_unique_checks_do_not_count_as_scans_and_foreign_key_checks_do",
            _UNIT + "test_unused.py::test_an_index_with_a_duty_is_not_examined",
        ),
    ),
    "T21": Trap(
        "EXPLAIN (GENERIC_PLAN) exists since 16; before, a forced generic plan says the same",
        (
            _PLANNER + "test_served",
            _PLANNER + "test_not_served",
            _SOURCE + "test_t21_generic_plans_are_asked_for_in_a_way_that_14_knows",
        ),
    ),
    "T22": Trap(
        "normalised statements need not parse (interval $1), and may be cut off",
        (
            _PLANNER + "test_texts_that_cannot_be_planned",
            _UNIT + "test_parsing.py::test_a_text_that_does_not_parse_says_so",
            _UNIT + "test_predicates.py::test_a_text_that_does_not_parse_is_not_examined",
        ),
    ),
    "T23": Trap(
        "last_value is NULL for an unused sequence and for one that may not be read",
        (
            _STATUSES + "test_t23_unreadable_sequence_is_not_an_unused_one",
            _RULES + "test_sequences.py::test_what_a_role_may_not_read_is_unknown",
        ),
    ),
    "T24": Trap(
        "constraints and indexes of a partitioned table repeat in each leaf",
        (
            "postgres/test_traps_of_partitions.py::"
            "test_t24_no_rule_reports_a_partitioned_table_leaf_by_leaf",
            _RULES + "test_redundancy.py::test_partitioned_indexes_are_reported_at_the_parent",
            _RULES + "test_foreign_keys.py::test_partitioned_tables_are_reported_once",
        ),
    ),
    "T25": Trap(
        "a lower cost of a hypothetical index is no gain of time",
        (
            _SOURCE + "test_t25_no_index_is_hypothetical",
            _SOURCE + "test_t25_the_planners_costs_are_read_in_one_place_only",
            "postgres/test_trials.py::test_a_remedy_that_cures_nothing_is_not_proven",
        ),
    ),
    "T26": Trap(
        "scans on a standby are counted there alone",
        (
            _RULES + "test_unused.py::test_scans_of_a_standby_are_not_counted_on_the_primary",
            _SNAPSHOT + "test_t26_t30_a_primary_has_neither_receiver_nor_recovery",
            _UNIT
            + "test_unused.py::test_with_standbys_attached_it_is_unknown_and_names_the_candidates",
        ),
    ),
    "T27": Trap(
        "deduplication makes rows x width useless as the size that a B-tree should have",
        (_SPACE + "test_t27_waste_of_a_deduplicated_index_is_what_reindex_frees",),
    ),
    "T28": Trap(
        "bloat estimated from a stale average width is fiction",
        (
            _SPACE + "test_t28_rows_wider_than_their_statistics_are_no_bloat",
            _RULES + "test_space.py::test_without_pgstattuple_or_the_right_to_use_it_it_is_unknown",
        ),
    ),
    "T29": Trap(
        "pg_upgrade carries neither counters nor reset times",
        (
            _TIME + "test_t29_counters_begin_anew_with_an_upgrade",
            "unit/test_snapshot_window.py::test_unknown_only_where_nothing_tells",
        ),
    ),
    "T30": Trap(
        "an idle primary looks like lag, and a standby without its primary like none",
        (
            _RULES + "test_replication.py::test_a_standby_and_its_primary",
            _SNAPSHOT + "test_t26_t30_a_primary_has_neither_receiver_nor_recovery",
            _UNIT + "test_replication.py::test_lag_is_bytes_and_never_the_age_of_the_last_commit",
            _UNIT + "test_replication.py::test_equal_positions_do_not_hide_a_missing_receiver",
        ),
    ),
    "T31": Trap(
        "an index is invalid while it is being built",
        (
            _RULES + "test_indexes.py::test_a_build_that_waits_is_not_reported",
            _UNIT + "test_indexes.py::test_an_index_being_built_is_not_reported",
        ),
    ),
    "T32": Trap(
        "a concurrent build cut by a timeout leaves an index that IF NOT EXISTS takes for good",
        (
            _BUILDS + "test_t32_nothing_is_built_only_if_it_does_not_exist",
            _BUILDS + "test_t32_the_retry_safe_form_mends_what_if_not_exists_passes_over",
            _BUILDS + "test_t32_a_remedy_that_leaves_an_invalid_index_is_not_proven",
            _SOURCE + "test_t32_no_index_is_created_only_if_it_does_not_exist",
            "postgres/test_sandbox_measure.py::"
            "test_an_interrupted_concurrent_build_is_told_and_repeated",
        ),
    ),
    "T33": Trap(
        "an update through a published parent needs an identity of every leaf that it opens",
        (
            _RULES + "test_publications.py::test_one_partition_stops_updates_through_the_parent",
            _UNIT
            + "test_publications.py::"
            + "test_one_partition_without_identity_is_reported_at_the_parent",
        ),
    ),
    "T34": Trap(
        "19 changes defaults and drops settings: rules on them must know the version",
        (
            _UNIT + "test_configuration.py::test_the_table_is_keyed_by_version",
            _RULES + "test_configuration.py::test_dangerous_settings_and_their_remedies",
            _VERSIONS + "test_t34_rules_read_settings_that_this_server_has",
            _SOURCE + "test_t34_no_rule_reads_a_setting_that_means_something_else_in_19",
            _SOURCE + "test_t34_the_settings_that_19_changed_are_named_by_no_rule",
        ),
    ),
    "T35": Trap(
        "ok with nothing examined",
        (
            _UNIT
            + "test_evaluate.py::test_ok_means_that_something_was_examined_and_nothing_was_found",
            _UNIT + "test_evaluate.py::test_a_fact_that_is_not_known_makes_the_rule_unknown",
            _SOURCE + "test_t35_a_rule_that_looked_at_nothing_is_not_ok",
        ),
    ),
}

TRAPS: Mapping[str, Trap] = MappingProxyType(_TRAPS)
