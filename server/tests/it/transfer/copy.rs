//! Transfers that are interrupted, refused, and verified.

use std::cell::Cell;

use ecs_scheduler::error::CommandError;
use ecs_scheduler::transfer::copy::{Stage, TransferOptions};
use ecs_scheduler::transfer::{StoreReader, TransferItem, TransferReport, TransferSource, copy_items};
use ecs_scheduler_core::{
    JobId, JobStore as _, Journal as _, MemoryStore, Registers as _, Store, TickOutcome, async_trait,
};
use ecs_scheduler_testing::sample::{self, new_job};

use super::fixtures::{at, lines, sqlite, store_of};

/// A source that breaks off.
struct Breaking<S> {
    inner: S,
    left: usize,
}

#[async_trait]
impl<S: TransferSource> TransferSource for Breaking<S> {
    async fn next(&mut self) -> Result<Option<TransferItem>, CommandError> {
        if self.left == 0 {
            return Err(CommandError::failed("it broke off"));
        }
        self.left -= 1;
        self.inner.next().await
    }

    fn expected(&self) -> u64 {
        self.inner.expected()
    }
}

fn options() -> TransferOptions<'static> {
    TransferOptions { target: "the target", dry_run: false, progress: &|_, _| {} }
}

async fn move_all(from: &dyn Store, to: &dyn Store) -> Result<TransferReport, CommandError> {
    let mut reader = StoreReader::open(from).await.unwrap();
    copy_items(&mut reader, to, &options()).await
}

/// Asserts that a transfer is refused and writes nothing; returns the message.
async fn refusal(from: &dyn Store, to: &dyn Store) -> String {
    let before = lines(to).await;
    let message = move_all(from, to).await.expect_err("it is refused").lines().join("\n");
    assert_eq!(lines(to).await, before, "nothing was written");
    message
}

#[tokio::test]
async fn transfer_copies_every_byte_and_verifies_it() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (store_of(1_200).await, sqlite(&folder.path().join("jobs.db")).await);
    let steps = Cell::new((0, 0));
    let progress = |stage, count: u64| {
        let (moved, verified) = steps.get();
        steps.set(if stage == Stage::Moving { (moved + count, verified) } else { (moved, verified + count) });
    };
    let mut reader = StoreReader::open(&from).await.unwrap();
    let how = TransferOptions { progress: &progress, ..options() };
    let moved = copy_items(&mut reader, &to, &how).await.unwrap();
    assert_eq!(lines(&to).await, lines(&from).await);
    assert_eq!((moved.added.jobs, moved.added.decisions, moved.added.firings), (1_200, 3_600, 2_400));
    assert!(moved.verified && moved.present.items() == 0);
    assert_eq!(steps.get(), (4_801, 4_801));
    let open = (from.open_firings().await.unwrap().len(), to.open_firings().await.unwrap().len());
    assert_eq!(open, (2_400, 2_400), "open firings are open");
}

#[tokio::test]
async fn backfill_that_is_under_way_is_copied_and_an_ended_one_is_not() {
    let (from, to) = (store_of(2).await, MemoryStore::default());
    let jobs =
        from.list(ecs_scheduler_core::ListFrom::Skip(0), std::num::NonZeroUsize::MAX).await.unwrap().jobs;
    let register = |number: usize| ecs_scheduler_core::backfill::register_of(&jobs[number].uid);
    let list = serde_json::json!([{"id": "b", "job": jobs[0].id, "uid": jobs[0].uid}]).to_string();
    let registers = [
        ("backfills/03".to_owned(), list.as_str()),
        ("backfills/04".to_owned(), "[]"),
        (register(0), "under way"),
        (register(1), "ended"),
    ];
    for (name, value) in &registers {
        from.put_register(name, value, None, None).await.unwrap();
    }
    move_all(&from, &to).await.unwrap();
    assert_eq!(lines(&to).await, lines(&from).await);
    for (index, (name, value)) in registers.iter().enumerate() {
        let copied = to.get_register(name).await.unwrap().map(|register| register.value);
        assert_eq!(copied.as_deref(), [0, 2].contains(&index).then_some(*value), "{name}");
    }
}

#[tokio::test]
async fn interrupted_transfer_resumes() {
    let from = store_of(1_100).await;
    let expected = lines(&from).await;
    for breaks in [999, 1_201, 3_000] {
        let to = MemoryStore::default();
        let inner = StoreReader::open(&from).await.unwrap();
        let broken = copy_items(&mut Breaking { inner, left: breaks }, &to, &options()).await;
        assert!(broken.is_err());
        let there = lines(&to).await.len() as u64;
        let moved = move_all(&from, &to).await.unwrap();
        assert_eq!((moved.present.items(), moved.added.items()), (there, 4_401 - there), "after {breaks}");
        assert!(lines(&to).await == expected, "after {breaks}");
    }
}

#[tokio::test]
async fn a_transfer_that_is_complete_adds_nothing() {
    let (from, to) = (store_of(5).await, MemoryStore::default());
    move_all(&from, &to).await.unwrap();
    let again = move_all(&from, &to).await.unwrap();
    assert_eq!((again.added.items(), again.present.items()), (0, 21));
    assert!(again.verified);
}

#[tokio::test]
async fn a_target_that_holds_anything_else_is_refused_and_left_alone() {
    let from = store_of(3).await;
    let other = MemoryStore::default();
    other.create(new_job("own", "{}")).await.unwrap();
    let message = refusal(&from, &other).await;
    assert!(message.contains("the target contains job \"own\" in the place of job \"job-0\""), "{message}");

    let more = MemoryStore::default();
    move_all(&from, &more).await.unwrap();
    more.create(new_job("own", "{}")).await.unwrap();
    let message = refusal(&from, &more).await;
    assert!(message.contains("contains job \"own\" in the place of"), "{message}");

    let changed = MemoryStore::default();
    move_all(&from, &changed).await.unwrap();
    let job = changed.get(&[JobId::new("job-0").unwrap()]).await.unwrap().remove(0);
    changed.replace(&job.id, job.revision, job.document.clone(), at(99)).await.unwrap();
    let message = refusal(&from, &changed).await;
    assert!(message.contains("another version of job \"job-0\""), "{message}");

    let braked = MemoryStore::default();
    braked.put_register("brake", "{\"on\":true}", None, None).await.unwrap();
    let message = refusal(&from, &braked).await;
    assert!(message.contains("register \"brake\""), "{message}");
    let message = refusal(&MemoryStore::default(), &braked).await;
    assert!(message.contains("which the source does not have"), "{message}");
}

#[tokio::test]
async fn dry_run_reports_missing_items_and_writes_nothing() {
    let (from, to) = (store_of(3).await, MemoryStore::default());
    let mut reader = StoreReader::open(&from).await.unwrap();
    let would = copy_items(&mut reader, &to, &TransferOptions { dry_run: true, ..options() }).await.unwrap();
    assert_eq!((would.added.jobs, would.added.items(), would.verified), (3, 13, false));
    assert!(lines(&to).await.is_empty());
}

#[tokio::test]
async fn a_source_that_changes_while_it_is_read_is_noticed() {
    let store = store_of(3).await;
    let mut reader = StoreReader::open(&store).await.unwrap();
    let job = store.get(&[JobId::new("job-0").unwrap()]).await.unwrap().remove(0);
    let settlement = sample::settlement(&job, vec![sample::draft(TickOutcome::Missed, at(50))]);
    store.settle(vec![settlement]).await.unwrap();
    let to = MemoryStore::default();
    let message = copy_items(&mut reader, &to, &options()).await.unwrap_err().lines().join("\n");
    assert!(message.contains("changed while it was read; stop every scheduler that uses it"), "{message}");
}
