//! Causes of failed credential loading, each with its remedy.

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ecs_scheduler_core::FaultKind;
use ecs_scheduler_core::fault::chain;

use super::rules::{Meaning, classify};
use super::{Fault, remedy, sources};

#[cfg(test)]
mod tests;

/// The remedy if the instance metadata service does not answer: a container is one network hop further away than the
/// default hop limit allows.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>: in a container
/// environment, a hop limit of 2.
const IMDS_HOP_LIMIT: &str = "the instance metadata service (IMDS) returned no credentials; in a container on EC2, \
                              set the hop limit of the instance to 2: aws ec2 modify-instance-metadata-options \
                              --http-put-response-hop-limit 2";

/// The SDK's messages, which have no type of their own, if the metadata service does not answer or names no role.
const IMDS_UNREACHABLE: &str = "could not communicate with IMDS";
const IMDS_WITHOUT_ROLE: &str = "received 404 from IMDS";

/// The SDK's message, which has no public type, if loading credentials timed out.
const TIMED_OUT: &str = "identity resolver timed out";

/// The cause of failed credential loading.
pub(super) struct CredentialsProblem {
    pub(super) kind: FaultKind,
    /// The cause and the remedy.
    pub(super) text: String,
}

impl CredentialsProblem {
    /// Finds the cause in an error and its sources. Returns nothing if the error is of another kind.
    pub(super) fn find(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(fault) = sources(error).skip(1).find_map(|cause| cause.downcast_ref::<Fault>()) {
            return Some(Self { kind: fault.kind(), text: fault.to_string() });
        }
        // A profile wraps the failure of its source, so the innermost error counts.
        let causes = sources(error).filter_map(|cause| cause.downcast_ref::<CredentialsError>());
        if let Some(innermost) = causes.last() {
            return Some(Self::classify(innermost));
        }
        let late = sources(error).any(|cause| cause.to_string().contains(TIMED_OUT));
        late.then(|| Self::transient("the AWS credentials were not loaded in time"))
    }

    fn classify(error: &CredentialsError) -> Self {
        if let Some((meaning, message)) = sts_refusal(error) {
            let remedy = remedy(meaning, &message, None).unwrap_or_default();
            let text = format!("AWS refused to issue credentials; {remedy}");
            return Self { kind: meaning.kind(), text: text.trim_end_matches("; ").to_owned() };
        }
        let said = chain(error);
        if said.contains(IMDS_UNREACHABLE) || sources(error).any(|cause| cause.is::<ImdsError>()) {
            return Self::transient(IMDS_HOP_LIMIT);
        }
        if said.contains(IMDS_WITHOUT_ROLE) {
            return Self::transient("the EC2 instance has no role yet; attach an instance profile to it");
        }
        let permanent = |text: &str| Self { kind: FaultKind::Config, text: text.to_owned() };
        match error {
            CredentialsError::CredentialsNotLoaded(_) => permanent(
                "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or \
                 give the task or instance a role",
            ),
            CredentialsError::InvalidConfiguration(_) => {
                permanent("the AWS credentials are misconfigured; check the profile")
            }
            CredentialsError::ProviderTimedOut(_)
            | CredentialsError::ProviderError(_)
            | CredentialsError::Unhandled(_)
            | _ => Self::transient("the AWS credentials could not be loaded; check AWS_PROFILE, or the role"),
        }
    }

    fn transient(text: &str) -> Self {
        Self { kind: FaultKind::Unavailable, text: text.to_owned() }
    }
}

/// Returns the meaning and message of STS's answer, if the SDK's chain asked it for the credentials of a role.
fn sts_refusal(error: &CredentialsError) -> Option<(Meaning, String)> {
    sources(error).find_map(|cause| {
        from_response(cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>()).or_else(|| {
            from_response(cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>())
        })
    })
}

fn from_response<E: ProvideErrorMetadata>(
    error: Option<&SdkError<E, HttpResponse>>,
) -> Option<(Meaning, String)> {
    let Some(SdkError::ServiceError(context)) = error else { return None };
    let meta = context.err().meta();
    let message = meta.message().unwrap_or_default();
    let meaning = classify(context.raw().status().as_u16(), meta.code().unwrap_or_default(), message);
    Some((meaning, message.to_owned()))
}
