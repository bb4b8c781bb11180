use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use ecs_scheduler_core::FaultKind;

use crate::fault::Fault;

fn fault(error: CredentialsError) -> Fault {
    Fault::from_credentials_error(error, "could not configure AWS")
}

#[test]
fn silent_metadata_service_is_transient_and_names_the_hop_limit() {
    let silent = CredentialsError::not_loaded("could not communicate with IMDS");
    // A profile with `credential_source = Ec2InstanceMetadata` wraps it.
    for error in
        [silent, CredentialsError::provider_error(CredentialsError::not_loaded(super::IMDS_UNREACHABLE))]
    {
        let fault = fault(error);
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.to_string().contains("hop limit"), "{fault}");
        assert!(!fault.to_string().contains("AWS_ACCESS_KEY_ID"), "{fault}");
    }
}

#[test]
fn instance_without_role_is_transient() {
    let fault = fault(CredentialsError::not_loaded("received 404 from IMDS"));
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.to_string().contains("instance profile"), "{fault}");
}

#[test]
fn missing_or_invalid_credentials_are_permanent() {
    let nowhere = fault(CredentialsError::not_loaded("environment variable not set"));
    assert_eq!(nowhere.kind(), FaultKind::Config);
    assert!(nowhere.to_string().contains("AWS_ACCESS_KEY_ID"), "{nowhere}");
    let wrongly = fault(CredentialsError::invalid_configuration("the profile names itself as its source"));
    assert_eq!(wrongly.kind(), FaultKind::Config);
}

#[test]
fn failing_or_late_credentials_source_is_transient() {
    let gone = io::Error::new(io::ErrorKind::NotFound, "no token file yet");
    for error in [
        CredentialsError::provider_error(gone),
        CredentialsError::provider_timed_out(Duration::from_secs(5)),
        CredentialsError::unhandled("not UTF-8"),
    ] {
        let fault = fault(error);
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        assert!(fault.is_credentials_fault() && !fault.outcome_unknown());
    }
}

#[test]
fn denied_role_error_names_role_and_denial() {
    let denied = Fault::new(FaultKind::Denied, "could not assume role arn:role; allow sts:AssumeRole");
    let fault = fault(CredentialsError::provider_error(denied));
    assert_eq!(fault.kind(), FaultKind::Denied);
    assert!(fault.to_string().contains("allow sts:AssumeRole"), "{fault}");
}

#[test]
fn source_chain_is_reported_in_one_line() {
    let fault = fault(CredentialsError::not_loaded("Attempted:\n  Environment: not set\n  Profile: none"));
    let said = ecs_scheduler_core::fault::chain(&fault);
    assert!(said.ends_with("Attempted:; Environment: not set; Profile: none"), "{said}");
}
