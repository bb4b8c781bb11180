//! The number of calls that counting and observing tasks takes.

use ecs_scheduler_core::{
    LaunchDiagnosis as _, Launcher as _, TaskId, TaskPhase, TaskValidation as _, fault::chain,
};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use futures::future::join_all;
use serde_json::json;

use crate::help::{Rig, ids, job, register, request, task, work};

#[tokio::test]
async fn one_poll_counts_the_tasks_of_every_job() {
    let rig = Rig::new().await;
    let earlier = rig.launcher();
    for number in 0..12 {
        earlier.launch(&work(&format!("k{number}"), 10)).await.unwrap();
    }
    let mut other = work("foreign", 10);
    other.started_by = "somebody/job".to_owned();
    earlier.launch(&other).await.unwrap();
    let launcher = rig.launcher();
    let spec = task("work", json!({}));
    let jobs = ["job", "job", "job-2", "another"].map(job);
    let counts = join_all(jobs.iter().map(|job| launcher.population(job, &spec))).await;
    let counts: Vec<_> = counts.into_iter().map(|count| count.unwrap().tasks.len()).collect();
    assert_eq!(counts, [120, 120, 0, 0]);
    assert_eq!((rig.calls("ListTasks"), rig.calls("DescribeTasks")), (2, 2));
}

#[tokio::test]
async fn failed_poll_error_names_the_cluster() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::every(Service::Ecs, InjectedFault::ServerError { status: 503 }));
    let launcher = rig.launcher();
    let spec = task("work:1", json!({}));
    let error = launcher.population(&job("job"), &spec).await.unwrap_err();
    assert!(error.is_transient() && chain(&error).contains("\"batch\""), "{}", chain(&error));
    rig.fake.faults().clear();
    assert_eq!(launcher.population(&job("job"), &spec).await.unwrap().tasks, []);
}

#[tokio::test]
async fn family_is_read_once_and_again_after_its_revision_is_inactive() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let spec = task("work", json!({}));
    let jobs: Vec<_> = (0..50).map(|number| job(&format!("job-{number}"))).collect();
    let known = join_all(jobs.iter().map(|job| launcher.population(job, &spec))).await;
    let known: Vec<_> = known.into_iter().map(|one| one.unwrap().definition.unwrap()).collect();
    assert!(known.iter().all(|name| name.ends_with("task-definition/work:1")), "{known:?}");
    assert_eq!(rig.calls("DescribeTaskDefinition"), 1);

    let newer = register(&rig.fake, "work");
    rig.fake.call(Service::Ecs, "DeregisterTaskDefinition", &json!({"taskDefinition": "work:1"})).unwrap();
    let mut old = request("a", 1, 1, spec.clone());
    old.definition.clone_from(&known[0]);
    let report = launcher.launch(&old).await.unwrap();
    assert!(!report.refused[0].retryable, "{report:?}");
    let population = launcher.population(&jobs[0], &spec).await.unwrap();
    assert_eq!(population.definition, Some(newer));
}

#[tokio::test]
async fn hundred_tasks_are_described_in_one_call() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let mut tasks = Vec::new();
    for number in 0..12 {
        tasks.extend(ids(&launcher.launch(&work(&format!("k{number}"), 10)).await.unwrap()));
    }
    assert_eq!(launcher.observe(&tasks).await.unwrap().states.len(), 120);
    assert_eq!(rig.calls("DescribeTasks"), 2);
}

#[tokio::test]
async fn ended_task_leaves_population_and_is_not_polled_again() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let tasks = ids(&launcher.launch(&work("a", 2)).await.unwrap());
    rig.pass(jiff::SignedDuration::from_secs(10));
    assert!(rig.fake.ecs().finish(tasks[0].as_str(), 3));
    let states = launcher.observe(&tasks).await.unwrap().states;
    let ended = states.iter().find(|state| state.task_id == tasks[0]).unwrap();
    assert_eq!((ended.phase, ended.exit_code), (TaskPhase::Stopped, Some(3)));
    let population = launcher.population(&job("job"), &task("work:1", json!({}))).await.unwrap();
    assert_eq!(population.tasks, [tasks[1].clone()]);
    let before = rig.calls("DescribeTasks");
    launcher.observe(&tasks[..1]).await.unwrap();
    assert_eq!(rig.calls("DescribeTasks"), before);
}

#[tokio::test]
async fn stopping_an_unknown_task_succeeds() {
    let rig = Rig::new().await;
    let unknown =
        TaskId::new("arn:aws:ecs:eu-central-1:123456789012:task/batch/0123456789abcdef0123456789abcdef");
    rig.launcher().stop(&unknown, &"because ".repeat(100)).await.unwrap();
}

#[tokio::test]
async fn preflight_finds_missing_definition_and_cluster() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    assert_eq!(launcher.preflight(&task("work", json!({}))).await.unwrap(), []);
    let wrong = task("nothing", json!({"cluster": "nowhere"}));
    let found = launcher.preflight(&wrong).await.unwrap();
    let pointers: Vec<_> = found.iter().map(|finding| finding.pointer.as_str()).collect();
    assert_eq!(pointers, ["/taskDefinition", "/launch/cluster"]);
}

#[tokio::test]
async fn unknown_capacity_providers_are_found_by_doctor_and_preflight_also_in_fallbacks() {
    let rig = Rig::new().await;
    let cluster = json!({"clusterName": "mixed", "capacityProviders": ["spot"]});
    rig.fake.call(Service::Ecs, "CreateCluster", &cluster).unwrap();
    let strategy = |name: &str| json!([{"capacityProvider": name, "weight": 1}]);
    let fallbacks = json!([{"capacityProviderStrategy": strategy("spot")}, {"capacityProviderStrategy": strategy("nope")}]);
    let late = task("work", json!({"cluster": "mixed", "launchType": "EC2", "capacityFallback": fallbacks}));
    let early = task("work", json!({"cluster": "mixed", "capacityProviderStrategy": strategy("nope")}));
    let launcher = rig.launcher();
    for (task, place, pointer) in [
        (
            &late,
            " (launch.capacityFallback.1)",
            "/launch/capacityFallback/1/capacityProviderStrategy/0/capacityProvider",
        ),
        (&early, "", "/launch/capacityProviderStrategy/0/capacityProvider"),
    ] {
        let looks = launcher.diagnose(std::slice::from_ref(task)).await;
        let failed: Vec<_> = looks.iter().filter(|look| look.problem.is_some()).collect();
        let [look] = *failed else { panic!("{looks:?}") };
        assert_eq!(look.what, format!("ecs:RunTask of work on cluster \"mixed\"{place}"));
        assert!(look.problem.as_ref().unwrap().contains("nope"), "{look:?}");
        let found = launcher.preflight(task).await.unwrap();
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(finding.pointer, pointer);
        assert!(finding.message.contains("\"nope\"; it has: spot."), "{}", finding.message);
    }
    let asked = rig.calls("DescribeClusters");
    assert_eq!(launcher.preflight(&task("work", json!({"launchType": "EC2"}))).await.unwrap(), []);
    assert_eq!(rig.calls("DescribeClusters"), asked, "a job with a launch type needs no call");
    assert_eq!(launcher.preflight(&task("work", json!({}))).await.unwrap(), []);
    assert_eq!(rig.calls("DescribeClusters"), asked + 1, "tasks run on the default of the cluster");
    rig.fake.configure(|settings| settings.permissions.denied = ["ecs:DescribeClusters".to_owned()].into());
    assert_eq!(
        launcher.preflight(&early).await.unwrap(),
        [],
        "launches need no permission to read the cluster"
    );
    assert_eq!(rig.fake.launches().len(), 0);
}

#[tokio::test]
async fn the_calls_of_a_job_are_counted() {
    let rig = Rig::new().await;
    let aws = crate::help::aws(&rig.fake.url(), rig.clock.clone());
    let options = ecs_scheduler_backend_ecs::EcsOptions::new("batch", "test", rig.clock.clone());
    let launcher = ecs_scheduler_backend_ecs::EcsLauncher::new(aws.clone(), options);
    launcher.launch(&work("a", 1)).await.unwrap();
    let report = aws.meter().report();
    let of_job = &report.jobs[0];
    assert_eq!((of_job.job.as_str(), of_job.operation.as_str(), of_job.reads), ("job", "RunTask", 1));
}

#[tokio::test]
async fn a_count_without_a_call_is_marked_as_one_from_a_cache() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let count = async |definition: &str| {
        launcher.population(&job("job"), &task(definition, json!({}))).await.unwrap().cached
    };
    assert!(!count("work").await, "nothing is known yet");
    assert!(count("work").await);
    assert!(!count("vpc").await, "its definition is read");
    rig.fake.faults().add(FaultRule::every(Service::Ecs, InjectedFault::ResetBeforeEffect));
    assert!(count("work").await && count("vpc").await, "ECS cannot be reached");
}
