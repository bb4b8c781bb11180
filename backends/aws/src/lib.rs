#![doc = include_str!("../README.md")]

mod context;
mod credentials;
mod fault;
mod limits;
mod meter;
mod partition;
mod price;
mod rate_limiter;
mod regional_clients;
mod resource_name;
mod skew;

pub use aws_smithy_runtime_api::client::interceptors::Intercept;
pub use aws_types::SdkConfig;
pub use context::{AssumeRole, AwsContext, AwsScope, AwsSettings, Timeouts, is_account};
pub use fault::Fault;
pub use limits::{
    FARGATE_CALLS, FARGATE_TASKS, PUBLISH, Quota, READ_CLUSTER, READ_DEFINITION, READ_LOG, RUN_TASK, Share,
};
pub use meter::{Meter, Metering};
pub use partition::{is_region, partition};
pub use rate_limiter::{RateLimiter, RateLimiters};
pub use regional_clients::RegionalClients;
pub use resource_name::check_resource_name;
