use ecs_scheduler_core::StoreError;

use super::{Order, PATIENCE, Pile, Rank};
use crate::error::Failure;
use crate::group_commit::Command;
use crate::writer_conn::Desk;

struct Nothing;

impl Command for Nothing {
    fn run(&mut self, _: &mut Desk) -> Result<(), Failure> {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
}

fn put(pile: &mut Pile, rank: Rank) {
    pile.put(Order { rank, command: Box::new(Nothing) });
}

#[test]
fn what_can_wait_is_passed_over_while_something_comes_first() {
    let mut pile = Pile::new(10);
    put(&mut pile, Rank::Later);
    put(&mut pile, Rank::First);
    put(&mut pile, Rank::First);
    assert_eq!(pile.take().len(), 2);
    assert_eq!(pile.take().len(), 1, "nothing comes first any more");
    assert!(pile.is_empty());
}

#[test]
fn a_call_that_is_about_to_be_made_waits_for_intents_only() {
    let mut pile = Pile::new(10);
    for rank in [Rank::Later, Rank::Later, Rank::Later, Rank::Next, Rank::Next, Rank::First] {
        put(&mut pile, rank);
    }
    assert_eq!([pile.take().len(), pile.take().len(), pile.take().len()], [1, 2, 3]);
}

#[test]
fn what_can_wait_is_passed_over_a_bounded_number_of_times() {
    let mut pile = Pile::new(10);
    put(&mut pile, Rank::Later);
    let passed_over = (0..)
        .take_while(|_| {
            put(&mut pile, Rank::First);
            pile.take().len() == 1
        })
        .count();
    assert_eq!(passed_over, PATIENCE);
    assert!(pile.is_empty());
}

#[test]
fn a_full_pile_is_written_whole() {
    let mut pile = Pile::new(2);
    put(&mut pile, Rank::First);
    put(&mut pile, Rank::Later);
    assert!(pile.has_room());
    put(&mut pile, Rank::Later);
    assert!(!pile.has_room());
    assert_eq!(pile.take().len(), 3, "all ranks");
}
