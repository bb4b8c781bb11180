//! One replica as a process: what the server starts, without its API.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use ecs_scheduler_core::replica::{Replica, ReplicaHandle, ReplicaOptions, Timing};
use ecs_scheduler_core::{Engine, EngineOptions, SystemClock, TriggerRegistry};
use tokio::sync::mpsc;

use crate::bench_store::BenchStore;
use crate::instant::Instant;

/// The first word that it is started with; then follow its name and where the jobs are.
pub(crate) const ROLE: &str = "member";

/// Answers each line with what was done so far, and ends with the input.
pub(crate) async fn serve(name: &str, store: &BenchStore) -> anyhow::Result<()> {
    let (store, calls) = store.open().await?;
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
    let mut asked = questions();
    while asked.recv().await.is_some() {
        let answer = (shards(&replica), launcher.take_late().len(), calls());
        writeln!(std::io::stdout(), "{} {} {}", answer.0, answer.1, answer.2)?;
    }
    replica.stop(Timing::default().drain_timeout * 2).await;
    store.close().await.context("the store closes")
}

/// Reads lines from the standard input in a thread of its own, which a read that never ends does not keep from ending.
fn questions() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| send.blocking_send(line))
    });
    receive
}

fn shards(replica: &ReplicaHandle) -> usize {
    replica.replicas().iter().filter(|view| view.here).map(|view| view.shards.len()).sum()
}
