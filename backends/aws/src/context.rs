//! How the clients of AWS services are configured: lazily, once per place.

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
use ecs_scheduler_core::{Clock, FaultKind};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::credentials::{self, Assumed, Chain, CredentialsCache};
use crate::fault::Fault;
use crate::meter::{Meter, Metering};

#[cfg(test)]
mod tests;

/// Attempts at a call that may be repeated, the first included.
const ATTEMPTS: u32 = 3;

/// How long a connection without a call is kept. Firewalls forget connections without a word, many after 60 s; a call on one that
/// is forgotten waits for its timeout.
const IDLE: Duration = Duration::from_secs(50);

/// What stands for the account's number in the name of a role.
const ACCOUNT: &str = "{account}";

/// What every AWS client of this product is built with.
///
/// Nothing is read and nothing is called until a client is asked for.
#[derive(Clone)]
pub struct AwsSettings {
    /// The default region; the SDK's own chain (`AWS_REGION`, profile, instance) when absent.
    pub region: Option<String>,
    /// The endpoint of every service; the SDK's chain (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_ECS`, profile) when absent.
    pub endpoint: Option<String>,
    /// A key's id and its secret; the SDK's chain when absent.
    pub credentials: Option<(String, String)>,
    /// The role for places whose account is named and is not the credentials' own.
    pub assume_role: Option<AssumeRole>,
    /// How long calls may take.
    pub timeouts: Timeouts,
    /// Tells since when calls are counted.
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

/// How long a call to AWS may take. The SDK itself has no bound but that of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands; 3 s.
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

/// The region and the account in which something is; absent means the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// For example `eu-central-1`.
    pub region: Option<String>,
    /// Twelve digits.
    pub account: Option<String>,
}

/// The way to AWS that all parts share. Cloning is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Aws {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: AwsSettings,
    http: OnceLock<SharedHttpClient>,
    role: OnceLock<AssumeRole>,
    region: OnceLock<String>,
    configs: Mutex<HashMap<Place, Arc<OnceCell<SdkConfig>>>>,
    own_account: OnceCell<String>,
    meter: Arc<Meter>,
    credentials: CredentialsCache,
}

impl Aws {
    /// Makes the way to AWS; reads and calls nothing.
    #[must_use]
    pub fn new(settings: AwsSettings) -> Self {
        let meter = Arc::new(Meter::new(Arc::clone(&settings.clock)));
        let shared = Shared {
            http: OnceLock::new(),
            role: settings.assume_role.clone().map_or_else(OnceLock::new, OnceLock::from),
            region: settings.region.clone().map_or_else(OnceLock::new, OnceLock::from),
            configs: Mutex::default(),
            own_account: OnceCell::new(),
            meter,
            credentials: CredentialsCache::default(),
            settings,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Says which role to assume in other accounts, for a program that learns it after it made this. The first one, which
    /// may have come with the settings, stays.
    pub fn assume(&self, role: AssumeRole) {
        self.shared.role.get_or_init(|| role);
    }

    /// Says which region is the default one, for a program that learns it after it made this. The first one, which may have come
    /// with the settings, stays.
    pub fn default_to(&self, region: &str) {
        self.shared.region.get_or_init(|| region.to_owned());
    }

    /// Returns the default region, if it can be learnt.
    pub async fn region(&self) -> Option<String> {
        let config = self.config(&Place::default()).await.ok()?;
        config.region().map(ToString::to_string)
    }

    /// Returns the ARN of the role by which a place is reached, if its account is named and there is such a role.
    #[must_use]
    pub fn role_for(&self, place: &Place) -> Option<String> {
        let account = place.account.as_ref()?;
        Some(self.shared.role.get()?.role.replace(ACCOUNT, account))
    }

    /// Asks AWS who the default credentials belong to: the caller's ARN.
    ///
    /// # Errors
    ///
    /// Fails when there are no credentials, or when AWS does not accept them.
    pub async fn caller(&self) -> Result<String, Fault> {
        let config = self.config(&Place::default()).await?;
        self.identity(&config).await?.arn.ok_or_else(|| nobody("arn"))
    }

    /// Returns the SDK's configuration for a place, loaded once and kept.
    ///
    /// # Errors
    ///
    /// Fails with kind `Config` when no region or no credentials are configured, saying where they may come from, and with
    /// kind `Unavailable` when their source does not answer now. A failure is not kept: the next caller tries again, from the
    /// beginning.
    pub async fn config(&self, place: &Place) -> Result<SdkConfig, Fault> {
        let cell = Arc::clone(self.shared.configs.lock().entry(place.clone()).or_default());
        let config = cell.get_or_try_init(|| Box::pin(self.load(place))).await?;
        Ok(config.clone())
    }

    /// Returns the counts of calls.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.shared.meter
    }

    /// Returns what counts the calls of a client: put it on the configuration of each service.
    #[must_use]
    pub fn metering(&self) -> Metering {
        Metering::new(Arc::clone(&self.shared.meter), self.shared.credentials.clone())
    }

    async fn load(&self, place: &Place) -> Result<SdkConfig, Fault> {
        let shared = &self.shared;
        let region = place.region.clone().or_else(|| shared.region.get().cloned());
        let http = shared.http.get_or_init(http_client).clone();
        let (settings, cache) = (shared.settings.clone(), shared.credentials.clone());
        let loader = move || loader(&settings, region.clone(), http.clone(), cache.clone());
        let mut config = loader().load().await;
        if shared.settings.credentials.is_none() {
            config = Chain::renew(&config, &shared.credentials, loader);
        }
        if config.region().is_none() {
            return Err(no_region(&config).await);
        }
        let credentials = credentials::load(&config).await?;
        let (Some(account), Some(role)) = (&place.account, shared.role.get()) else { return Ok(config) };
        if *account == self.own_account(&config, &credentials).await? {
            return Ok(config);
        }
        let arn = role.role.replace(ACCOUNT, account);
        let config = Assumed::config(&config, self.sts(&config), arn, role.external_id.clone());
        credentials::load(&config).await?;
        Ok(config)
    }

    fn sts(&self, config: &SdkConfig) -> aws_sdk_sts::Client {
        let sts = aws_sdk_sts::config::Builder::from(config).interceptor(self.metering()).build();
        aws_sdk_sts::Client::from_conf(sts)
    }

    async fn identity(&self, config: &SdkConfig) -> Result<GetCallerIdentityOutput, Fault> {
        let answer = self.sts(config).get_caller_identity().send().await;
        answer.map_err(|error| Fault::of(error, "could not learn whose credentials are in use"))
    }

    /// Returns the account of the credentials in use: they may name it, else STS is asked, once.
    async fn own_account(&self, config: &SdkConfig, credentials: &Credentials) -> Result<String, Fault> {
        if let Some(account) = credentials.account_id() {
            return Ok(account.as_str().to_owned());
        }
        let ask = || async { self.identity(config).await?.account.ok_or_else(|| nobody("account")) };
        self.shared.own_account.get_or_try_init(ask).await.cloned()
    }
}

fn http_client() -> SharedHttpClient {
    let tls = Provider::Rustls(CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(tls).pool_idle_timeout(IDLE).build_https()
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
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
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

fn nobody(missing: &str) -> Fault {
    Fault::new(
        FaultKind::Bug,
        format!("could not learn whose credentials are in use: AWS named no {missing}"),
    )
}

/// Says why no region is known. An instance tells its own, by the service that has the credentials too: while that one does
/// not answer, the region is not missing.
async fn no_region(config: &SdkConfig) -> Fault {
    let of_instance = |credentials: &Credentials| {
        let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
        features.is_some_and(|all| all.contains(&AwsCredentialFeature::CredentialsImds))
    };
    match credentials::load(config).await {
        Err(fault) if fault.kind().is_transient() => fault,
        Ok(credentials) if of_instance(&credentials) => {
            let message = "could not configure AWS: the instance metadata service (IMDS) did not tell the region; set AWS_REGION";
            Fault::new(FaultKind::Unavailable, message)
        }
        Ok(_) | Err(_) => {
            let message =
                "could not configure AWS: no region is known; set AWS_REGION or name a region in the job";
            Fault::new(FaultKind::Config, message)
        }
    }
}
