use super::*;

/// Records a failed launch, and returns the faults and its time.
fn failed_launch() -> (LauncherFaults, Instant) {
    let (faults, now) = (LauncherFaults::default(), Instant::now());
    faults.record_failure(LauncherAction::Launch, "no answer".to_owned(), now);
    (faults, now)
}

#[test]
fn fault_ends_with_a_call_of_its_own_action_only() {
    let (faults, now) = failed_launch();
    faults.record_success(LauncherAction::Launch, AnswerSource::Cache, now);
    faults.record_success(LauncherAction::Observe, AnswerSource::Call, now);
    faults.clear(LauncherAction::Count);
    assert_eq!(faults.newest().as_deref(), Some("no answer"));
    faults.record_success(LauncherAction::Launch, AnswerSource::Call, now);
    assert_eq!(faults.newest(), None);
}

#[test]
fn fault_that_does_not_happen_again_ends_with_other_answers_after_a_while() {
    for (source, limit) in
        [(AnswerSource::Call, UNREPEATED_FAULT), (AnswerSource::Cache, UNREPEATED_FAULT_CACHED)]
    {
        let (faults, began) = failed_launch();
        let again = began + Duration::from_secs(30);
        faults.record_failure(LauncherAction::Launch, "still no answer".to_owned(), again);
        faults.record_success(LauncherAction::Count, source, began + limit);
        assert_eq!(faults.newest().as_deref(), Some("still no answer"), "{source:?}");
        faults.record_success(LauncherAction::Count, source, again + limit);
        assert_eq!(faults.newest(), None, "{source:?}");
    }
}

#[test]
fn the_newest_fault_is_shown() {
    let (faults, now) = failed_launch();
    faults.record_failure(LauncherAction::Count, "throttled".to_owned(), now + Duration::from_secs(1));
    assert_eq!(faults.newest().as_deref(), Some("throttled"));
}
