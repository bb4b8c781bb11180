//! The address of a queue, parsed from its name or its URL.

use ecs_scheduler_backend_aws::{AwsScope, is_account, partition};
use ecs_scheduler_core::{ConfigError, Permission};

use crate::SqsConfig;
use crate::limits;

#[cfg(test)]
mod tests;

/// A queue as a job names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueAddress {
    pub(crate) scope: AwsScope,
    /// The queue's name, for messages.
    pub(crate) name: String,
    pub(crate) queue_ref: QueueRef,
}

/// The reference that a job gives: a name or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueueRef {
    /// The name of a queue. Its URL must be read from SQS.
    Name(QueueName),
    Url(String),
}

/// A queue's name and owner, from which SQS returns the URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct QueueName {
    pub(crate) name: String,
    /// The account that owns the queue, if it is not the caller's.
    pub(crate) owner: Option<String>,
}

impl QueueAddress {
    /// Parses the queue's address from a configuration.
    ///
    /// # Errors
    ///
    /// Fails if neither or both of name and URL are given, or if one of them, the region or the account is malformed
    /// or contradicts another.
    pub(crate) fn from_config(config: &SqsConfig) -> Result<Self, ConfigError> {
        let scope = AwsScope::new(config.region.as_deref(), config.account_id.as_deref())?;
        match (&config.queue_name, &config.queue_url) {
            (Some(_), Some(_)) => {
                Err(ConfigError::at("/queueUrl", "queueName is given as well; leave one of them out"))
            }
            // The Python version's message, which its clients know.
            (None, None) => Err(ConfigError::new("sqs trigger type requires queueName field")),
            (Some(name), None) => Self::by_name(name, scope),
            (None, Some(url)) => Self::by_url(url, scope),
        }
    }

    fn by_name(name: &str, scope: AwsScope) -> Result<Self, ConfigError> {
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let is_valid = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if stem.is_empty() || name.len() > limits::MAX_NAME_LENGTH || !stem.bytes().all(is_valid) {
            let most = limits::MAX_NAME_LENGTH;
            let message = format!(
                "must be a queue's name: 1 to {most} letters, digits, `_` and `-`, with `.fifo` at the end of a FIFO queue's"
            );
            return Err(ConfigError::at("/queueName", message));
        }
        let queue_ref = QueueRef::Name(QueueName { name: name.to_owned(), owner: scope.account.clone() });
        Ok(Self { scope, name: name.to_owned(), queue_ref })
    }

    fn by_url(url: &str, scope: AwsScope) -> Result<Self, ConfigError> {
        let parts = UrlParts::parse(url).ok_or_else(|| {
            let like = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
            ConfigError::at("/queueUrl", format!("must be a queue's URL such as {like}"))
        })?;
        let contradicts = |given: &Option<String>, named: Option<&str>| {
            given.as_deref().zip(named).is_some_and(|(given, named)| given != named)
        };
        if contradicts(&scope.region, parts.region) {
            return Err(ConfigError::at(
                "/region",
                "contradicts queueUrl, which names another; leave it out",
            ));
        }
        if contradicts(&scope.account, parts.account) {
            return Err(ConfigError::at(
                "/accountId",
                "contradicts queueUrl, which names another; leave it out",
            ));
        }
        let region = scope.region.or_else(|| parts.region.map(str::to_owned));
        let scope = AwsScope { region, ..scope };
        Ok(Self { scope, name: parts.name.to_owned(), queue_ref: QueueRef::Url(url.to_owned()) })
    }

    /// Returns the permissions to find and read the queue.
    pub(crate) fn permissions(&self) -> Vec<Permission> {
        let AwsScope { region, account } = &self.scope;
        let named = match &self.queue_ref {
            QueueRef::Url(url) => UrlParts::parse(url).and_then(|parts| parts.account),
            QueueRef::Name(_) => None,
        };
        let partition = region.as_deref().map_or("aws", partition);
        let region = region.as_deref().unwrap_or("*");
        let account = account.as_deref().or(named).unwrap_or("*");
        let queue = format!("arn:{partition}:sqs:{region}:{account}:{}", self.name);
        let read = Permission::new("sqs:GetQueueAttributes", queue.as_str());
        match self.queue_ref {
            QueueRef::Name(_) => vec![read, Permission::new("sqs:GetQueueUrl", queue)],
            QueueRef::Url(_) => vec![read],
        }
    }
}

/// The parts of a queue's URL.
#[derive(Debug, PartialEq, Eq)]
struct UrlParts<'a> {
    /// Absent if the host is not one of AWS's.
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
}

impl<'a> UrlParts<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let (host, path) = rest.split_once('/')?;
        let segments: Vec<&str> = path.split('/').collect();
        let is_valid =
            |part: &&str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
        if url.len() > limits::MAX_URL_LENGTH || !is_valid(&host) || !segments.iter().all(is_valid) {
            return None;
        }
        let (name, before) = segments.split_last()?;
        let account = before.last().copied().filter(|account| is_account(account));
        Some(Self { region: region_of_host(host), account, name })
    }
}

/// Tells whether a queue's URL names the host of a VPC endpoint. No call goes to that host: the SDK calls the
/// region's own.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-sending-messages-from-vpc.html>
pub(crate) fn is_vpc_endpoint(url: &str) -> bool {
    let host = url.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    host.is_some_and(|host| host.contains(".vpce."))
}

/// Returns the region in a host of AWS: `sqs.REGION.amazonaws.com`, `sqs-fips.…`, `REGION.queue.amazonaws.com`,
/// `queue.amazonaws.com`, `sqs.REGION.api.aws` and those of VPC endpoints.
///
/// # Source
///
/// <https://docs.aws.amazon.com/general/latest/gr/sqs-service.html>
fn region_of_host(host: &str) -> Option<&str> {
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"];
    let labels = suffixes.iter().find_map(|end| host.strip_suffix(end))?;
    if labels == "queue" {
        return Some("us-east-1");
    }
    if let Some(region) = labels.strip_suffix(".queue") {
        return Some(region);
    }
    let mut labels = labels.split('.').skip_while(|label| !matches!(*label, "sqs" | "sqs-fips"));
    labels.nth(1)
}
