#![doc = include_str!("../README.md")]

mod client;
mod credentials;
mod fault;
mod limits;
mod meter;
mod pace;
mod partition;
mod price;
mod sites;
mod skew;

pub use aws_smithy_runtime_api::client::interceptors::Intercept;
pub use aws_types::SdkConfig;
pub use client::{AssumeRole, Aws, AwsSettings, Place, Timeouts};
pub use fault::Fault;
pub use limits::{FARGATE_CALLS, FARGATE_TASKS, Quota, READ_CLUSTER, READ_DEFINITION, RUN_TASK, Share};
pub use meter::{JobUse, Meter, MeterReport, Metering, OperationUse};
pub use pace::{Pacer, Pacers};
pub use partition::partition;
pub use sites::Sites;
