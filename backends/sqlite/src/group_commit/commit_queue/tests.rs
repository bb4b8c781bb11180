use ecs_scheduler_core::StoreError;

use super::{CommitQueue, MAX_DEFERRALS, Priority, QueuedCommand, WriteCommand};
use crate::error::TxError;
use crate::writer_conn::WriterConn;

struct NoOp;

impl WriteCommand for NoOp {
    fn run(&mut self, _: &mut WriterConn) -> Result<(), TxError> {
        Ok(())
    }

    fn reply(self: Box<Self>, _: Result<(), StoreError>) {}
}

fn push(queue: &mut CommitQueue, priority: Priority) {
    queue.push(QueuedCommand { priority, command: Box::new(NoOp) });
}

#[test]
fn low_priority_is_deferred_while_high_priority_waits() {
    let mut queue = CommitQueue::new(10);
    push(&mut queue, Priority::Low);
    push(&mut queue, Priority::High);
    push(&mut queue, Priority::High);
    assert_eq!(queue.pop_batch().len(), 2);
    assert_eq!(queue.pop_batch().len(), 1, "no high priority is left");
    assert!(queue.is_empty());
}

#[test]
fn medium_priority_is_deferred_by_high_priority_only() {
    let mut queue = CommitQueue::new(10);
    for priority in
        [Priority::Low, Priority::Low, Priority::Low, Priority::Medium, Priority::Medium, Priority::High]
    {
        push(&mut queue, priority);
    }
    assert_eq!([queue.pop_batch().len(), queue.pop_batch().len(), queue.pop_batch().len()], [1, 2, 3]);
}

#[test]
fn low_priority_is_deferred_a_bounded_number_of_times() {
    let mut queue = CommitQueue::new(10);
    push(&mut queue, Priority::Low);
    let deferrals = (0..)
        .take_while(|_| {
            push(&mut queue, Priority::High);
            queue.pop_batch().len() == 1
        })
        .count();
    assert_eq!(deferrals, MAX_DEFERRALS);
    assert!(queue.is_empty());
}

#[test]
fn full_queue_is_written_in_one_batch() {
    let mut queue = CommitQueue::new(2);
    push(&mut queue, Priority::High);
    push(&mut queue, Priority::Low);
    assert!(queue.has_room());
    push(&mut queue, Priority::Low);
    assert!(!queue.has_room());
    assert_eq!(queue.pop_batch().len(), 3, "all priorities");
}
