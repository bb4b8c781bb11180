//! Failed tasks and their notifications, when one of two replicas is killed between outcome, retry, outbox and delivery: the other one
//! takes over, and nothing is lost or doubled.

use std::collections::HashSet;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::account::compare;
use super::fleet::{ReplicaProcess, SharedDb, until_seen, until_shared};
use crate::aws::cloud::{Cloud, Kind};
use crate::aws::stage::Stage;
use crate::crash::audit::audit_store;
use crate::crash::followed::{check_notified, check_retries, is_notified, jobs};
use crate::crash::moving_edits::MovingEdits;
use crate::crash::site::{DEADLINE, until};
use crate::notify::receiver::{Answer, OK, Receiver};

/// How many jobs of each kind there are: each replica owns some.
const COPIES: usize = 3;

/// The moment at which a replica is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The receiver has a notification and has not answered.
    Unanswered,
    /// A retry has started its task.
    Retried,
    /// Tasks have failed.
    Failed,
}

const MOMENTS: [Moment; 3] = [Moment::Unanswered, Moment::Retried, Moment::Failed];

/// Makes the tasks of this stage short, and those of the definition `fails` fail; returns the jobs.
async fn set_jobs(stage: &Stage<'_>) -> Vec<(String, Value)> {
    stage.cloud.fake().configure(|settings| {
        let life = &mut settings.ecs.life;
        life.provisioning = SignedDuration::from_millis(50);
        life.pending = SignedDuration::from_millis(50);
        life.run = Some(SignedDuration::from_millis(400));
        let mut fails = life.clone();
        fails.exit_codes.insert("main".to_owned(), 3);
        settings.ecs.definition_lives.insert(stage.family("fails"), fails);
    });
    let mut all = Vec::new();
    for (id, mut job) in jobs() {
        let family = stage.family(job["taskDefinition"].as_str().unwrap());
        let containers = json!([{"name": "main", "image": "busybox", "memory": 64, "essential": true}]);
        let definition = json!({"family": family, "containerDefinitions": containers});
        stage.cloud.ecs("RegisterTaskDefinition", definition).await;
        (job["taskDefinition"], job["launch"]) = (family.into(), json!({"launchType": "EC2"}));
        all.extend((0..COPIES).map(|number| (format!("{id}-{number}"), job.clone())));
    }
    all
}

async fn until_moment(moment: Moment, receiver: &Receiver, replica: &ReplicaProcess) {
    let retries = async |state: &str| -> HashSet<String> {
        let path = format!("/firings?limit=100{state}");
        let firings = replica.scheduler.list(&path, "firings").await.into_iter();
        let retries = firings.filter(|firing| firing["origin"] == "retry");
        retries.map(|firing| firing["id"].as_str().unwrap().to_owned()).collect()
    };
    let state = match moment {
        Moment::Unanswered => {
            receiver.set(Answer::Nothing);
            let before = receiver.count();
            return until("the receiver has a request", async || receiver.count() > before).await;
        }
        Moment::Retried => "",
        Moment::Failed => "&state=finished",
    };
    let before = retries(state).await;
    until_seen("there is another retry", async || !retries(state).await.is_subset(&before)).await;
}

async fn run(db: SharedDb) {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "followed").await;
    let receiver = Receiver::start(OK).await;
    let jobs = set_jobs(&stage).await;
    let config = receiver.config();
    let mut replicas = Vec::new();
    for number in 0..2 {
        replicas.push(ReplicaProcess::start_with(&cloud, &stage.name, &db, number, Some(&config)).await);
    }
    until_shared(&replicas).await;
    for (number, (id, job)) in jobs.iter().enumerate() {
        replicas[number % 2].scheduler.create(id, job).await;
    }
    for moment in MOMENTS {
        until_moment(moment, &receiver, &replicas[1]).await;
        let victim = replicas.remove(0);
        let taken_over = async {
            receiver.set(OK);
            until_shared(&replicas).await;
        };
        let (victim, ()) = victim.kill_until(taken_over).await;
        replicas.push(victim);
        until_shared(&replicas).await;
    }
    let names: Vec<&str> = jobs.iter().map(|(id, _)| id.as_str()).collect();
    let failing: Vec<&str> = names.iter().copied().filter(|id| id.starts_with("failing")).collect();
    replicas[0].scheduler.quiesce_within(DEADLINE * 2).await;
    let store = db.open().await;
    until_seen("every event has arrived", async || is_notified(&*store, &receiver, &failing, &names).await)
        .await;
    for replica in replicas {
        assert!(replica.scheduler.terminate().await.0.success());
    }
    let (audit, firings) = audit_store(store, &MovingEdits::default()).await;
    compare(&firings, cloud.fake().launches());
    let store = db.open().await;
    check_notified(&*store, &receiver, &failing, &names).await;
    let retries = check_retries(&firings);
    println!("{audit:?}, {retries} retries, {} requests to the receiver", receiver.count());
    assert!(audit.firings > 4 && retries > 4, "{audit:?}, {retries} retries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replicas_on_postgresql_lose_and_double_no_retry_and_no_notification() {
    run(SharedDb::postgresql()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replicas_on_dynamodb_lose_and_double_no_retry_and_no_notification() {
    run(SharedDb::dynamodb(Kind::Fake).await).await;
}
