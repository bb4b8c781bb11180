use super::*;

fn id(number: usize) -> TaskId {
    TaskId::new(format!("task-{number}"))
}

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

fn enter_and_end(book: &mut Book, number: usize, when: Timestamp) {
    let job = JobId::new("job").unwrap();
    book.enter(&number.to_string(), &job, TaskState::pending(id(number), None), when);
    book.update(&id(number), when, |state| state.phase = TaskPhase::Stopped);
}

#[test]
fn room_is_taken_before_tasks_are_entered_and_given_back() {
    let mut book = Book::default();
    assert_eq!(book.reserve(3, 5), 3);
    assert_eq!(book.reserve(3, 5), 2);
    assert_eq!(book.reserve(1, 5), 0);
    book.release(5);
    let job = JobId::new("job").unwrap();
    book.enter("1", &job, TaskState::pending(id(1), None), at(0));
    assert_eq!(book.reserve(9, 5), 4);
    book.release(4);
    book.update(&id(1), at(0), |state| state.phase = TaskPhase::Stopped);
    assert_eq!(book.reserve(9, 5), 5);
}

#[test]
fn ended_tasks_beyond_the_newest_go_once_somebody_heard_of_their_end() {
    let mut book = Book::default();
    for number in 0..5 {
        enter_and_end(&mut book, number, at(0));
    }
    let day = SignedDuration::from_hours(24);
    assert_eq!(book.prune_tasks(at(0), 2, day), Vec::<String>::new(), "nobody heard of them yet");
    assert_eq!(book.observe(&[id(0), id(1)]).len(), 2);
    assert_eq!(book.prune_tasks(at(0), 2, day), ["0", "1"]);
    assert_eq!(book.prune_tasks(at(1), 2, day), ["2"], "an hour is enough for those of whom nobody asks");
    assert_eq!(book.prune_tasks(at(23), 2, day), Vec::<String>::new());
    assert_eq!(book.prune_tasks(at(24), 2, day), ["3", "4"]);
    assert_eq!(book.observe(&[id(0), id(4)]), []);
}

#[test]
fn live_tasks_are_never_pruned() {
    let mut book = Book::default();
    let job = JobId::new("job").unwrap();
    book.enter("1", &job, TaskState::pending(id(1), None), at(0));
    assert_eq!(book.prune_tasks(at(1_000), 0, SignedDuration::ZERO), Vec::<String>::new());
    assert_eq!(book.population(&job), [id(1)]);
}

#[test]
fn a_token_is_remembered_for_its_life_and_as_long_as_its_tasks() {
    let mut book = Book::default();
    let life = SignedDuration::from_hours(24);
    enter_and_end(&mut book, 1, at(0));
    let slot = book.slot("with task", at(0));
    book.remember("with task", &slot, at(0), vec![id(1)]);
    drop(book.slot("without", at(0)));
    assert_eq!(book.prune_tokens(at(23), life), Vec::<String>::new());
    assert_eq!(book.prune_tokens(at(24), life), ["without"]);
    book.prune_tasks(at(24), 0, life);
    assert_eq!(book.prune_tokens(at(24), life), Vec::<String>::new(), "a call holds the slot");
    drop(slot);
    assert_eq!(book.prune_tokens(at(24), life), ["with task"]);
}

#[test]
fn a_token_is_not_forgotten_while_another_call_waits_for_it() {
    let mut book = Book::default();
    let (first, second) = (book.slot("token", at(0)), book.slot("token", at(0)));
    book.forget("token", &first);
    assert!(Arc::ptr_eq(&book.slot("token", at(0)), &second), "both stand in one line");
    drop(first);
    book.forget("token", &second);
    assert!(!Arc::ptr_eq(&book.slot("token", at(0)), &second));
}

#[test]
fn the_first_order_to_stop_counts() {
    let mut book = Book::default();
    let order = |reason: &str| StopOrder { code: "UserInitiated".to_owned(), reason: reason.to_owned() };
    let orders = book.enter("1", &JobId::new("job").unwrap(), TaskState::pending(id(1), None), at(0));
    assert!(book.can_stop(&id(1)));
    book.order_stop(&id(1), order("first"));
    book.order_stop(&id(1), order("second"));
    assert!(!book.can_stop(&id(1)));
    assert_eq!(orders.borrow().as_ref().unwrap().reason, "first");
}
