//! Clients by region and account.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_types::SdkConfig;
use parking_lot::Mutex;

use crate::context::{AwsContext, AwsScope};
use crate::fault::Fault;

/// One `T` for each region and account, made on first use. A scope that does not answer delays no other.
pub struct RegionalClients<T> {
    aws: AwsContext,
    /// By scope as jobs name it. A scope with two names has one `T`.
    clients: Mutex<HashMap<AwsScope, Arc<T>>>,
}

impl<T> fmt::Debug for RegionalClients<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionalClients").field("known", &self.clients.lock().keys()).finish_non_exhaustive()
    }
}

impl<T> RegionalClients<T> {
    /// Makes the collection. Makes no call.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { aws, clients: Mutex::default() }
    }

    /// Returns the AWS context.
    #[must_use]
    pub fn aws(&self) -> &AwsContext {
        &self.aws
    }

    /// Returns the `T` of a scope. `make` gets the scope's configuration and the region's name.
    ///
    /// # Errors
    ///
    /// As [`AwsContext::config`].
    pub async fn at(
        &self,
        scope: &AwsScope,
        make: impl FnOnce(&SdkConfig, String) -> T,
    ) -> Result<Arc<T>, Fault> {
        if let Some(client) = self.clients.lock().get(scope) {
            return Ok(Arc::clone(client));
        }
        let config = self.aws.config(scope).await?;
        let region = config.region().map(|region| region.to_string()).unwrap_or_default();
        let full = AwsScope { region: Some(region.clone()), account: scope.account.clone() };
        let mut clients = self.clients.lock();
        let client = clients.entry(full).or_insert_with(|| Arc::new(make(&config, region)));
        let client = Arc::clone(client);
        clients.insert(scope.clone(), Arc::clone(&client));
        Ok(client)
    }
}
