//! What every store must do, as tests that any implementation can run.
//!
//! A crate with a store implements [`Subject`] and calls [`store_suite!`](crate::store_suite); a store that outlives
//! its process calls [`store_durability_suite!`](crate::store_durability_suite) too, one that several handles may have
//! open at once [`store_sharing_suite!`](crate::store_sharing_suite), one that replicas may share
//! [`shared_store_suite!`](crate::shared_store_suite), and one whose connection a test can cut
//! [`store_fault_suite!`](crate::store_fault_suite). Each behaviour becomes a test of its own, named like the function
//! in this module that holds it.
//!
//! ```
//! use std::sync::Arc;
//! use ecs_scheduler_core::testing::store_suite::Subject;
//! use ecs_scheduler_core::{MemoryStore, Store, async_trait};
//!
//! #[derive(Default)]
//! struct Memory;
//!
//! #[async_trait]
//! impl Subject for Memory {
//!     async fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(MemoryStore::default())
//!     }
//! }
//!
//! ecs_scheduler_core::store_suite!(Memory::default());
//! # fn main() {}
//! ```

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
mod sample;
mod settling;
mod sharing;
mod views;

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::Store;

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

/// A place where a store can be opened: empty at first, each value another place.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the store. A store that lasts is opened again, with what it held, after the one before was dropped.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Makes a test of every behaviour that a store must show, each on a fresh `$subject`.
#[macro_export]
macro_rules! store_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            a_created_job_is_read_back_as_it_was_written
            a_name_can_be_taken_only_once
            a_replacement_counts_the_revision_and_keeps_identity_and_progress
            a_replacement_of_another_revision_is_a_conflict_and_changes_nothing
            a_job_that_is_missing_can_be_neither_replaced_nor_removed
            a_removed_job_is_gone_and_its_name_is_free
            a_removal_of_another_revision_is_a_conflict
            a_document_of_any_characters_is_kept_to_the_letter
            many_jobs_are_read_in_the_order_of_their_names_without_those_that_are_missing
            jobs_are_listed_in_the_order_of_their_creation
            a_list_can_begin_at_any_place_and_knows_the_total
            a_list_behind_a_job_that_is_missing_is_refused
            removals_leave_no_hole_in_the_list
            a_settlement_records_its_outcomes_and_the_settled_tick
            a_settlement_of_a_missing_or_recreated_job_is_stale
            a_settlement_that_expects_another_tick_is_stale_and_writes_nothing
            a_settlement_of_another_version_of_the_job_is_stale_and_writes_nothing
            a_settlement_of_the_version_that_an_edit_made_is_recorded
            a_firing_by_hand_of_another_version_of_the_job_is_stale
            a_stale_settlement_does_not_hold_up_the_others
            a_batch_of_a_thousand_jobs_settles_each
            settlements_of_one_job_in_one_batch_follow_each_other
            equal_idle_outcomes_fold_into_one_row
            different_outcomes_do_not_fold
            outcomes_with_different_explanations_do_not_fold
            a_settlement_can_take_the_settled_tick_back
            a_row_with_a_firing_never_folds
            a_firing_by_hand_never_folds
            outcomes_of_a_launch_do_not_fold
            a_recreated_job_does_not_fold_into_its_namesake
            a_firing_that_exists_is_stale
            a_firing_by_hand_leaves_the_settled_tick
            a_new_firing_is_noted_in_the_progress
            a_firing_moves_along_legal_moves_only
            an_illegal_move_is_a_conflict
            a_move_of_a_missing_firing_is_not_found
            started_tasks_are_noted_in_the_progress
            an_older_run_does_not_replace_a_newer_one
            started_tasks_of_a_recreated_job_are_not_noted
            a_final_outcome_replaces_that_of_the_decision
            unfinished_firings_are_listed_oldest_first
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
            after_an_edit_no_settlement_of_the_version_before_wins
            one_of_many_moves_of_a_firing_wins
            one_of_many_writes_of_a_register_wins
            mixed_callers_leave_books_that_balance
            overlapping_batches_settle_each_tick_once
            pruning_removes_old_history_and_keeps_what_is_open
            pruning_removes_at_most_a_batch
            pruning_goes_on_behind_decisions_of_the_future
            pruning_keeps_the_newest_decisions_of_each_job
            pruning_removes_expired_registers
            after_pruning_outcomes_are_recorded_as_before
            what_is_adopted_is_as_it_was
            adopted_jobs_and_entries_come_behind_those_that_are_there
            what_is_there_already_is_not_adopted
            life_goes_on_behind_what_was_adopted
            a_full_batch_is_adopted_in_its_order
            a_check_of_a_sound_store_succeeds_and_changes_nothing
            a_closed_store_refuses_every_call
        );
    };
}

/// Makes a test of every behaviour of a store that outlives its process, each on a fresh `$subject`.
#[macro_export]
macro_rules! store_durability_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            jobs_survive_a_restart
            the_order_of_jobs_survives_a_restart
            history_survives_a_restart
            unfinished_firings_survive_a_restart
            ids_keep_growing_after_a_restart
            folding_goes_on_after_a_restart
            registers_survive_a_restart
            removals_survive_a_restart
            what_was_adopted_survives_a_restart
            a_store_left_in_mid_batch_holds_what_was_acknowledged
        );
    };
}

/// Makes a test of every behaviour of a store that several handles may have open at once, each on a fresh `$subject`.
#[macro_export]
macro_rules! store_sharing_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            what_one_handle_writes_the_other_reads
            an_edit_of_one_handle_makes_settlements_of_the_other_stale
            a_list_stays_right_while_another_handle_edits
            ids_grow_and_rows_fold_across_handles
            one_handle_prunes_what_the_other_wrote
            mixed_callers_of_two_handles_leave_books_that_balance
        );
    };
}

/// Makes a test of every behaviour of a store whose connection was cut, each on a fresh `$subject`, which is
/// [`Fragile`](crate::testing::store_suite::Fragile).
#[macro_export]
macro_rules! store_fault_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            a_store_that_is_cut_off_answers_with_transient_faults
            a_connection_that_broke_unseen_costs_no_read
            what_was_under_way_is_there_wholly_or_not_at_all
        );
    };
}

/// Makes a test of every behaviour of a store that several processes may write at once, each on a fresh `$subject`.
#[macro_export]
macro_rules! shared_store_suite {
    ($subject:expr) => {
        $crate::store_behaviours!($subject;
            a_view_lists_only_its_shard
            a_view_knows_only_its_shards_open_firings
            a_closed_view_leaves_the_store_open
            a_fence_that_holds_lets_the_journal_be_written
            a_fence_that_does_not_hold_stops_settlements
            a_fence_that_does_not_hold_stops_moves
            nothing_of_an_old_owner_appears_after_the_takeover
            registers_are_found_by_their_prefix
            creations_replacements_and_removals_are_told
            edits_are_told_by_shard
            what_the_journal_writes_is_no_edit
            an_edit_makes_the_owners_settlements_of_the_version_before_stale
            no_edit_is_missed_while_many_write
            more_edits_than_can_be_told_are_unknown
            a_mark_of_another_time_is_unknown
        );
    };
}

/// Makes a test of each named behaviour; what the suites are made of.
#[doc(hidden)]
#[macro_export]
macro_rules! store_behaviours {
    ($subject:expr; $($behaviour:ident)+) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                $crate::testing::store_suite::$behaviour(&$subject).await;
            }
        )+
    };
}
