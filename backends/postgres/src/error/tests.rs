use ecs_scheduler_core::FaultKind;
use tokio_postgres::error::SqlState;

use super::{REMEDIES, remedy};

#[test]
fn what_passes_by_itself_is_transient_and_what_does_not_is_not() {
    for state in [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::CONNECTION_FAILURE,
        SqlState::DISK_FULL,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
    ] {
        assert!(remedy(&state).0.is_transient(), "{state:?}");
    }
    for state in [
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_PASSWORD,
        SqlState::UNDEFINED_DATABASE,
        SqlState::UNDEFINED_TABLE,
        SqlState::DATA_CORRUPTED,
        SqlState::SYNTAX_ERROR,
    ] {
        assert!(!remedy(&state).0.is_transient(), "{state:?}");
    }
}

#[test]
fn a_mistake_of_ours_is_told_as_one() {
    assert_eq!(remedy(&SqlState::SYNTAX_ERROR), (FaultKind::Bug, ""));
}

#[test]
fn no_entry_hides_a_later_one() {
    for (place, (later, ..)) in REMEDIES.iter().enumerate() {
        let hides = REMEDIES[..place].iter().find(|(earlier, ..)| later.starts_with(earlier));
        assert!(hides.is_none(), "{hides:?} hides {later}");
    }
}
