use proptest::prelude::*;
use tokio::sync::oneshot;

use super::{BatchRequest, CommitQueue, MAX_DEFERRALS, Priority, QueuedRequest};

const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Medium, Priority::Low];
const MAX_SIZE: usize = 10;

/// A request of this size, which arrived as the `number`th.
#[derive(Debug, Clone, Copy)]
struct SizedRequest {
    number: usize,
    priority: Priority,
    size: usize,
}

impl BatchRequest for SizedRequest {
    type Response = ();
    type BatchSize = usize;

    fn admit(&self, size: &mut usize) -> bool {
        *size += self.size;
        *size <= MAX_SIZE
    }

    fn priority(&self) -> Priority {
        self.priority
    }
}

fn push(queue: &mut CommitQueue<SizedRequest>, request: SizedRequest) {
    queue.push(QueuedRequest { request, reply: oneshot::channel().0 });
}

fn push_small(queue: &mut CommitQueue<SizedRequest>, priority: Priority) {
    push(queue, SizedRequest { number: 0, priority, size: 0 });
}

fn pop(queue: &mut CommitQueue<SizedRequest>) -> Vec<SizedRequest> {
    queue.pop_batch().into_iter().map(|queued| queued.request).collect()
}

#[test]
fn low_priority_is_deferred_while_high_priority_waits() {
    let mut queue = CommitQueue::new(10);
    push_small(&mut queue, Priority::Low);
    push_small(&mut queue, Priority::High);
    push_small(&mut queue, Priority::High);
    assert_eq!(pop(&mut queue).len(), 2);
    assert_eq!(pop(&mut queue).len(), 1, "no high priority is left");
    assert!(queue.is_empty());
}

#[test]
fn medium_priority_is_deferred_by_high_priority_only() {
    let mut queue = CommitQueue::new(10);
    for priority in
        [Priority::Low, Priority::Low, Priority::Low, Priority::Medium, Priority::Medium, Priority::High]
    {
        push_small(&mut queue, priority);
    }
    assert_eq!([pop(&mut queue).len(), pop(&mut queue).len(), pop(&mut queue).len()], [1, 2, 3]);
}

#[test]
fn low_priority_is_deferred_a_bounded_number_of_times() {
    let mut queue = CommitQueue::new(10);
    push_small(&mut queue, Priority::Low);
    let deferrals = (0..)
        .take_while(|_| {
            push_small(&mut queue, Priority::High);
            pop(&mut queue).len() == 1
        })
        .count();
    assert_eq!(deferrals, MAX_DEFERRALS);
    assert!(queue.is_empty());
}

#[test]
fn low_priority_is_written_although_high_priority_fills_every_batch() {
    let mut queue = CommitQueue::new(1_000);
    push(&mut queue, SizedRequest { number: 1, priority: Priority::Low, size: 1 });
    let deferrals = (0..)
        .take_while(|_| {
            for _ in 0..2 {
                push(&mut queue, SizedRequest { number: 0, priority: Priority::High, size: MAX_SIZE });
            }
            pop(&mut queue).iter().all(|request| request.number == 0)
        })
        .count();
    assert_eq!(deferrals, MAX_DEFERRALS);
}

#[test]
fn full_queue_is_written_in_one_batch() {
    let mut queue = CommitQueue::new(2);
    push_small(&mut queue, Priority::High);
    push_small(&mut queue, Priority::Low);
    assert!(queue.has_room());
    push_small(&mut queue, Priority::Low);
    assert!(!queue.has_room());
    assert_eq!(pop(&mut queue).len(), 3, "all priorities");
}

#[test]
fn oversized_request_is_a_batch_of_its_own() {
    let mut queue = CommitQueue::new(10);
    for size in [3, MAX_SIZE + 1, 3, 3] {
        push(&mut queue, SizedRequest { number: 0, priority: Priority::High, size });
    }
    assert_eq!([pop(&mut queue).len(), pop(&mut queue).len(), pop(&mut queue).len()], [1, 1, 2]);
}

proptest! {
    #[test]
    fn every_request_is_popped_once_in_bounded_batches_in_the_order_of_its_priority(
        steps in prop::collection::vec(prop::option::weighted(0.8, (0..3_usize, 0..=MAX_SIZE + 2)), 1..300),
        capacity in 1..20_usize,
    ) {
        let mut queue = CommitQueue::new(capacity);
        let mut pushed = Vec::new();
        let mut popped = Vec::new();
        let check_pop = |queue: &mut CommitQueue<SizedRequest>, popped: &mut Vec<SizedRequest>| {
            let batch = pop(queue);
            prop_assert!(!batch.is_empty(), "a queue that is not empty has a batch");
            let size: usize = batch.iter().map(|request| request.size).sum();
            prop_assert!(size <= MAX_SIZE || batch.len() == 1, "{batch:?}");
            popped.extend(batch);
            Ok(())
        };
        for step in steps {
            match step {
                Some((priority, size)) if queue.has_room() => {
                    let request = SizedRequest { number: pushed.len(), priority: PRIORITIES[priority], size };
                    pushed.push(request);
                    push(&mut queue, request);
                }
                Some(_) | None if !queue.is_empty() => check_pop(&mut queue, &mut popped)?,
                Some(_) | None => prop_assert!(pop(&mut queue).is_empty()),
            }
        }
        while !queue.is_empty() {
            check_pop(&mut queue, &mut popped)?;
        }
        for priority in PRIORITIES {
            let numbers = |requests: &[SizedRequest]| -> Vec<usize> {
                let mine = requests.iter().filter(|request| request.priority == priority);
                mine.map(|request| request.number).collect()
            };
            prop_assert_eq!(numbers(&popped), numbers(&pushed));
        }
    }
}
