//! One replica as a process: what the server starts, without its API.

use std::sync::Arc;

use anyhow::Context as _;
use ecs_scheduler_core::replica::{Replica, ReplicaHandle, ReplicaOptions, Timing};
use ecs_scheduler_core::{Engine, EngineOptions, SystemClock, TriggerRegistry};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::instant::Instant;
use crate::shelf::Shelf;

/// The first word that it is started with; then follow its name and where the jobs are.
pub(crate) const ROLE: &str = "member";

/// Answers each line with what was done so far, and ends with the input.
pub(crate) async fn serve(name: &str, shelf: &Shelf) -> anyhow::Result<()> {
    let (store, calls) = shelf.open().await?;
    let launcher = Arc::new(Instant::default());
    let engine = Engine {
        options: EngineOptions::default(),
        store: Arc::clone(&store) as _,
        launcher: Arc::clone(&launcher) as _,
        registry: Arc::new(TriggerRegistry::new()),
        clock: Arc::new(SystemClock),
    };
    let options = ReplicaOptions {
        id: name.parse()?,
        address: "http://127.0.0.1:1".to_owned(),
        timing: Timing::default(),
    };
    let replica = Replica { options, engine, store: Arc::clone(&store) }.join().await?;
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while asked.next_line().await?.is_some() {
        let answer = format!("{} {} {}\n", shards(&replica), launcher.take_late().len(), calls());
        answers.write_all(answer.as_bytes()).await?;
        answers.flush().await?;
    }
    replica.stop(Timing::default().farewell * 2).await;
    store.close().await.context("the store closes")
}

fn shards(replica: &ReplicaHandle) -> usize {
    replica.replicas().iter().filter(|view| view.here).map(|view| view.shards.len()).sum()
}
