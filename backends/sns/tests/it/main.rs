//! The publisher with the real SDK, against the strict fake and against moto.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod fake;
mod moto;

use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_sns::{SnsMessage, SnsPublisher};
use ecs_scheduler_core::SystemClock;

/// The default region, which is not that of the topics.
const REGION: &str = "us-east-1";

fn publisher(url: String) -> SnsPublisher {
    SnsPublisher::new(AwsContext::new(AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(url),
        credentials: Some(("key".to_owned(), "secret".to_owned())),
        ..AwsSettings::new(Arc::new(SystemClock))
    }))
}

const MESSAGE: SnsMessage<'static> = SnsMessage {
    id: "kvGAg0BzXVJtVgk1c6qYbBRL",
    subject: "[nightly] job report fails",
    body: r#"{"type":"io.ecs-scheduler.job.failing"}"#,
    group: "report",
    attributes: &[("type", "io.ecs-scheduler.job.failing"), ("job", "report")],
};
