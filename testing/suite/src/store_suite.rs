//! The conformance suite for stores, which every implementation must pass.
//!
//! A crate with a store implements [`StoreFixture`] and calls [`store_suite!`](macro@crate::store_suite). A durable store also calls
//! [`store_durability_suite!`](macro@crate::store_durability_suite), one that several handles may open at once
//! [`store_sharing_suite!`](macro@crate::store_sharing_suite), one that replicas may share
//! [`shared_store_suite!`](macro@crate::shared_store_suite), and one whose connection a test can cut
//! [`store_fault_suite!`](macro@crate::store_fault_suite). Each behaviour becomes a separate test, named like its function in this
//! module.

mod calls;
mod change_log;
mod consistency;
mod crash;
mod durability;
mod faults;
mod fences;
mod firings;
mod history;
mod import;
mod jobs;
mod lists;
mod maintenance;
mod races;
mod registers;
mod settling;
mod sharing;
mod views;

use std::sync::Arc;

use async_trait::async_trait;

use ecs_scheduler_core::store::Store;

pub use change_log::*;
pub use consistency::*;
pub use crash::*;
pub use durability::*;
pub use faults::*;
pub use fences::*;
pub use firings::*;
pub use history::*;
pub use import::*;
pub use jobs::*;
pub use lists::*;
pub use maintenance::*;
pub use races::*;
pub use registers::*;
pub use settling::*;
pub use sharing::*;
pub use views::*;

/// A fixture that opens a store: empty at first, each value another store.
#[async_trait]
pub trait StoreFixture: Send + Sync {
    /// Opens the store. A durable store is reopened, with its contents, after the previous handle was dropped.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Makes a test of every behaviour that a store must show, each on a fresh `$subject`.
#[macro_export]
macro_rules! store_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            a_created_job_is_read_back_unchanged
            a_job_name_is_unique
            a_replacement_increments_the_revision_and_keeps_identity_and_progress
            a_replacement_of_another_revision_is_a_conflict_and_changes_nothing
            a_missing_job_cannot_be_replaced_or_removed
            a_removed_job_is_gone_and_its_name_is_free
            a_removal_of_another_revision_is_a_conflict
            documents_are_stored_verbatim
            get_returns_existing_jobs_in_the_requested_order
            jobs_are_listed_in_the_order_of_their_creation
            a_list_can_begin_at_any_offset_and_has_the_total
            a_list_after_a_missing_job_fails
            removals_leave_no_gap_in_the_list
            a_settlement_records_its_outcomes_and_the_settled_tick
            a_settlement_of_a_missing_or_recreated_job_is_stale
            a_settlement_that_expects_another_tick_is_stale_and_writes_nothing
            a_settlement_of_another_version_of_the_job_is_stale_and_writes_nothing
            a_settlement_of_the_version_that_an_edit_made_is_recorded
            a_manual_firing_of_another_version_of_the_job_is_stale
            a_stale_settlement_does_not_affect_the_others
            a_batch_of_a_thousand_jobs_settles_each
            settlements_of_one_job_in_one_batch_follow_each_other
            equal_idle_outcomes_fold_into_one_row
            different_outcomes_do_not_fold
            outcomes_with_different_explanations_do_not_fold
            texts_with_any_character_and_of_any_length_are_stored
            a_settlement_can_move_the_settled_tick_back
            a_row_with_a_firing_never_folds
            a_manual_firing_never_folds
            outcomes_of_a_launch_do_not_fold
            a_recreated_job_does_not_fold_into_its_namesake
            a_firing_that_exists_is_stale
            a_manual_firing_keeps_the_settled_tick
            a_new_firing_is_recorded_in_the_progress
            a_firing_makes_only_allowed_transitions
            a_forbidden_transition_is_a_conflict
            an_advance_of_a_missing_firing_is_not_found
            started_tasks_are_recorded_in_the_progress
            an_older_run_does_not_replace_a_newer_one
            started_tasks_of_a_recreated_job_are_not_recorded
            a_final_outcome_replaces_the_outcome_of_the_decision
            open_firings_are_listed_oldest_first
            decisions_are_paged_newest_first
            decisions_of_one_job_are_paged_newest_first
            decisions_are_filtered_by_outcome
            firings_are_found_by_name_job_and_state
            firings_are_paged_newest_first
            history_outlives_its_job
            a_register_is_written_under_compare_and_set
            registers_do_not_disturb_each_other
            one_of_many_creations_of_a_name_wins
            one_of_many_replacements_of_a_revision_wins
            one_of_many_settlements_of_a_tick_wins
            after_an_edit_settlements_of_the_old_version_are_stale
            one_of_many_advances_of_a_firing_wins
            one_of_many_writes_of_a_register_wins
            mixed_callers_leave_a_consistent_store
            overlapping_batches_settle_each_tick_once
            pruning_removes_old_history_and_keeps_open_firings
            pruning_removes_at_most_a_batch
            pruning_continues_past_decisions_of_the_future
            pruning_keeps_the_newest_decisions_of_each_job
            pruning_follows_the_rule_of_each_job
            pruning_one_job_keeps_open_firings_and_registers
            pruning_removes_expired_registers
            after_pruning_outcomes_are_recorded_as_before
            imported_data_is_read_back_unchanged
            imported_jobs_and_entries_are_appended
            importing_existing_jobs_or_firings_fails
            imported_data_is_settled_and_advanced_as_usual
            a_full_batch_is_imported_in_order
            a_health_check_succeeds_and_changes_nothing
            a_closed_store_rejects_every_call
        );
    };
}

/// Makes a test of every behaviour of a durable store, each on a fresh `$subject`.
#[macro_export]
macro_rules! store_durability_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            jobs_survive_a_restart
            the_order_of_jobs_survives_a_restart
            history_survives_a_restart
            open_firings_survive_a_restart
            ids_keep_growing_after_a_restart
            folding_continues_after_a_restart
            registers_survive_a_restart
            removals_survive_a_restart
            imported_data_survives_a_restart
            a_store_dropped_in_mid_batch_keeps_acknowledged_writes
        );
    };
}

/// Makes a test of every behaviour of a store that several handles may open at once, each on a fresh `$subject`.
#[macro_export]
macro_rules! store_sharing_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            writes_of_one_handle_are_visible_to_the_other
            an_edit_of_one_handle_makes_settlements_of_the_other_stale
            a_list_stays_correct_while_another_handle_edits
            ids_grow_and_rows_fold_across_handles
            one_handle_prunes_rows_of_the_other
            mixed_callers_of_two_handles_leave_a_consistent_store
        );
    };
}

/// Makes a test of every behaviour of a store whose connection is cut, each on a fresh `$subject`, which is a
/// [`FaultyConnection`](crate::store_suite::FaultyConnection).
#[macro_export]
macro_rules! store_fault_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            calls_fail_with_transient_faults_while_the_store_is_cut_off
            reads_survive_a_broken_idle_connection
            writes_under_way_are_stored_whole_or_not_at_all
        );
    };
}

/// Makes a test of every behaviour of a store that several processes may write at once, each on a fresh `$subject`.
#[macro_export]
macro_rules! shared_store_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            a_view_lists_only_its_shard
            a_view_returns_only_open_firings_of_its_shard
            a_closed_view_leaves_the_store_open
            a_valid_fence_allows_journal_writes
            an_invalid_fence_rejects_settlements
            an_invalid_fence_rejects_advances
            no_write_of_an_old_owner_appears_after_failover
            registers_are_found_by_their_prefix
            creations_replacements_and_removals_are_logged
            changes_are_returned_by_shard
            journal_writes_are_no_edits
            an_edit_makes_the_owners_old_settlements_stale
            no_edit_is_missed_under_concurrent_writes
            more_edits_than_the_log_keeps_are_unknown
            a_cursor_of_another_log_is_unknown
        );
    };
}

/// Makes a test of each named behaviour; the suites use it.
#[doc(hidden)]
#[macro_export]
macro_rules! store_behaviours {
    ($subject:expr; $($behaviour:ident)+) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                $crate::store_suite::$behaviour(&$subject).await;
            }
        )+
    };
}
