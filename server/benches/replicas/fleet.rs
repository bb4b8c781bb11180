//! Several replicas, and what they are asked.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::bench_store::BenchStore;
use crate::member;

/// How long replicas may take to share everything, and to end.
const FLEET_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
const SHARDS: usize = 16;

/// Work of all replicas together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Firings handed over to the launcher.
    pub(crate) fired: usize,
    /// Calls to the store, where the replicas count them.
    pub(crate) calls: u64,
}

/// Replicas at work.
pub(crate) struct Fleet {
    members: Vec<Mutex<Member>>,
}

/// One of them; it is killed when it is dropped.
struct Member {
    process: Child,
    requests: ChildStdin,
    responses: Lines<BufReader<ChildStdout>>,
    /// It answers with what came since the last time.
    fired: usize,
}

impl Fleet {
    pub(crate) async fn start(size: usize, store: &BenchStore) -> anyhow::Result<Self> {
        let members = (0..size).map(|number| Member::start(number, store).map(Mutex::new));
        Ok(Self { members: members.collect::<Result<_, _>>()? })
    }

    /// Waits until every shard has an owner, and none owns more than its share.
    pub(crate) async fn until_shared(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let shared = |shards: &[usize]| {
            shards.iter().sum::<usize>() == SHARDS
                && shards.iter().all(|owned| *owned == SHARDS / shards.len())
        };
        loop {
            let answers = self.ask().await?;
            let shards: Vec<usize> = answers.iter().map(|(shards, _)| *shards).collect();
            if shared(&shards) {
                return Ok(());
            }
            anyhow::ensure!(
                began.elapsed() < FLEET_TIMEOUT,
                "the replicas do not share the jobs: {shards:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        let answers = self.ask().await?;
        Ok(answers.iter().fold(Counts::default(), |sum, (_, counts)| Counts {
            fired: sum.fired + counts.fired,
            calls: sum.calls + counts.calls,
        }))
    }

    async fn ask(&self) -> anyhow::Result<Vec<(usize, Counts)>> {
        try_join_all(self.members.iter().map(async |member| member.lock().await.ask().await)).await
    }

    /// Has all of them hand over and end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        try_join_all(self.members.into_iter().map(|member| member.into_inner().stop())).await?;
        Ok(())
    }
}

impl Member {
    fn start(number: usize, store: &BenchStore) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([member::ROLE, &format!("member-{number}"), &store.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let requests = process.stdin.take().expect("it is piped");
        let responses = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Ok(Self { process, requests, responses, fired: 0 })
    }

    async fn ask(&mut self) -> anyhow::Result<(usize, Counts)> {
        self.requests.write_all(b"?\n").await?;
        let answer = self.responses.next_line().await?.context("a replica ended")?;
        let numbers: Vec<u64> = answer.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [shards, fired, calls] = numbers[..] else { anyhow::bail!("it answers \"{answer}\"") };
        self.fired += usize::try_from(fired)?;
        Ok((usize::try_from(shards)?, Counts { fired: self.fired, calls }))
    }

    async fn stop(self) -> anyhow::Result<()> {
        let Self { mut process, requests, .. } = self;
        drop(requests);
        let ended =
            tokio::time::timeout(FLEET_TIMEOUT, process.wait()).await.context("a replica does not end")?;
        anyhow::ensure!(ended?.success(), "a replica failed");
        Ok(())
    }
}
