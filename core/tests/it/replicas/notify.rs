//! Notifications of several replicas: the owner of a job tells, and the next owner goes on.

use std::sync::Arc;

use ecs_scheduler_core::notify::read_deliveries;
use ecs_scheduler_core::{NotificationKind, Notifier};
use serde_json::json;

use super::cluster::Cluster;
use crate::engine::notify::{DeliveryFault, Recorder};

#[tokio::test(start_paused = true)]
async fn each_suspension_is_reported_once_over_a_failover() {
    let mut cluster = Cluster::open(0).await;
    let recorder = Recorder::new(&cluster.world.clock);
    cluster.world.options.notifier = Some(Arc::clone(&recorder) as Arc<dyn Notifier>);
    let document = |suspended: bool| {
        json!({
            "taskDefinition": "work", "schedule": "0 0 3", "suspended": suspended,
            "notify": [{"to": "ops", "on": ["suspended"]}],
        })
    };
    for number in 0..32 {
        cluster.world.create(&format!("job-{number}"), &document(false)).await.unwrap();
    }
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    cluster.pass(5.0).await;
    recorder.set_fault("ops", Some(DeliveryFault::Fails));
    for number in 0..32 {
        cluster.world.edit(&format!("job-{number}"), &document(true)).await.unwrap();
    }
    cluster.pass(20.0).await;
    let waiting = read_deliveries(&*cluster.world.store).await.unwrap().pending;
    assert_eq!(waiting.iter().map(|one| one.notification.jobs.len()).sum::<usize>(), 32);
    a.kill();
    cluster.until_owned(&[(&b, 16)]).await;
    recorder.set_fault("ops", None);
    cluster.pass(1_200.0).await;
    let told = recorder.delivered();
    let mut names: Vec<_> = told.iter().flat_map(|(.., one)| &one.jobs).map(|job| job.job.clone()).collect();
    assert_eq!(names.len(), 32, "each once");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 32, "none is missing");
    assert!(told.iter().all(|(.., one)| one.kind == NotificationKind::Suspended));
    assert_eq!(read_deliveries(&*cluster.world.store).await.unwrap(), Default::default());
}
