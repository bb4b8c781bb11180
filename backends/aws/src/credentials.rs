//! Credentials: where they come from, and for how long they are kept.
//!
//! The SDK keeps credentials until they expire by this machine's clock, and reads the file of a profile once. AWS may refuse
//! them earlier: a program has replaced those in the file, somebody has deleted the key, or the clock is slow. So an answer
//! that refuses credentials empties the cache, and the next call loads them from their source.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::ConfigLoader;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use ecs_scheduler_core::FaultKind;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::fault::Fault;

/// How long credentials may take to load. A process that a profile names may never end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name under which this product appears in the logs of an account whose role it assumes.
const SESSION: &str = "ecs-scheduler";

/// The credentials that all clients share. A clone shares them too.
#[derive(Debug, Clone)]
pub(crate) struct CredentialsCache(Arc<Cache>);

#[derive(Debug)]
struct Cache {
    kept: Mutex<SharedIdentityCache>,
    cleared: AtomicU64,
}

impl Default for CredentialsCache {
    fn default() -> Self {
        let kept = Mutex::new(IdentityCache::lazy().build());
        Self(Arc::new(Cache { kept, cleared: AtomicU64::new(0) }))
    }
}

impl CredentialsCache {
    /// Forgets all credentials, so that the next call loads them.
    pub(crate) fn clear(&self) {
        *self.0.kept.lock() = IdentityCache::lazy().build();
        self.0.cleared.fetch_add(1, Ordering::Relaxed);
    }

    fn cleared(&self) -> u64 {
        self.0.cleared.load(Ordering::Relaxed)
    }
}

impl ResolveCachedIdentity for CredentialsCache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        bag: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let kept = self.0.kept.lock().clone();
        IdentityFuture::new(async move { kept.resolve_cached_identity(resolver, components, bag).await })
    }
}

/// The SDK's own chain of sources, made again after the cache was cleared.
pub(crate) struct Chain<L> {
    cache: CredentialsCache,
    load: L,
    /// The chain, and how often the cache had been cleared when it was made.
    made: AsyncMutex<(u64, SharedCredentialsProvider)>,
}

impl<L: Fn() -> ConfigLoader + Send + Sync + 'static> Chain<L> {
    /// Takes over the chain of a configuration; `load` makes it again.
    pub(crate) fn renew(config: &SdkConfig, cache: &CredentialsCache, load: L) -> SdkConfig {
        let Some(provider) = config.credentials_provider() else { return config.clone() };
        let made = AsyncMutex::new((cache.cleared(), provider));
        let chain = Self { cache: cache.clone(), load, made };
        config.to_builder().credentials_provider(SharedCredentialsProvider::new(chain)).build()
    }

    async fn provide(&self) -> Result {
        let provider = {
            let mut made = self.made.lock().await;
            let cleared = self.cache.cleared();
            if made.0 != cleared {
                let config = Box::pin((self.load)().load()).await;
                let provider = config.credentials_provider();
                *made = (cleared, provider.ok_or_else(CredentialsError::not_loaded_no_source)?);
            }
            made.1.clone()
        };
        provider.provide_credentials().await
    }
}

impl<L> fmt::Debug for Chain<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").finish_non_exhaustive()
    }
}

impl<L: Fn() -> ConfigLoader + Send + Sync + 'static> ProvideCredentials for Chain<L> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// The credentials of a role in another account.
#[derive(Debug)]
pub(crate) struct Assumed {
    sts: aws_sdk_sts::Client,
    role: String,
    external_id: Option<String>,
}

impl Assumed {
    /// Makes the configuration of a role, by its ARN, that `sts` is asked for.
    pub(crate) fn config(
        config: &SdkConfig,
        sts: aws_sdk_sts::Client,
        role: String,
        external_id: Option<String>,
    ) -> SdkConfig {
        let assumed = Self { sts, role, external_id };
        config.to_builder().credentials_provider(SharedCredentialsProvider::new(assumed)).build()
    }

    async fn provide(&self) -> Result {
        let call = self.sts.assume_role().role_arn(&self.role).role_session_name(SESSION);
        let answer = call.set_external_id(self.external_id.clone()).send().await.map_err(|error| {
            CredentialsError::provider_error(Fault::of(error, format!("could not assume role {}", self.role)))
        })?;
        let given =
            answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS gave no credentials"))?;
        let expiry = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        let (id, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
        Ok(Credentials::new(id, secret, Some(token), Some(expiry), "AssumeRole"))
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// Loads the credentials of a configuration.
pub(crate) async fn load(config: &SdkConfig) -> std::result::Result<Credentials, Fault> {
    let attempted = "could not configure AWS";
    let loaded = async {
        let provider = config.credentials_provider();
        provider.ok_or_else(CredentialsError::not_loaded_no_source)?.provide_credentials().await
    };
    match tokio::time::timeout(PATIENCE, loaded).await {
        Ok(loaded) => loaded.map_err(|error| Fault::of_credentials(error, attempted)),
        Err(_) => {
            let message = format!(
                "{attempted}: the AWS credentials were not loaded within {} s; check AWS_PROFILE, and the program it names",
                PATIENCE.as_secs()
            );
            Err(Fault::new(FaultKind::Unavailable, message))
        }
    }
}
