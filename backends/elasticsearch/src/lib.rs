//! The store of ECS Scheduler in Elasticsearch 7 to 9 or OpenSearch 1 to 3.
//!
//! `doc/stores/elasticsearch.md` describes guarantees and indices. In short: jobs stay one document each in the index that
//! the Python version wrote (`documents`), everything else is a log in a second index (`log`), and
//! `ecs-scheduler-backend-log-store` makes a store of the two. `client` has a dozen REST calls, `transport` retries them on
//! one node after the other, and `schema` checks the cluster and creates missing indices when a store is opened.
//!
//! ```no_run
//! # use ecs_scheduler_backend_elasticsearch::{Cluster, ElasticsearchOptions, IndexName};
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster { nodes: vec!["https://elastic:secret@es1:9200".parse()?], ..Cluster::default() };
//! let store = ElasticsearchOptions::new(cluster, IndexName::new("jobs")?).open().await?;
//! # drop(store); Ok(()) }
//! ```

mod client;
mod cluster;
mod documents;
mod error;
mod index;
mod legacy_config;
mod log;
mod message;
mod open;
mod provider;
mod schema;
mod timeouts;
mod tls;
mod transport;

pub use cluster::{Cluster, Credentials, InvalidNode, Node, Secret};
pub use index::{IndexName, InvalidIndexName};
pub use legacy_config::LegacyConfig;
pub use open::ElasticsearchOptions;
pub use provider::ElasticsearchProvider;
pub use timeouts::ClusterTimeouts;
