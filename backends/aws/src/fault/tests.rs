use ecs_scheduler_core::{FaultKind, LaunchError, fault::chain};

use super::{Fault, classify};

#[test]
fn codes_say_what_kind_of_trouble_it_is() {
    for (status, code, kind) in [
        (400, "ThrottlingException", FaultKind::Throttled),
        (400, "RequestLimitExceeded", FaultKind::Throttled),
        (429, "", FaultKind::Throttled),
        (503, "SlowDown", FaultKind::Throttled),
        (400, "AccessDeniedException", FaultKind::Denied),
        (403, "", FaultKind::Denied),
        (403, "ExpiredTokenException", FaultKind::Denied),
        (400, "UnrecognizedClientException", FaultKind::Denied),
        (400, "ClusterNotFoundException", FaultKind::NotFound),
        (400, "QueueDoesNotExist", FaultKind::NotFound),
        (400, "AWS.SimpleQueueService.NonExistentQueue", FaultKind::NotFound),
        (404, "", FaultKind::NotFound),
        (400, "InvalidParameterException", FaultKind::Config),
        (400, "TransactionConflictException", FaultKind::Unavailable),
        (500, "ServerException", FaultKind::Unavailable),
        (503, "", FaultKind::Unavailable),
    ] {
        assert_eq!(classify(status, code), kind, "{status} {code}");
    }
}

#[test]
fn a_denied_call_names_the_permission_that_is_missing() {
    let words = "User: arn:aws:iam::1:user/a is not authorized to perform: ecs:RunTask on resource: x";
    let fault =
        Fault::answered(400, Some("AccessDeniedException"), Some(words), "could not start tasks".to_owned());
    assert_eq!(
        fault.to_string(),
        "could not start tasks; allow ecs:RunTask in the policy of the scheduler's role"
    );
    assert_eq!(fault.words(), Some(words));
    assert!(chain(&fault).ends_with(&format!(": AccessDeniedException: {words}")));
}

#[test]
fn expired_credentials_are_to_be_renewed() {
    let fault = Fault::answered(403, Some("ExpiredToken"), None, "could not read".to_owned());
    assert!(fault.to_string().contains("renew the credentials"), "{fault}");
}

#[test]
fn only_an_answer_of_the_service_proves_that_nothing_was_done() {
    let denied = Fault::answered(400, Some("AccessDeniedException"), None, "a".to_owned());
    let throttled = Fault::answered(503, Some("Throttling"), None, "a".to_owned());
    let broken = Fault::answered(500, Some("ServerException"), None, "a".to_owned());
    assert!(!denied.maybe_done() && !throttled.maybe_done() && broken.maybe_done());
    assert!(LaunchError::from(broken).maybe_done());
    let error = LaunchError::from(throttled);
    assert!(!error.maybe_done() && error.kind() == FaultKind::Throttled);
}
