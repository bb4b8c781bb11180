//! The cluster's version, and its indices.

use std::collections::BTreeMap;
use std::fmt;

use ecs_scheduler_core::StoreError;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, escape, get};
use crate::error::{self, Said};
use crate::transport::Call;

/// Whose cluster it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Elasticsearch,
    OpenSearch,
}

/// Whose cluster it is, and of which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProductVersion {
    pub(crate) product: Product,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl ProductVersion {
    /// Tells whether we know how it behaves.
    pub(crate) fn is_supported(self) -> bool {
        match self.product {
            Product::Elasticsearch => (7..=9).contains(&self.major),
            Product::OpenSearch => (1..=3).contains(&self.major),
        }
    }

    /// Tells whether a write can demand that its target is an alias: since Elasticsearch 7.10.
    pub(crate) fn knows_require_alias(self) -> bool {
        self.product == Product::OpenSearch || (self.major, self.minor) >= (7, 10)
    }
}

impl fmt::Display for ProductVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = match self.product {
            Product::Elasticsearch => "Elasticsearch",
            Product::OpenSearch => "OpenSearch",
        };
        write!(f, "{product} {}.{}", self.major, self.minor)
    }
}

/// An index as the cluster describes it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct IndexState {
    #[serde(default)]
    pub(crate) mappings: Map<String, Value>,
    /// Flat: `index.translog.durability`.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Value>,
}

impl Api {
    /// Asks who answers; nothing when it is neither Elasticsearch nor OpenSearch.
    pub(crate) async fn product(&self) -> Result<Option<ProductVersion>, StoreError> {
        #[derive(Deserialize)]
        struct Body {
            version: Version,
            #[serde(default)]
            tagline: String,
        }
        #[derive(Deserialize)]
        struct Version {
            number: String,
            distribution: Option<String>,
        }
        let call = get("/".to_owned(), "ask the cluster for its version (permission: monitor)".to_owned());
        let answer = self.wire.send(&call).await?;
        if answer.status != StatusCode::OK {
            return Err(error::refused(&call, &answer));
        }
        let Ok(Body { version, tagline }) = serde_json::from_slice(&answer.body) else { return Ok(None) };
        let product = match (version.distribution.as_deref(), tagline.as_str()) {
            (Some("opensearch"), _) => Product::OpenSearch,
            (None, "You Know, for Search") => Product::Elasticsearch,
            _ => return Ok(None),
        };
        let mut numbers = version.number.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return Ok(None) };
        Ok(Some(ProductVersion { product, major, minor }))
    }

    /// Describes the indices behind a name, each under its own; nothing when there is none.
    pub(crate) async fn index(&self, name: &str) -> Result<Option<BTreeMap<String, IndexState>>, StoreError> {
        let aim = format!("look at index \"{name}\" (permission: view_index_metadata)");
        let call = get(format!("/{}?flat_settings=true", escape(name)), aim);
        let answer = self.wire.send(&call).await?;
        match answer.status {
            StatusCode::NOT_FOUND if Said::read(&answer.body).kind == "index_not_found_exception" => Ok(None),
            _ => self.expect(&call, &answer).map(Some),
        }
    }

    /// Creates an index under an alias. That it exists already is no error.
    pub(crate) async fn create_index(
        &self,
        name: &str,
        alias: &str,
        settings: &Value,
        mappings: &Value,
    ) -> Result<(), StoreError> {
        let body =
            json!({ "settings": settings, "mappings": mappings, "aliases": { alias: {} } }).to_string();
        let aim =
            format!("create index \"{name}\" with alias \"{alias}\" (permissions: create_index, manage)");
        let call = Call { method: Method::PUT, path: format!("/{}", escape(name)), body, aim };
        let answer = self.wire.send(&call).await?;
        if answer.status == StatusCode::BAD_REQUEST
            && Said::read(&answer.body).kind == "resource_already_exists_exception"
        {
            return Ok(());
        }
        self.expect(&call, &answer).map(|_: Value| ())
    }

    /// Stops an index from guessing types of fields that it does not know.
    pub(crate) async fn stop_guessing(&self, name: &str) -> Result<(), StoreError> {
        let body = json!({ "dynamic": false }).to_string();
        let aim = format!("stop index \"{name}\" from guessing types of fields (permission: manage)");
        let call = Call { method: Method::PUT, path: format!("/{}/_mapping", escape(name)), body, aim };
        self.ask(&call).await.map(|_: Value| ())
    }
}
