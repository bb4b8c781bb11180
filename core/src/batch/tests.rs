use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;

/// The keys that a source was asked for, call by call.
#[derive(Default)]
struct Calls {
    keys: Mutex<Vec<Vec<u32>>>,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
    finished: Notify,
}

/// Reads key `n` as `n` after a second. Key 13 makes it panic, 14 hang, 15 is left out, 16 cannot be read.
struct Numbers<const MAX: usize>(Arc<Calls>);

#[async_trait]
impl<const MAX: usize> Source for Numbers<MAX> {
    type Key = u32;
    type Reading = u32;
    const MAX_KEYS: usize = MAX;

    async fn read(&self, keys: &[u32]) -> HashMap<u32, Result<u32, TriggerError>> {
        self.0.keys.lock().push(keys.to_vec());
        let now = self.0.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_under_way.fetch_max(now, Ordering::SeqCst);
        assert!(!keys.contains(&13), "thirteen");
        if keys.contains(&14) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.finished.notify_one();
        let reading = |key: u32| match key {
            16 => Err(TriggerError::new(FaultKind::Denied, "could not read 16")),
            key => Ok(key),
        };
        keys.iter().filter(|key| **key != 15).map(|key| (*key, reading(*key))).collect()
    }
}

fn batcher<const MAX: usize>() -> (Batcher<Numbers<MAX>>, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    (Batcher::new(Numbers(Arc::clone(&calls))), calls)
}

impl Calls {
    fn sizes(&self) -> Vec<usize> {
        self.keys.lock().iter().map(Vec::len).collect()
    }

    fn total(&self) -> usize {
        self.sizes().iter().sum()
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_reads_of_fifty_keys_read_fifty_keys() {
    let (batcher, calls) = batcher::<500>();
    let readings = join_all((0..1_000).map(|n| batcher.read(100 + n % 50))).await;
    assert!(readings.iter().zip(0..).all(|(reading, n)| *reading.as_ref().unwrap() == 100 + n % 50));
    assert_eq!(calls.sizes(), [50]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_reads_one_key_a_call_still_reads_each_once() {
    let (batcher, calls) = batcher::<1>();
    join_all((0..1_000).map(|n| batcher.read(100 + n % 50))).await;
    assert_eq!(calls.sizes(), [1; 50]);
    assert_eq!(calls.most_under_way.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_a_call_takes_are_split() {
    let (batcher, calls) = batcher::<20>();
    join_all((0..1_000).map(|n| batcher.read(100 + n % 50))).await;
    assert_eq!(calls.sizes(), [20, 20, 10]);
}

#[tokio::test(start_paused = true)]
async fn full_batch_is_read_before_the_window_closes() {
    let (batcher, _) = batcher::<2>();
    let start = Instant::now();
    join_all([batcher.read(1), batcher.read(2)]).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    batcher.read(3).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(2) + BatchLimits::default().window);
}

#[tokio::test(start_paused = true)]
async fn a_read_after_the_window_gets_a_new_reading() {
    let (batcher, calls) = batcher::<500>();
    let first = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.read(1).await }
    });
    // The window has closed and the first reading is still under way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!first.is_finished());
    batcher.read(1).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(calls.sizes(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_read_fails_only_its_own_callers() {
    let (batcher, _) = batcher::<1>();
    let (thirteen, fine) = tokio::join!(batcher.read(13), batcher.read(1));
    assert_eq!(thirteen.unwrap_err().kind(), FaultKind::Bug);
    assert_eq!(fine.unwrap(), 1);
    assert_eq!(batcher.read(2).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_read_times_out_and_releases_its_permit() {
    let calls = Arc::new(Calls::default());
    let limits = BatchLimits { max_concurrent_reads: 1, ..BatchLimits::default() };
    let batcher = Batcher::with_limits(Numbers::<1>(Arc::clone(&calls)), limits);
    let start = Instant::now();
    let (hanging, next) = tokio::join!(batcher.read(14), batcher.read(1));
    let error = hanging.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (FaultKind::Unavailable, "the source did not answer within 10s")
    );
    assert_eq!(next.unwrap(), 1);
    assert_eq!(start.elapsed(), Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_denied_key_fails_alone() {
    let (batcher, _) = batcher::<500>();
    let (left_out, refused, fine) = tokio::join!(batcher.read(15), batcher.read(16), batcher.read(17));
    assert_eq!(left_out.unwrap_err().kind(), FaultKind::Bug);
    assert_eq!(refused.unwrap_err().kind(), FaultKind::Denied);
    assert_eq!(fine.unwrap(), 17);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_read_does_not_affect_the_others() {
    let (batcher, calls) = batcher::<500>();
    let gone = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.read(1).await }
    });
    let alone = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.read(2).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    alone.abort();
    assert_eq!(batcher.read(1).await.unwrap(), 1);
    // Key 2 had no waiting caller.
    assert_eq!(*calls.keys.lock(), [[1]]);
}

#[tokio::test(start_paused = true)]
async fn keys_beyond_max_waiting_wait_for_capacity() {
    let calls = Arc::new(Calls::default());
    let limits = BatchLimits { max_concurrent_reads: 1, ..BatchLimits::default() };
    let batcher = Batcher::with_limits(Numbers::<1_000>(Arc::clone(&calls)), limits);
    let keys = 100..100 + u32::try_from(MAX_WAITING).unwrap() + 500;
    let all = tokio::spawn({
        let batcher = batcher.clone();
        async move { join_all(keys.map(|key| batcher.read(key))).await }
    });
    calls.finished.notified().await;
    // Keys without a permit are not in any batch yet.
    assert!(calls.total() <= MAX_WAITING);
    assert!(all.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(calls.total(), MAX_WAITING + 500);
    assert_eq!(calls.most_under_way.load(Ordering::SeqCst), 1);
}

#[test]
fn a_clone_of_an_error_prints_its_chain_once() {
    let error = TriggerError::new(FaultKind::Throttled, "could not read queue \"q\"")
        .with_source(std::io::Error::other("connection refused"));
    let copy = error.clone();
    assert_eq!(copy.kind(), FaultKind::Throttled);
    assert_eq!(crate::fault::chain(&copy), "could not read queue \"q\": connection refused");
}

fn tick(nominal: &str, observed: &str) -> Tick {
    Tick::new(nominal.parse().unwrap(), observed.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn successive_evaluations_of_one_round_share_a_reading() {
    let (batcher, calls) = batcher::<1>();
    let noon = |millis| tick("2026-11-22T12:00:00Z", &format!("2026-11-22T12:00:00.{millis:03}Z"));
    let early = batcher.read_for(noon(3), 1);
    let late = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        batcher.read_for(noon(403), 1).await
    };
    let (early, late) = futures::join!(early, late);
    assert_eq!((early.unwrap(), late.unwrap()), (1, 1));
    // An answer that came already is shared as well, for as long as the round lasts.
    assert_eq!(batcher.read_for(noon(999), 1).await.unwrap(), 1);
    assert_eq!(calls.total(), 1);
    assert_eq!(
        batcher.read_for(tick("2026-11-22T12:00:00Z", "2026-11-22T12:00:01.004Z"), 1).await.unwrap(),
        1
    );
    assert_eq!(calls.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_later_tick_gets_a_new_reading() {
    let (batcher, calls) = batcher::<1>();
    batcher.read_for(tick("2026-11-22T12:00:00Z", "2026-11-22T12:00:00.1Z"), 1).await.unwrap();
    batcher.read_for(tick("2026-11-22T12:00:00.5Z", "2026-11-22T12:00:00.5Z"), 1).await.unwrap();
    batcher.read(1).await.unwrap();
    assert_eq!(calls.total(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_reading_for_a_tick_without_a_waiting_caller_is_skipped() {
    let (batcher, calls) = batcher::<1>();
    let noon = tick("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z");
    let busy = join_all((0..4).map(|n| batcher.read_for(noon, 100 + n)));
    let gone = tokio::time::timeout(Duration::from_millis(500), batcher.read_for(noon, 1));
    let (_, gone) = futures::join!(busy, gone);
    assert!(gone.is_err());
    assert_eq!(batcher.read(2).await.unwrap(), 2);
    assert_eq!(calls.keys.lock().concat(), [100, 101, 102, 103, 2]);
}

#[tokio::test(start_paused = true)]
async fn readings_of_a_round_are_evicted_after_their_ttl() {
    let (batcher, _) = batcher::<1>();
    batcher.read_for(tick("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"), 1).await.unwrap();
    tokio::time::sleep(TTL * 2).await;
    let inner = Arc::clone(&batcher.inner);
    assert!(
        inner
            .window
            .lock()
            .tick_cache
            .get(&1, tick("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"))
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_stays_open_while_keys_keep_coming_up_to_max_wait() {
    let calls = Arc::new(Calls::default());
    let limits = BatchLimits {
        window: Duration::from_millis(50),
        max_wait: Duration::from_millis(200),
        ..BatchLimits::default()
    };
    let batcher = Batcher::with_limits(Numbers::<500>(Arc::clone(&calls)), limits);
    let read = |n: u32, after: u64| {
        let batcher = batcher.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            batcher.read(n).await
        }
    };
    join_all((0..10).map(|n| read(100 + n, 45 * u64::from(n)))).await;
    assert_eq!(calls.sizes(), [5, 5]);
}
