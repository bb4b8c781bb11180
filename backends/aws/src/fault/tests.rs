use ecs_scheduler_core::{FaultKind, LaunchError, fault::chain};

use super::{ErrorResponse, Fault};
use crate::skew::Skew;

fn fault_from(status: u16, code: &str, service_message: &str) -> Fault {
    let answer =
        ErrorResponse { status, code: Some(code), service_message: Some(service_message), skew: None };
    Fault::from_response(&answer, "could not start tasks".to_owned())
}

#[test]
fn denied_call_names_the_missing_permission() {
    let service_message =
        "User: arn:aws:iam::1:user/a is not authorized to perform: ecs:RunTask on resource: x";
    let fault = fault_from(400, "AccessDeniedException", service_message);
    assert_eq!(
        fault.to_string(),
        "could not start tasks; allow ecs:RunTask in the policy of the scheduler's role"
    );
    assert_eq!(fault.service_message(), Some(service_message));
    assert!(chain(&fault).ends_with(&format!(": AccessDeniedException: {service_message}")));
    assert!(!fault.is_credentials_fault());
}

#[test]
fn call_that_a_service_control_policy_denies_does_not_blame_the_role() {
    let service_message = "User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: ecs:RunTask on resource: x with an explicit deny in a service control policy";
    let fault = fault_from(400, "AccessDeniedException", service_message);
    assert_eq!(
        fault.to_string(),
        "could not start tasks; change the organization's service control policy, which denies it"
    );
}

#[test]
fn expired_credentials_are_transient_and_name_the_remedy() {
    let fault = fault_from(403, "ExpiredToken", "");
    assert!(fault.to_string().contains("renew the credentials"), "{fault}");
    assert!(fault.kind().is_transient() && !fault.outcome_unknown() && fault.is_credentials_fault());
}

#[test]
fn rejected_signature_names_the_clock_skew() {
    let signature = |skew: Option<Skew>| {
        let code = Some("InvalidSignatureException");
        let answer = ErrorResponse { status: 400, code, service_message: None, skew };
        Fault::from_response(&answer, "could not start tasks".to_owned())
    };
    let late = signature(Some(Skew::seconds(600)));
    let message = "could not start tasks; set this machine's clock, which is 10m behind that of AWS";
    assert_eq!(late.to_string(), message);
    assert!(late.kind().is_transient() && !late.outcome_unknown());
    assert!(signature(Some(Skew::seconds(1))).to_string().contains("check the secret access key"));
    assert!(signature(None).to_string().contains("check this machine's clock"));
}

#[test]
fn only_an_error_response_proves_no_effect() {
    let denied = fault_from(400, "AccessDeniedException", "");
    let throttled = fault_from(503, "Throttling", "");
    let broken = fault_from(500, "ServerException", "");
    assert!(!denied.outcome_unknown() && !throttled.outcome_unknown() && broken.outcome_unknown());
    assert!(LaunchError::from(broken).outcome_unknown());
    let error = LaunchError::from(throttled);
    assert!(!error.outcome_unknown() && error.kind() == FaultKind::Throttled);
}
