use ecs_scheduler_core::FaultKind;
use tokio_postgres::error::SqlState;

use super::{REMEDIES, server_remedy};

#[test]
fn errors_that_pass_are_transient_and_lasting_ones_are_not() {
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
        assert!(server_remedy(&state).0.is_transient(), "{state:?}");
    }
    for state in [
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_PASSWORD,
        SqlState::UNDEFINED_DATABASE,
        SqlState::UNDEFINED_TABLE,
        SqlState::DATA_CORRUPTED,
        SqlState::SYNTAX_ERROR,
    ] {
        assert!(!server_remedy(&state).0.is_transient(), "{state:?}");
    }
}

#[test]
fn invalid_sql_is_reported_as_a_bug() {
    assert_eq!(server_remedy(&SqlState::SYNTAX_ERROR), (FaultKind::Bug, ""));
}

#[test]
fn no_remedy_hides_a_later_one() {
    for (index, (later, ..)) in REMEDIES.iter().enumerate() {
        let hides = REMEDIES[..index].iter().find(|(earlier, ..)| later.starts_with(earlier));
        assert!(hides.is_none(), "{hides:?} hides {later}");
    }
}

#[test]
fn no_remedy_names_a_setting_that_another_provider_does_not_have() {
    let named = REMEDIES.iter().find(|(.., remedy)| remedy.contains("ECSS_"));
    assert_eq!(named, None);
}
