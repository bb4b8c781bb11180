use super::*;
use crate::id::JobId;
use crate::notify::NotifiedJob;

fn new(channel: &str, kind: NotificationKind, number: usize) -> NewNotification {
    let job = JobId::new(&format!("job-{number:03}")).unwrap();
    let entry = NotifiedJob::new(job.clone(), "x").with_remedy("y");
    let notification = Notification::of_job(kind, Timestamp::UNIX_EPOCH, entry, &[job.as_str()]);
    NewNotification { shard: Shard::from_job(&job), channel: channel.to_owned(), notification }
}

fn sizes(grouped: &[NewNotification]) -> Vec<(&str, usize)> {
    grouped.iter().map(|one| (one.channel.as_str(), one.notification.jobs.len())).collect()
}

#[test]
fn few_notifications_stay_single_and_many_of_one_kind_and_channel_are_grouped() {
    let failing = |count| (0..count).map(|number| new("ops", NotificationKind::Failing, number));
    let few =
        group(failing(10).chain([new("dev", NotificationKind::Failing, 0)]).collect(), Timestamp::UNIX_EPOCH);
    assert!(few.len() == 11 && few.iter().all(|one| one.notification.jobs.len() == 1));
    let others = [new("ops", NotificationKind::Missed, 0), new("dev", NotificationKind::Failing, 0)];
    let many = group(failing(250).chain(others).collect(), Timestamp::UNIX_EPOCH);
    assert_eq!(sizes(&many), [("dev", 1), ("ops", 100), ("ops", 100), ("ops", 50), ("ops", 1)]);
    let mut names: Vec<_> =
        many[1..4].iter().flat_map(|one| &one.notification.jobs).map(|job| &job.job).collect();
    names.dedup();
    assert_eq!(names.len(), 250, "each job once");
    for one in &many[1..4] {
        assert_eq!(one.shard, Shard::from_job(&one.notification.jobs[0].job));
        assert!(one.notification.jobs.iter().all(|job| job.remedy.is_none()));
    }
}

#[test]
fn id_of_a_group_follows_from_its_members() {
    let ids = |count: usize| {
        let failing = (0..count).rev().map(|number| new("ops", NotificationKind::Failing, number));
        group(failing.collect(), Timestamp::UNIX_EPOCH)[0].notification.id.clone()
    };
    assert_eq!(ids(20), ids(20));
    assert_ne!(ids(20), ids(21));
}
