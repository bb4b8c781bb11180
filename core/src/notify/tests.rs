use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::id::JobUid;

fn moment() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn notification(number: usize) -> Notification {
    let job = JobId::new(&format!("job-{number}")).unwrap();
    let parts = number.to_string();
    Notification::of_job(NotificationKind::Failing, moment(), NotifiedJob::new(job, "it fails"), &[&parts])
}

#[test]
fn id_follows_from_kind_and_parts_alone() {
    let of =
        |kind, parts: &[&str]| Notification::of_job(kind, moment(), notification(1).jobs.remove(0), parts).id;
    let one = of(NotificationKind::Failing, &["a", "b"]);
    assert_eq!(one, of(NotificationKind::Failing, &["a", "b"]));
    let others = [
        of(NotificationKind::Missed, &["a", "b"]),
        of(NotificationKind::Failing, &["ab"]),
        of(NotificationKind::Failing, &["a"]),
    ];
    assert!(!others.contains(&one));
    assert!(
        one.len() <= 64 && one.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'),
        "{one}"
    );
}

#[test]
fn texts_become_one_line_of_at_most_256_characters() {
    let long = NotifiedJob::new(JobId::new("job").unwrap(), &format!("a\nb{}", "é".repeat(1_000)));
    assert!(
        long.text.chars().count() == 256 && !long.text.contains('\n') && long.text.ends_with('…'),
        "{}",
        long.text
    );
    assert_eq!(NotifiedJob::new(JobId::new("job").unwrap(), "short").text, "short");
}

#[test]
fn summary_names_ten_jobs_and_counts_the_others() {
    let many = Notification::group(NotificationKind::Failing, moment(), (0..12).map(notification).collect());
    let expected =
        "12 jobs fail: job-0, job-1, job-2, job-3, job-4, job-5, job-6, job-7, job-8, job-9 and 2 others";
    assert_eq!(many.summary(), expected);
    let mut one = notification(1);
    assert_eq!(one.summary(), "job job-1 fails: it fails");
    (one.jobs[0].remedy, one.more) = (Some("fix it".to_owned()), 2);
    assert_eq!(one.summary(), "job job-1 fails: it fails (fix it); and 2 more events");
    assert_eq!(Notification::test(moment()).summary(), "this is a test of the channel: it works");
}

#[test]
fn full_outbox_counts_further_events_in_one_that_waits() {
    let mut outbox = Outbox::default();
    for number in 0..300 {
        outbox.push("ops", notification(number), moment());
    }
    assert_eq!(outbox.pending.len(), 200);
    let more: u64 = outbox.pending.iter().map(|one| one.notification.more).sum();
    assert_eq!((more, outbox.pending[199].notification.more), (100, 100));
    outbox.push("dev", notification(0), moment());
    assert_eq!(outbox.pending.len(), 201, "nothing of the other channel waits");
}

#[test]
fn outbox_survives_its_register() {
    let mut outbox = Outbox::default();
    outbox.push("ops", notification(1), moment());
    outbox.remember("x", moment());
    let failed = outbox.remove("ops", &notification(1).id).unwrap();
    outbox.give_up(failed, "it is gone".to_owned(), moment());
    outbox.push("ops", notification(2), moment());
    let (uid, job) = (JobUid::random(), JobId::new("job").unwrap());
    outbox.edit_episodes(uid, &job, |known| {
        known.failing.push(Notified { channel: "ops".to_owned(), threshold: 3 });
    });
    let text = outbox.register_value(moment());
    assert_eq!(Outbox::parse(&text), outbox);
    assert_eq!(Outbox::parse("[]"), Outbox::default());
    assert!(outbox.is_recent("x"));
    outbox.register_value(moment() + SignedDuration::from_hours(4));
    assert!(!outbox.is_recent("x"), "it is forgotten");
}

#[test]
fn episodes_that_are_over_are_removed() {
    let mut outbox = Outbox::default();
    let (uid, job) = (JobUid::random(), JobId::new("job").unwrap());
    let ((), changed) = outbox.edit_episodes(uid, &job, |_| ());
    assert!(!changed && outbox.jobs.is_empty());
    let told = || Notified { channel: "ops".to_owned(), threshold: 3 };
    assert!(outbox.edit_episodes(uid, &job, |known| known.failing.push(told())).1);
    assert!(!outbox.edit_episodes(uid, &job, |known| assert_eq!(known.failing, [told()])).1);
    assert!(outbox.edit_episodes(uid, &job, |known| known.failing.clear()).1);
    assert!(outbox.jobs.is_empty());
}

#[test]
fn channel_that_is_down_leaves_room_for_the_events_of_others() {
    let mut outbox = Outbox::default();
    for number in 0..300 {
        outbox.push("dead", notification(number), moment());
    }
    for number in 300..304 {
        outbox.push("healthy", notification(number), moment());
    }
    let healthy = outbox.pending.iter().filter(|one| one.channel == "healthy");
    assert_eq!(
        healthy.map(|one| (one.notification.jobs.len(), one.notification.more)).collect::<Vec<_>>(),
        [(1, 0); 4]
    );
    assert_eq!(outbox.pending.len(), 204, "the others of the channel that is down are counted");
}

#[test]
fn deliveries_end_after_a_day() {
    let mut outbox = Outbox::default();
    outbox.push("ops", notification(1), moment());
    assert!(!outbox.pending[0].is_expired(moment() + SignedDuration::from_hours(23)));
    assert!(outbox.pending[0].is_expired(moment() + SignedDuration::from_hours(24)));
}

proptest! {
    /// The register stays small enough for every store, and no event is lost without being counted.
    #[test]
    fn register_is_bounded_and_every_event_is_counted(channels in prop::collection::vec(0..3_usize, 0..600)) {
        let mut outbox = Outbox::default();
        let text = "x".repeat(1_000);
        for (number, channel) in channels.iter().enumerate() {
            let mut one = notification(number);
            one.jobs[0] = NotifiedJob::new(one.jobs[0].job.clone(), &text).with_remedy(&text);
            outbox.push(["a", "b", "c"][*channel], one, moment());
        }
        let counted: u64 = outbox.pending.iter().map(|one| one.notification.jobs.len() as u64 + one.notification.more).sum();
        prop_assert_eq!(counted, channels.len() as u64);
        prop_assert!(outbox.register_value(moment()).len() < 300_000);
    }
}
