use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{BatchRequest, BatchResult, BatchWriter, GroupCommit, Priority};
use crate::fault::{FaultKind, chain};
use crate::store::{StoreError, Subject};

const MAX_SIZE: usize = 10;
const WRITE_TIME: Duration = Duration::from_millis(5);

/// The effect of a request on its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Written,
    Refused,
    FailsBatch(FaultKind),
    Panics,
}

#[derive(Debug, Clone)]
struct TestRequest {
    number: usize,
    size: usize,
    priority: Priority,
    effect: Effect,
}

impl TestRequest {
    fn new(number: usize, effect: Effect) -> Self {
        Self { number, size: 1, priority: Priority::High, effect }
    }
}

impl BatchRequest for TestRequest {
    type Response = usize;
    type BatchSize = usize;

    fn admit(&self, size: &mut usize) -> bool {
        *size += self.size;
        *size <= MAX_SIZE
    }

    fn priority(&self) -> Priority {
        self.priority
    }
}

/// The calls of a writer.
#[derive(Debug, Default)]
struct Calls {
    /// The numbers of the requests of each batch, also of those that failed.
    batches: Vec<Vec<usize>>,
    sizes: Vec<usize>,
    /// The numbers of the written requests.
    written: Vec<usize>,
    maintained: usize,
    finished: usize,
}

#[derive(Debug)]
struct TestWriter {
    calls: Arc<Mutex<Calls>>,
    write_time: Duration,
    splits_always: bool,
    answers_short: bool,
    recovers: bool,
}

impl TestWriter {
    fn new(calls: &Arc<Mutex<Calls>>) -> Self {
        let calls = Arc::clone(calls);
        Self { calls, write_time: WRITE_TIME, splits_always: false, answers_short: false, recovers: true }
    }

    fn spawn(self) -> GroupCommit<TestRequest> {
        GroupCommit::spawn(self, closed())
    }
}

impl BatchWriter for TestWriter {
    type Request = TestRequest;

    const QUEUE_CAPACITY: usize = 64;

    async fn write(&mut self, requests: &mut [TestRequest]) -> BatchResult<TestRequest> {
        if !self.write_time.is_zero() {
            sleep(self.write_time).await;
        }
        let mut calls = self.calls.lock();
        calls.batches.push(requests.iter().map(|request| request.number).collect());
        calls.sizes.push(requests.iter().map(|request| request.size).sum());
        for request in &*requests {
            match request.effect {
                Effect::FailsBatch(kind) => {
                    let cause = io::Error::other(format!("request {} is broken", request.number));
                    return Err(StoreError::with_source(kind, "could not write", cause));
                }
                Effect::Panics => panic!("request {} panics", request.number),
                Effect::Written | Effect::Refused => {}
            }
        }
        let mut responses = Vec::new();
        for request in &*requests {
            if request.effect == Effect::Refused {
                responses.push(Err(StoreError::Conflict(Subject::Register(request.number.to_string()))));
            } else {
                calls.written.push(request.number);
                responses.push(Ok(request.number));
            }
        }
        if self.answers_short {
            responses.pop();
        }
        Ok(responses)
    }

    fn splits(&self, error: &StoreError) -> bool {
        self.splits_always || !error.is_transient()
    }

    fn recover(&mut self) -> bool {
        self.recovers
    }

    async fn after_batch(&mut self) {
        self.calls.lock().maintained += 1;
    }

    async fn finish(self) {
        self.calls.lock().finished += 1;
    }
}

fn closed() -> StoreError {
    StoreError::fault(FaultKind::Unavailable, "the store is closed")
}

fn is_closed_error(error: &StoreError) -> bool {
    error.to_string() == closed().to_string()
}

fn has_kind(error: &StoreError, expected: FaultKind) -> bool {
    matches!(error, StoreError::Fault { kind, .. } if *kind == expected)
}

/// Submits requests with these effects at the same time. The first is written alone, the others share a batch.
async fn submit_all(
    group_commit: &GroupCommit<TestRequest>,
    effects: impl IntoIterator<Item = Effect>,
) -> Vec<Result<usize, StoreError>> {
    let requests = effects.into_iter().enumerate().map(|(number, effect)| TestRequest::new(number, effect));
    let first_is_taken = |number| WRITE_TIME / 2 * u32::from(number > 0);
    join_all(requests.map(|request| async move {
        sleep(first_is_taken(request.number)).await;
        group_commit.submit(request).await
    }))
    .await
}

#[tokio::test(start_paused = true)]
async fn requests_that_arrive_during_a_write_share_the_next_batch() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    let effects = [Effect::Written, Effect::Written, Effect::Refused, Effect::Written];
    let results = submit_all(&group_commit, effects).await;
    assert_eq!(calls.lock().batches, [vec![0], vec![1, 2, 3]]);
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Err(error) => assert!(number == 2 && matches!(error, StoreError::Conflict(_)), "{error:?}"),
            Ok(answered) => assert_eq!(answered, number),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lasting_error_fails_only_the_request_that_causes_it() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    let broken = Effect::FailsBatch(FaultKind::Config);
    let results =
        submit_all(&group_commit, [Effect::Written, Effect::Written, broken, Effect::Written]).await;
    assert_eq!(calls.lock().batches, [vec![0], vec![1, 2, 3], vec![1], vec![2], vec![3]]);
    let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn transient_error_fails_the_batch_at_once_and_every_caller_gets_its_source() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    let broken = Effect::FailsBatch(FaultKind::Unavailable);
    let results =
        submit_all(&group_commit, [Effect::Written, Effect::Written, broken, Effect::Written]).await;
    assert_eq!(calls.lock().batches, [vec![0], vec![1, 2, 3]]);
    let errors: Vec<StoreError> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 3);
    for error in &errors {
        assert_eq!(chain(error), "could not write: request 2 is broken");
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()), "the type is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn writer_decides_which_errors_split_a_batch() {
    let calls = Arc::default();
    let group_commit = TestWriter { splits_always: true, ..TestWriter::new(&calls) }.spawn();
    let broken = Effect::FailsBatch(FaultKind::Unavailable);
    let results = submit_all(&group_commit, [Effect::Written, broken, Effect::Written]).await;
    assert_eq!(calls.lock().batches, [vec![0], vec![1, 2], vec![1], vec![2]]);
    assert!(results[2].is_ok());
}

#[tokio::test(start_paused = true)]
async fn cancelled_caller_has_its_request_written() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    let cancelled = timeout(WRITE_TIME / 2, group_commit.submit(TestRequest::new(0, Effect::Written))).await;
    assert!(cancelled.is_err());
    drop(group_commit.enqueue(TestRequest::new(1, Effect::Written)).await.unwrap());
    group_commit.submit(TestRequest::new(2, Effect::Written)).await.unwrap();
    assert_eq!(calls.lock().written, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn request_without_a_response_is_a_fault() {
    let calls = Arc::default();
    let group_commit = TestWriter { answers_short: true, ..TestWriter::new(&calls) }.spawn();
    let results = submit_all(&group_commit, [Effect::Written; 3]).await;
    assert!(results[1].is_ok());
    for number in [0, 2] {
        assert!(has_kind(results[number].as_ref().unwrap_err(), FaultKind::Bug), "{results:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_writer_that_recovers_fails_its_batch_only() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    let results = submit_all(&group_commit, [Effect::Written, Effect::Panics, Effect::Written]).await;
    assert!(results[0].is_ok());
    for result in &results[1..] {
        assert!(has_kind(result.as_ref().unwrap_err(), FaultKind::Bug), "{results:?}");
    }
    assert_eq!(group_commit.submit(TestRequest::new(3, Effect::Written)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_writer_that_does_not_recover_closes_the_queue() {
    let calls = Arc::default();
    let group_commit = TestWriter { recovers: false, ..TestWriter::new(&calls) }.spawn();
    let waits_behind = TestRequest { size: MAX_SIZE, ..TestRequest::new(1, Effect::Written) };
    let panics = TestRequest::new(0, Effect::Panics);
    let (failed, waited) = tokio::join!(group_commit.submit(panics), group_commit.submit(waits_behind));
    assert!(has_kind(&failed.unwrap_err(), FaultKind::Bug));
    assert!(is_closed_error(&waited.unwrap_err()));
    let late = group_commit.submit(TestRequest::new(2, Effect::Written)).await;
    assert!(is_closed_error(&late.unwrap_err()));
    group_commit.close().await;
    assert_eq!(calls.lock().finished, 0);
}

#[tokio::test(start_paused = true)]
async fn close_answers_every_waiting_caller_and_ends_the_writer() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    // The queue has room for some of these requests; the others wait for it.
    let requests =
        (0..200).map(|number| TestRequest { size: 4, ..TestRequest::new(number, Effect::Written) });
    let waiting = join_all(requests.map(|request| group_commit.submit(request)));
    let close = async {
        sleep(WRITE_TIME / 2).await;
        tokio::join!(group_commit.close(), group_commit.close());
        assert_eq!(calls.lock().finished, 1, "the writer has ended");
    };
    let late = async {
        sleep(WRITE_TIME).await;
        group_commit.submit(TestRequest::new(200, Effect::Written)).await
    };
    let (results, (), late) = tokio::join!(waiting, close, late);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let mut written = calls.lock().written.clone();
    written.sort_unstable();
    // The late request is in the queue when the runner closes it, or it is refused.
    let expected = 200 + usize::from(late.is_ok());
    assert_eq!(written, (0..expected).collect::<Vec<_>>());
    assert!(late.err().is_none_or(|error| is_closed_error(&error)));
    assert!(group_commit.is_closed());
    let late = group_commit.submit(TestRequest::new(201, Effect::Written)).await;
    assert!(is_closed_error(&late.unwrap_err()));
    group_commit.close().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_handle_has_its_queue_written() {
    let calls = Arc::default();
    let group_commit = TestWriter::new(&calls).spawn();
    for number in 0..3 {
        drop(group_commit.enqueue(TestRequest::new(number, Effect::Written)).await.unwrap());
    }
    let ended = group_commit.ended.clone();
    drop(group_commit);
    ended.cancelled().await;
    let calls = calls.lock();
    assert_eq!((calls.written.as_slice(), calls.finished), (&[0, 1, 2][..], 1));
    assert_eq!(calls.maintained, calls.batches.len());
}

#[tokio::test]
async fn dropped_handle_of_a_thread_waits_for_the_end_of_the_writer() {
    let calls = Arc::default();
    let writer = TestWriter { write_time: Duration::ZERO, ..TestWriter::new(&calls) };
    let group_commit = GroupCommit::spawn_thread("test-writer", writer, closed()).unwrap();
    for number in 0..20 {
        assert_eq!(group_commit.submit(TestRequest::new(number, Effect::Written)).await.unwrap(), number);
    }
    let results =
        join_all((20..40).map(|number| group_commit.submit(TestRequest::new(number, Effect::Written))));
    assert!(results.await.iter().all(Result::is_ok));
    drop(group_commit.enqueue(TestRequest::new(40, Effect::Written)).await.unwrap());
    drop(group_commit);
    let calls = calls.lock();
    assert_eq!(calls.written, (0..=40).collect::<Vec<_>>());
    assert_eq!(calls.finished, 1);
}

/// A caller of the property test.
#[derive(Debug, Clone)]
struct Caller {
    arrives: Duration,
    gives_up: Duration,
    size: usize,
    priority: Priority,
    effect: Effect,
}

fn callers() -> impl Strategy<Value = Vec<Caller>> {
    let millis = |range| Strategy::prop_map(range, Duration::from_millis);
    let priority = prop::sample::select(vec![Priority::High, Priority::Medium, Priority::Low]);
    let effect = prop_oneof![
        20 => Just(Effect::Written),
        4 => Just(Effect::Refused),
        2 => Just(Effect::FailsBatch(FaultKind::Config)),
        1 => Just(Effect::FailsBatch(FaultKind::Throttled)),
        1 => Just(Effect::Panics),
    ];
    let gives_up = prop_oneof![4 => Just(Duration::MAX), 1 => millis(0..20_u64)];
    let caller = (millis(0..60_u64), gives_up, 0..=MAX_SIZE + 2, priority, effect);
    let caller = caller.prop_map(|(arrives, gives_up, size, priority, effect)| Caller {
        arrives,
        gives_up,
        size,
        priority,
        effect,
    });
    prop::collection::vec(caller, 1..60)
}

/// Returns the numbers in the order of their arrival, and the results of the callers that did not give up.
async fn run_callers(
    callers: &[Caller],
    calls: &Arc<Mutex<Calls>>,
) -> (Vec<usize>, Vec<(usize, Result<usize, StoreError>)>) {
    let group_commit = Arc::new(TestWriter::new(calls).spawn());
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let mut running = JoinSet::new();
    for (number, caller) in callers.iter().cloned().enumerate() {
        let (group_commit, arrived) = (Arc::clone(&group_commit), Arc::clone(&arrived));
        running.spawn(async move {
            let Caller { arrives, gives_up, size, priority, effect } = caller;
            sleep(arrives).await;
            arrived.lock().push(number);
            let request = TestRequest { number, size, priority, effect };
            (number, timeout(gives_up, group_commit.submit(request)).await)
        });
    }
    let results = running.join_all().await;
    group_commit.close().await;
    let answered = results.into_iter().filter_map(|(number, result)| Some((number, result.ok()?)));
    let arrived = arrived.lock().clone();
    (arrived, answered.collect())
}

fn check_run(callers: &[Caller]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let calls = Arc::default();
    let (arrived, answered) = runtime.unwrap().block_on(run_callers(callers, &calls));
    let calls = calls.lock();
    let waited = callers.iter().filter(|caller| caller.gives_up == Duration::MAX).count();
    prop_assert!(answered.len() >= waited, "every caller is answered");
    for (number, result) in &answered {
        let effect = callers[*number].effect;
        let is_right = match result {
            Ok(answer) => effect == Effect::Written && answer == number,
            Err(StoreError::Conflict(_)) => effect == Effect::Refused,
            Err(error) if has_kind(error, FaultKind::Config) => {
                effect == Effect::FailsBatch(FaultKind::Config)
            }
            // Another request of the batch may have failed transiently, or panicked.
            Err(error) => has_kind(error, FaultKind::Throttled) || has_kind(error, FaultKind::Bug),
        };
        prop_assert!(is_right, "{number} {effect:?}: {result:?}");
        let times = calls.written.iter().filter(|written| *written == number).count();
        prop_assert_eq!(times, usize::from(result.is_ok()));
    }
    for (batch, size) in calls.batches.iter().zip(&calls.sizes) {
        prop_assert!(*size <= MAX_SIZE || batch.len() == 1, "{batch:?} has size {size}");
    }
    let attempts: Vec<usize> = calls.batches.iter().flatten().copied().collect();
    for priority in [Priority::High, Priority::Medium, Priority::Low] {
        let first_attempts = attempts.iter().enumerate().filter(|(index, number)| {
            callers[**number].priority == priority && !attempts[..*index].contains(number)
        });
        let first_attempts: Vec<usize> = first_attempts.map(|(_, number)| *number).collect();
        let mut expected = arrived.clone();
        expected.retain(|number| callers[*number].priority == priority && attempts.contains(number));
        prop_assert_eq!(first_attempts, expected, "{:?} is written in the order of arrival", priority);
    }
    prop_assert_eq!(calls.finished, 1);
    Ok(())
}

proptest! {
    #[test]
    fn callers_of_any_arrival_get_their_own_results(callers in callers()) {
        check_run(&callers)?;
    }
}
