use ecs_scheduler_core::{FaultKind, LaunchError, fault::chain};

use super::{Answer, Fault};
use crate::skew::Skew;

fn answered(status: u16, code: &str, words: &str) -> Fault {
    let answer = Answer { status, code: Some(code), words: Some(words), skew: None };
    Fault::answered(&answer, "could not start tasks".to_owned())
}

#[test]
fn a_denied_call_names_the_permission_that_is_missing() {
    let words = "User: arn:aws:iam::1:user/a is not authorized to perform: ecs:RunTask on resource: x";
    let fault = answered(400, "AccessDeniedException", words);
    assert_eq!(
        fault.to_string(),
        "could not start tasks; allow ecs:RunTask in the policy of the scheduler's role"
    );
    assert_eq!(fault.words(), Some(words));
    assert!(chain(&fault).ends_with(&format!(": AccessDeniedException: {words}")));
    assert!(!fault.is_of_credentials());
}

#[test]
fn expired_credentials_are_to_be_renewed_and_the_call_is_made_again() {
    let fault = answered(403, "ExpiredToken", "");
    assert!(fault.to_string().contains("renew the credentials"), "{fault}");
    assert!(fault.kind().is_transient() && !fault.maybe_done() && fault.is_of_credentials());
}

#[test]
fn a_signature_that_is_not_accepted_names_how_far_the_clock_is_off() {
    let signature = |skew: Option<Skew>| {
        let code = Some("InvalidSignatureException");
        let answer = Answer { status: 400, code, words: None, skew };
        Fault::answered(&answer, "could not start tasks".to_owned())
    };
    let late = signature(Some(Skew::seconds(600)));
    let told = "could not start tasks; set this machine's clock, which is 10m behind that of AWS";
    assert_eq!(late.to_string(), told);
    assert!(late.kind().is_transient() && !late.maybe_done());
    assert!(signature(Some(Skew::seconds(1))).to_string().contains("check the secret access key"));
    assert!(signature(None).to_string().contains("check this machine's clock"));
}

#[test]
fn only_an_answer_of_the_service_proves_that_nothing_was_done() {
    let denied = answered(400, "AccessDeniedException", "");
    let throttled = answered(503, "Throttling", "");
    let broken = answered(500, "ServerException", "");
    assert!(!denied.maybe_done() && !throttled.maybe_done() && broken.maybe_done());
    assert!(LaunchError::from(broken).maybe_done());
    let error = LaunchError::from(throttled);
    assert!(!error.maybe_done() && error.kind() == FaultKind::Throttled);
}
