//! The calls that a firing describes.

use ecs_scheduler_core::{Attempt, JobId, JobUid, LaunchToken, Timestamp};
use ecs_scheduler_testing::sample;

#[test]
fn last_sent_is_the_newest_call_or_the_decision() {
    let job = JobId::new("job").unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    let uid = JobUid::derived("test", &job);
    let mut firing = sample::firing(&job, uid, at(100));
    assert_eq!(firing.last_sent(), firing.observed);
    for (number, second) in [(1, 105), (2, 160)] {
        let token = LaunchToken::derive("test", &uid, &firing.id, 0, number);
        let attempt = Attempt { batch: 0, number, count: 1, token, sent_at: at(second), answer: None };
        firing.attempts.push(attempt);
        assert_eq!(firing.last_sent(), at(second));
    }
}
