//! The fake as a program: prints its address as the first line, and serves until it is ended.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Parser;
use ecs_scheduler_fake_aws::{Fake, FakeOptions};

/// A strict fake of ECS, SQS, CloudWatch and DynamoDB on 127.0.0.1, for tests.
#[derive(Debug, Parser)]
struct Arguments {
    /// The port to listen on; 0 = a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A JSON file with the first settings.
    #[arg(long)]
    settings: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut options = FakeOptions { port: arguments.port, ..FakeOptions::default() };
    if let Some(path) = arguments.settings {
        let text = std::fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        options.settings = serde_json::from_slice(&text)
            .with_context(|| format!("could not understand {}", path.display()))?;
    }
    let fake = Fake::start(options).await.context("could not listen on 127.0.0.1")?;
    println!("{}", fake.url());
    std::io::stdout().flush().context("could not print the address")?;
    tokio::signal::ctrl_c().await.context("could not wait for the end")
}
