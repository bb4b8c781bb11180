//! What is kept for each place in which something is read: a client, its batches.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_types::SdkConfig;
use parking_lot::Mutex;

use crate::context::{Aws, Place};
use crate::fault::Fault;

/// One `T` for each region and account, made when it is first asked for, so that a place that does not answer holds up no
/// other.
pub struct Sites<T> {
    aws: Aws,
    /// By place as jobs name it; a place that is named in two ways is one site.
    known: Mutex<HashMap<Place, Arc<T>>>,
}

impl<T> fmt::Debug for Sites<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sites").field("known", &self.known.lock().keys()).finish_non_exhaustive()
    }
}

impl<T> Sites<T> {
    /// Makes the collection; asks AWS nothing.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self { aws, known: Mutex::default() }
    }

    /// Returns the way to AWS.
    #[must_use]
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Returns what is kept for a place. `make` is given the place's configuration and the region's name.
    ///
    /// # Errors
    ///
    /// As [`Aws::config`].
    pub async fn at(
        &self,
        place: &Place,
        make: impl FnOnce(&SdkConfig, String) -> T,
    ) -> Result<Arc<T>, Fault> {
        if let Some(site) = self.known.lock().get(place) {
            return Ok(Arc::clone(site));
        }
        let config = self.aws.config(place).await?;
        let region = config.region().map(|region| region.to_string()).unwrap_or_default();
        let full = Place { region: Some(region.clone()), account: place.account.clone() };
        let mut known = self.known.lock();
        let site = known.entry(full).or_insert_with(|| Arc::new(make(&config, region)));
        let site = Arc::clone(site);
        known.insert(place.clone(), Arc::clone(&site));
        Ok(site)
    }
}
