//! Credentials: their sources, and the cache.
//!
//! The SDK caches credentials until they expire by this machine's clock, and reads a profile's file once. AWS may
//! refuse them earlier: a program has replaced those in the file, the key was deleted, or the clock is slow.
//! So a response that refuses credentials clears the cache, and the next call loads them from their source.

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

/// Timeout for loading credentials. A process that a profile names may never end.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The session name in the audit log of an account whose role is assumed.
const SESSION_NAME: &str = "ecs-scheduler";

/// The cached credentials that all clients share. A clone shares them too.
#[derive(Debug, Clone)]
pub(crate) struct CredentialsCache(Arc<Cache>);

#[derive(Debug)]
struct Cache {
    identities: Mutex<SharedIdentityCache>,
    generation: AtomicU64,
}

impl Default for CredentialsCache {
    fn default() -> Self {
        let identities = Mutex::new(IdentityCache::lazy().build());
        Self(Arc::new(Cache { identities, generation: AtomicU64::new(0) }))
    }
}

impl CredentialsCache {
    /// Clears the cache, so that the next call loads the credentials.
    pub(crate) fn clear(&self) {
        *self.0.identities.lock() = IdentityCache::lazy().build();
        self.0.generation.fetch_add(1, Ordering::Relaxed);
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Relaxed)
    }
}

impl ResolveCachedIdentity for CredentialsCache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        bag: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let identities = self.0.identities.lock().clone();
        IdentityFuture::new(
            async move { identities.resolve_cached_identity(resolver, components, bag).await },
        )
    }
}

/// The SDK's own chain of sources, rebuilt after the cache was cleared.
pub(crate) struct ReloadingChain<L> {
    cache: CredentialsCache,
    load: L,
    /// The chain, and the generation of the cache when it was built.
    made: AsyncMutex<(u64, SharedCredentialsProvider)>,
}

impl<L: Fn() -> ConfigLoader + Send + Sync + 'static> ReloadingChain<L> {
    /// Wraps the chain of a configuration. `load` rebuilds it.
    pub(crate) fn wrap(config: &SdkConfig, cache: &CredentialsCache, load: L) -> SdkConfig {
        let Some(provider) = config.credentials_provider() else { return config.clone() };
        let made = AsyncMutex::new((cache.generation(), provider));
        let chain = Self { cache: cache.clone(), load, made };
        config.to_builder().credentials_provider(SharedCredentialsProvider::new(chain)).build()
    }

    async fn load_credentials(&self) -> Result {
        let provider = {
            let mut made = self.made.lock().await;
            let generation = self.cache.generation();
            if made.0 != generation {
                let config = Box::pin((self.load)().load()).await;
                let provider = config.credentials_provider();
                *made = (generation, provider.ok_or_else(CredentialsError::not_loaded_no_source)?);
            }
            made.1.clone()
        };
        provider.provide_credentials().await
    }
}

impl<L> fmt::Debug for ReloadingChain<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadingChain").finish_non_exhaustive()
    }
}

impl<L: Fn() -> ConfigLoader + Send + Sync + 'static> ProvideCredentials for ReloadingChain<L> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load_credentials())
    }
}

/// The credentials of a role in another account.
#[derive(Debug)]
pub(crate) struct AssumedRole {
    sts: aws_sdk_sts::Client,
    role: String,
    external_id: Option<String>,
}

impl AssumedRole {
    /// Returns a configuration that uses a role, given by its ARN. `sts` provides its credentials.
    pub(crate) fn config(
        config: &SdkConfig,
        sts: aws_sdk_sts::Client,
        role: String,
        external_id: Option<String>,
    ) -> SdkConfig {
        let assumed = Self { sts, role, external_id };
        config.to_builder().credentials_provider(SharedCredentialsProvider::new(assumed)).build()
    }

    async fn load_credentials(&self) -> Result {
        let call = self.sts.assume_role().role_arn(&self.role).role_session_name(SESSION_NAME);
        let answer = call.set_external_id(self.external_id.clone()).send().await.map_err(|error| {
            CredentialsError::provider_error(Fault::from_sdk(
                error,
                format!("could not assume role {}", self.role),
            ))
        })?;
        let given =
            answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS returned no credentials"))?;
        let expiry = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        let (id, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
        Ok(Credentials::new(id, secret, Some(token), Some(expiry), "AssumeRole"))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load_credentials())
    }
}

/// Loads the credentials of a configuration.
pub(crate) async fn load(config: &SdkConfig) -> std::result::Result<Credentials, Fault> {
    let attempted = "could not configure AWS";
    let loaded = async {
        let provider = config.credentials_provider();
        provider.ok_or_else(CredentialsError::not_loaded_no_source)?.provide_credentials().await
    };
    match tokio::time::timeout(LOAD_TIMEOUT, loaded).await {
        Ok(loaded) => loaded.map_err(|error| Fault::from_credentials_error(error, attempted)),
        Err(_) => {
            let message = format!(
                "{attempted}: the AWS credentials were not loaded within {} s; check AWS_PROFILE, and the program \
                 it names",
                LOAD_TIMEOUT.as_secs()
            );
            Err(Fault::new(FaultKind::Unavailable, message))
        }
    }
}
