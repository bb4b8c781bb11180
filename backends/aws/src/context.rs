//! The configuration of AWS clients, loaded on first use and cached for each scope.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use ecs_scheduler_core::{Clock, ConfigError, FaultKind};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::credentials::{self, AssumedRole, CredentialsCache, ReloadingChain};
use crate::fault::Fault;
use crate::meter::{Meter, Metering};
use crate::partition::is_region;

#[cfg(test)]
mod tests;

/// Maximum number of attempts of a call that may be repeated.
const MAX_ATTEMPTS: u32 = 3;

/// Time after which an idle connection is closed. Firewalls drop idle connections silently, many after 60 s; a call
/// on a dropped connection waits for its timeout.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Placeholder for the account's number in the ARN of a role.
const ACCOUNT_PLACEHOLDER: &str = "{account}";

/// Settings of all AWS clients of this product.
///
/// Nothing is read and no call is made until a client is requested.
#[derive(Clone)]
pub struct AwsSettings {
    /// The default region; the SDK's own chain (`AWS_REGION`, profile, instance) when absent.
    pub region: Option<String>,
    /// The endpoint of every service; the SDK's chain (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_ECS`, profile) when
    /// absent.
    pub endpoint: Option<String>,
    /// A key's id and its secret; the SDK's chain when absent.
    pub credentials: Option<(String, String)>,
    /// The role for scopes whose account is named and is not the account of the credentials.
    pub assume_role: Option<AssumeRole>,
    /// Timeouts of calls.
    pub timeouts: Timeouts,
    /// The clock that counts the time of the usage report.
    pub clock: Arc<dyn Clock>,
}

impl AwsSettings {
    /// Makes settings that leave everything to the SDK's own chain.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            region: None,
            endpoint: None,
            credentials: None,
            assume_role: None,
            timeouts: Timeouts::default(),
            clock,
        }
    }
}

impl fmt::Debug for AwsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSettings")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("key", &self.credentials.as_ref().map(|(id, _)| id))
            .field("assume_role", &self.assume_role)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// A role that is assumed to reach another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// Its ARN, in which `{account}` stands for the account: `arn:aws:iam::{account}:role/ecs-scheduler-read`.
    pub role: String,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// Timeouts of a call to AWS. The SDK itself bounds only the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection is established; 3 s.
    pub connect: Duration,
    /// One attempt; 5 s.
    pub attempt: Duration,
    /// All attempts and the waits between them; 15 s.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(5),
            operation: Duration::from_secs(15),
        }
    }
}

/// A region and an account; the default ones if absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AwsScope {
    /// For example `eu-central-1`.
    pub region: Option<String>,
    /// Twelve digits.
    pub account: Option<String>,
}

impl AwsScope {
    /// Makes the scope of the source that a trigger reads, from its fields `region` and `accountId`.
    ///
    /// # Errors
    ///
    /// Fails if one of them is malformed.
    pub fn new(region: Option<&str>, account: Option<&str>) -> Result<Self, ConfigError> {
        if !region.is_none_or(is_region) {
            return Err(ConfigError::at("/region", "must be a region such as eu-central-1"));
        }
        if !account.is_none_or(is_account) {
            return Err(ConfigError::at("/accountId", "must be an account's twelve digits, as a string"));
        }
        Ok(Self { region: region.map(str::to_owned), account: account.map(str::to_owned) })
    }
}

/// Tells whether a text is the number of an account.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit())
}

/// The AWS configuration and usage counts that all parts share. Clones share everything.
#[derive(Debug, Clone)]
pub struct AwsContext {
    inner: Arc<ContextInner>,
}

#[derive(Debug)]
struct ContextInner {
    settings: AwsSettings,
    http: OnceLock<SharedHttpClient>,
    role: OnceLock<AssumeRole>,
    region: OnceLock<String>,
    config_cache: Mutex<HashMap<AwsScope, Arc<OnceCell<SdkConfig>>>>,
    own_account: OnceCell<String>,
    meter: Arc<Meter>,
    credentials: CredentialsCache,
}

impl AwsContext {
    /// Makes a context. Reads nothing and makes no call.
    #[must_use]
    pub fn new(settings: AwsSettings) -> Self {
        let meter = Arc::new(Meter::new(Arc::clone(&settings.clock)));
        let inner = ContextInner {
            http: OnceLock::new(),
            role: settings.assume_role.clone().map_or_else(OnceLock::new, OnceLock::from),
            region: settings.region.clone().map_or_else(OnceLock::new, OnceLock::from),
            config_cache: Mutex::default(),
            own_account: OnceCell::new(),
            meter,
            credentials: CredentialsCache::default(),
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Sets the role to assume in other accounts, for a program that learns it late. The first role stays; it may
    /// have come with the settings.
    pub fn set_role(&self, role: AssumeRole) {
        self.inner.role.get_or_init(|| role);
    }

    /// Sets the default region, for a program that learns it late. The first region stays; it may have come with the
    /// settings.
    pub fn set_default_region(&self, region: &str) {
        self.inner.region.get_or_init(|| region.to_owned());
    }

    /// Returns the default region, if it is known.
    pub async fn region(&self) -> Option<String> {
        let config = self.config(&AwsScope::default()).await.ok()?;
        config.region().map(ToString::to_string)
    }

    /// Returns the ARN of the role for a scope, if its account is named and a role is set.
    #[must_use]
    pub fn role_for(&self, scope: &AwsScope) -> Option<String> {
        let account = scope.account.as_ref()?;
        Some(self.inner.role.get()?.role.replace(ACCOUNT_PLACEHOLDER, account))
    }

    /// Returns the ARN of the default credentials' owner, by asking AWS.
    ///
    /// # Errors
    ///
    /// Fails if there are no credentials, or if AWS does not accept them.
    pub async fn caller_arn(&self) -> Result<String, Fault> {
        let config = self.config(&AwsScope::default()).await?;
        self.identity(&config).await?.arn.ok_or_else(|| missing_identity("arn"))
    }

    /// Returns the SDK's configuration for a scope, loaded once and cached.
    ///
    /// # Errors
    ///
    /// Fails with kind `Config` if no region or no credentials are configured, and names the settings. Fails with
    /// kind `Unavailable` if their source does not answer now. Failures are not cached: the next caller loads again.
    pub async fn config(&self, scope: &AwsScope) -> Result<SdkConfig, Fault> {
        let cell = Arc::clone(self.inner.config_cache.lock().entry(scope.clone()).or_default());
        let config = cell.get_or_try_init(|| Box::pin(self.load(scope))).await?;
        Ok(config.clone())
    }

    /// Returns the usage counts.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.inner.meter
    }

    /// Returns the interceptor that counts a client's calls. Add it to the configuration of each service.
    #[must_use]
    pub fn metering(&self) -> Metering {
        Metering::new(Arc::clone(&self.inner.meter), self.inner.credentials.clone())
    }

    async fn load(&self, scope: &AwsScope) -> Result<SdkConfig, Fault> {
        let inner = &self.inner;
        let region = scope.region.clone().or_else(|| inner.region.get().cloned());
        let http = inner.http.get_or_init(http_client).clone();
        let (settings, cache) = (inner.settings.clone(), inner.credentials.clone());
        let loader = move || loader(&settings, region.clone(), http.clone(), cache.clone());
        let mut config = loader().load().await;
        if inner.settings.credentials.is_none() {
            config = ReloadingChain::wrap(&config, &inner.credentials, loader);
        }
        if config.region().is_none() {
            return Err(missing_region(&config).await);
        }
        let credentials = credentials::load(&config).await?;
        let (Some(account), Some(role)) = (&scope.account, inner.role.get()) else { return Ok(config) };
        if *account == self.own_account(&config, &credentials).await? {
            return Ok(config);
        }
        let arn = role.role.replace(ACCOUNT_PLACEHOLDER, account);
        let config = AssumedRole::config(&config, self.sts(&config), arn, role.external_id.clone());
        credentials::load(&config).await?;
        Ok(config)
    }

    fn sts(&self, config: &SdkConfig) -> aws_sdk_sts::Client {
        let sts = aws_sdk_sts::config::Builder::from(config).interceptor(self.metering()).build();
        aws_sdk_sts::Client::from_conf(sts)
    }

    async fn identity(&self, config: &SdkConfig) -> Result<GetCallerIdentityOutput, Fault> {
        let answer = self.sts(config).get_caller_identity().send().await;
        answer.map_err(|error| Fault::from_sdk(error, "could not identify the caller"))
    }

    /// Returns the account of the credentials. If they do not name it, one call to STS returns it.
    async fn own_account(&self, config: &SdkConfig, credentials: &Credentials) -> Result<String, Fault> {
        if let Some(account) = credentials.account_id() {
            return Ok(account.as_str().to_owned());
        }
        let ask =
            || async { self.identity(config).await?.account.ok_or_else(|| missing_identity("account")) };
        self.inner.own_account.get_or_try_init(ask).await.cloned()
    }
}

fn http_client() -> SharedHttpClient {
    let tls = Provider::Rustls(CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(tls).pool_idle_timeout(IDLE_TIMEOUT).build_https()
}

fn loader(
    settings: &AwsSettings,
    region: Option<String>,
    http: SharedHttpClient,
    cache: CredentialsCache,
) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(settings.timeouts.connect)
        .operation_attempt_timeout(settings.timeouts.attempt)
        .operation_timeout(settings.timeouts.operation)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .identity_cache(cache)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS));
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some((id, secret)) = &settings.credentials {
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "settings"));
    }
    loader
}

fn missing_identity(missing: &str) -> Fault {
    Fault::new(FaultKind::Bug, format!("could not identify the caller: AWS returned no {missing}"))
}

/// Returns why no region is known. An instance gets its region from the same service as its credentials; while that
/// service does not answer, the region is not missing.
async fn missing_region(config: &SdkConfig) -> Fault {
    let of_instance = |credentials: &Credentials| {
        let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
        features.is_some_and(|all| all.contains(&AwsCredentialFeature::CredentialsImds))
    };
    match credentials::load(config).await {
        Err(fault) if fault.kind().is_transient() => fault,
        Ok(credentials) if of_instance(&credentials) => {
            let message = "could not configure AWS: the instance metadata service (IMDS) did not return the region; set AWS_REGION";
            Fault::new(FaultKind::Unavailable, message)
        }
        Ok(_) | Err(_) => {
            let message =
                "could not configure AWS: no region is known; set AWS_REGION or name a region in the job";
            Fault::new(FaultKind::Config, message)
        }
    }
}
