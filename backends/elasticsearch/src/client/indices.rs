//! The calls for the cluster's version and for indices.

use std::collections::BTreeMap;
use std::fmt;

use ecs_scheduler_core::StoreError;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{RestClient, escape, get};
use crate::error;
use crate::message::{ApiRequest, ErrorBody};

/// The product that a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Elasticsearch,
    OpenSearch,
}

/// The product and the version that a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProductVersion {
    pub(crate) product: Product,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl ProductVersion {
    /// Tells whether the store supports this version.
    pub(crate) fn is_supported(self) -> bool {
        match self.product {
            Product::Elasticsearch => (7..=9).contains(&self.major),
            Product::OpenSearch => (1..=3).contains(&self.major),
        }
    }

    /// Tells whether writes can require that their target is an alias: since Elasticsearch 7.10.
    pub(crate) fn has_require_alias(self) -> bool {
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

/// The mappings and settings of an index.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct IndexDescription {
    #[serde(default)]
    pub(crate) mappings: Map<String, Value>,
    /// By their flat names: `index.translog.durability`.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Value>,
}

impl RestClient {
    /// Reads product and version; nothing when the cluster is neither Elasticsearch nor OpenSearch.
    pub(crate) async fn read_version(&self) -> Result<Option<ProductVersion>, StoreError> {
        #[derive(Deserialize)]
        struct RootJson {
            version: VersionJson,
            #[serde(default)]
            tagline: String,
        }
        #[derive(Deserialize)]
        struct VersionJson {
            number: String,
            distribution: Option<String>,
        }
        let request = get("/".to_owned(), "read the cluster's version (permission: monitor)".to_owned());
        let response = self.transport.send(&request).await?;
        if response.status != StatusCode::OK {
            return Err(error::refused(&request, &response));
        }
        let Ok(RootJson { version, tagline }) = serde_json::from_slice(&response.body) else {
            return Ok(None);
        };
        let product = match (version.distribution.as_deref(), tagline.as_str()) {
            (Some("opensearch"), _) => Product::OpenSearch,
            (None, "You Know, for Search") => Product::Elasticsearch,
            _ => return Ok(None),
        };
        let mut numbers = version.number.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return Ok(None) };
        Ok(Some(ProductVersion { product, major, minor }))
    }

    /// Describes the indices behind a name, each under its own name; nothing when there is none.
    pub(crate) async fn describe_index(
        &self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, IndexDescription>>, StoreError> {
        let action = format!("read the settings of index \"{name}\" (permission: view_index_metadata)");
        let request = get(format!("/{}?flat_settings=true", escape(name)), action);
        let response = self.transport.send(&request).await?;
        match response.status {
            StatusCode::NOT_FOUND if ErrorBody::parse(&response.body).kind == "index_not_found_exception" => {
                Ok(None)
            }
            _ => Self::expect_ok(&request, &response).map(Some),
        }
    }

    /// Creates an index with an alias. An existing index is no error.
    pub(crate) async fn create_index(
        &self,
        name: &str,
        alias: &str,
        settings: &Value,
        mappings: &Value,
    ) -> Result<(), StoreError> {
        let body =
            json!({ "settings": settings, "mappings": mappings, "aliases": { alias: {} } }).to_string();
        let action =
            format!("create index \"{name}\" with alias \"{alias}\" (permissions: create_index, manage)");
        let request = ApiRequest { method: Method::PUT, path: format!("/{}", escape(name)), body, action };
        let response = self.transport.send(&request).await?;
        if response.status == StatusCode::BAD_REQUEST
            && ErrorBody::parse(&response.body).kind == "resource_already_exists_exception"
        {
            return Ok(());
        }
        Self::expect_ok(&request, &response).map(|_: Value| ())
    }

    /// Disables dynamic mapping: the index no longer derives types for unknown fields.
    pub(crate) async fn disable_dynamic_mapping(&self, name: &str) -> Result<(), StoreError> {
        let body = json!({ "dynamic": false }).to_string();
        let action = format!("disable dynamic mapping of index \"{name}\" (permission: manage)");
        let request =
            ApiRequest { method: Method::PUT, path: format!("/{}/_mapping", escape(name)), body, action };
        self.send_expecting_ok(&request).await.map(|_: Value| ())
    }
}
