//! The store of ECS Scheduler in Elasticsearch 7 to 9 or OpenSearch 1 to 3.
//!
//! `doc/stores/elasticsearch.md` says what is promised and how the indices look. In short: jobs stay one document each in
//! the index that the Python version wrote (`documents`), everything else is a log in a second index (`log`), and
//! `ecs-scheduler-backend-segments` makes a store of the two. What is written is said in a dozen REST calls (`api`) that are
//! tried on one node after the other (`wire`); `prepare` looks at the cluster and makes what is missing when a store is opened.
//!
//! ```no_run
//! # use ecs_scheduler_backend_elasticsearch::{Cluster, ElasticsearchOptions, IndexName};
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster { nodes: vec!["https://elastic:secret@es1:9200".parse()?], ..Cluster::default() };
//! let store = ElasticsearchOptions::new(cluster, IndexName::new("jobs")?).open().await?;
//! # drop(store); Ok(()) }
//! ```

mod bootstrap;
mod client;
mod cluster;
mod documents;
mod error;
mod index;
mod legacy_config;
mod log;
mod open;
mod settings;
mod tls;
mod transport;

pub use cluster::{Cluster, InvalidNode, Login, Node, Secret};
pub use index::{IndexName, InvalidIndexName};
pub use legacy_config::PythonOptions;
pub use open::{ElasticsearchOptions, Patience};
pub use settings::Settings;
