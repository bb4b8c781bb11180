use super::*;

#[test]
fn clones_of_a_failure_share_the_cause_and_print_it_once() {
    let failure =
        Failure::new(FaultKind::Throttled, "could not read queue \"orders\"").with_source("slow down");
    let copy = failure.clone();
    assert!(copy.is_transient() && copy.kind() == FaultKind::Throttled);
    assert_eq!(chain(&copy), "could not read queue \"orders\": slow down");
    let (ours, theirs) = (failure.into_parts().2.unwrap(), copy.into_parts().2.unwrap());
    assert!(Arc::ptr_eq(&ours, &theirs));
}

#[test]
fn the_source_of_a_failure_keeps_its_type() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let failure = Failure::new(FaultKind::Unavailable, "could not connect").with_source(refused);
    let source = failure.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    assert_eq!(source.unwrap().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn errors_of_plugins_have_the_kind_message_and_cause_of_their_failure() {
    let failure = || Failure::new(FaultKind::Denied, "could not list tasks").with_source("no permission");
    let (trigger, launch) = (crate::TriggerError::from(failure()), crate::LaunchError::from(failure()));
    assert_eq!((trigger.kind(), launch.kind()), (FaultKind::Denied, FaultKind::Denied));
    assert_eq!(chain(&trigger), "could not list tasks: no permission");
    assert_eq!(chain(&launch), chain(&trigger));
    assert!(!launch.outcome_unknown() && launch.with_unknown_outcome().outcome_unknown());
}

#[test]
fn chain_of_hostile_and_long_texts_is_one_printable_line() {
    let failure =
        Failure::new(FaultKind::Denied, "denied\u{0}\nby \u{1b}[2J").with_source("x".repeat(10_000));
    let line = chain(&failure);
    assert!(line.starts_with("denied\u{fffd} by \u{fffd}[2J: xx") && line.ends_with("x…"), "{line}");
    assert_eq!(line.chars().count(), crate::text::MAX_LINE);
}
