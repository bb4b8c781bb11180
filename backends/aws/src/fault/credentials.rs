//! Reasons why credentials are not loaded, each with its remedy.

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ecs_scheduler_core::FaultKind;
use ecs_scheduler_core::fault::chain;

use super::rules::{Meaning, meaning};
use super::{Fault, remedy, sources};

#[cfg(test)]
mod tests;

/// The instance metadata service is one network hop further away from a container than its answers travel at first.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>: in a container environment, a
/// hop limit of 2.
const NO_METADATA: &str = "the instance metadata service (IMDS) gave no credentials; in a container on EC2, set the hop limit \
                           of the instance to 2: aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2";

/// The SDK's words, which have no type of their own, when the metadata service does not answer or names no role.
const SILENT: &str = "could not communicate with IMDS";
const WITHOUT_ROLE: &str = "received 404 from IMDS";

/// The SDK's words, which have no public type, when credentials are not loaded in time.
const TIMED_OUT: &str = "identity resolver timed out";

/// A reason why credentials are not loaded.
pub(super) struct Trouble {
    pub(super) kind: FaultKind,
    /// The reason and the remedy.
    pub(super) text: String,
}

impl Trouble {
    /// Looks for it in an error and its causes; nothing when the error is of another kind.
    pub(super) fn find(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(fault) = sources(error).skip(1).find_map(|cause| cause.downcast_ref::<Fault>()) {
            return Some(Self { kind: fault.kind, text: fault.message.clone() });
        }
        // A profile wraps the failure of what it names as its source.
        let causes = sources(error).filter_map(|cause| cause.downcast_ref::<CredentialsError>());
        if let Some(innermost) = causes.last() {
            return Some(Self::of(innermost));
        }
        let late = sources(error).any(|cause| cause.to_string().contains(TIMED_OUT));
        late.then(|| Self::passing("the AWS credentials were not loaded in time"))
    }

    fn of(error: &CredentialsError) -> Self {
        if let Some((means, words)) = refusal_of_sts(error) {
            let remedy = remedy(means, &words, None).unwrap_or_default();
            let text = format!("AWS refused to hand out credentials; {remedy}");
            return Self { kind: means.kind(), text: text.trim_end_matches("; ").to_owned() };
        }
        let said = chain(error);
        if said.contains(SILENT) || sources(error).any(|cause| cause.is::<ImdsError>()) {
            return Self::passing(NO_METADATA);
        }
        if said.contains(WITHOUT_ROLE) {
            return Self::passing("the EC2 instance has no role yet; attach an instance profile to it");
        }
        let lasting = |text: &str| Self { kind: FaultKind::Config, text: text.to_owned() };
        match error {
            CredentialsError::CredentialsNotLoaded(_) => lasting(
                "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the \
                 task or instance a role",
            ),
            CredentialsError::InvalidConfiguration(_) => {
                lasting("the AWS credentials are not configured well; check the profile")
            }
            CredentialsError::ProviderTimedOut(_)
            | CredentialsError::ProviderError(_)
            | CredentialsError::Unhandled(_)
            | _ => Self::passing("the AWS credentials could not be loaded; check AWS_PROFILE, or the role"),
        }
    }

    fn passing(text: &str) -> Self {
        Self { kind: FaultKind::Unavailable, text: text.to_owned() }
    }
}

/// Returns what STS answered when the SDK's chain asked it for the credentials of a role, and its words.
fn refusal_of_sts(error: &CredentialsError) -> Option<(Meaning, String)> {
    sources(error).find_map(|cause| {
        answered(cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>()).or_else(|| {
            answered(cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>())
        })
    })
}

fn answered<E: ProvideErrorMetadata>(error: Option<&SdkError<E, HttpResponse>>) -> Option<(Meaning, String)> {
    let Some(SdkError::ServiceError(context)) = error else { return None };
    let meta = context.err().meta();
    let words = meta.message().unwrap_or_default();
    let means = meaning(context.raw().status().as_u16(), meta.code().unwrap_or_default(), words);
    Some((means, words.to_owned()))
}
