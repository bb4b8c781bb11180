//! A scheduler's part of a stand-in: a cluster and a name of its own, so that scenarios do not meet.

use std::ops::Deref;
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use super::cloud::{Cloud, REGION};
use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{DEADLINE, Site, until};

/// A cluster, a site, and what tasks there need.
pub(crate) struct Stage<'a> {
    pub(crate) cloud: &'a Cloud,
    /// The name of the cluster and of the scheduler.
    pub(crate) name: String,
    pub(crate) site: Site,
    pub(crate) subnet: String,
    group: String,
}

impl<'a> Stage<'a> {
    /// Makes a cluster of this name with a task definition `work` for Fargate, and a site that knows them.
    pub(crate) async fn set(cloud: &'a Cloud, name: &str) -> Self {
        cloud.ecs("CreateCluster", json!({"clusterName": name, "capacityProviders": ["FARGATE"]})).await;
        let (subnet, group) = cloud.network().await;
        let mut site = Site::bare();
        site.environment = environment(&cloud.url(), name);
        let stage = Self { cloud, name: name.to_owned(), site, subnet, group };
        stage.define(&stage.family("work")).await;
        stage
    }

    /// Returns the name of a task definition of this stage.
    pub(crate) fn family(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// Registers a task definition with one container named `main`.
    pub(crate) async fn define(&self, family: &str) {
        let definition = json!({
            "family": family,
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": [{"name": "main", "image": "busybox", "memory": 256, "essential": true}],
        });
        self.cloud.ecs("RegisterTaskDefinition", definition).await;
    }

    /// Registers a task definition for Fargate whose container `main` writes to a log group, under the prefix `ecs`.
    pub(crate) async fn define_logged(&self, family: &str, group: &str) {
        let options =
            json!({"awslogs-group": group, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"});
        let container = json!({
            "name": "main", "image": "busybox", "memory": 256, "essential": true,
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        });
        let definition = json!({
            "family": family, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "containerDefinitions": [container],
        });
        self.cloud.ecs("RegisterTaskDefinition", definition).await;
    }

    /// Returns a job that looks every second and starts `work` on Fargate; `more` is merged into it.
    pub(crate) fn job(&self, more: &Value) -> Value {
        let network = json!({"subnets": [self.subnet], "securityGroups": [self.group]});
        let mut job = json!({
            "taskDefinition": self.family("work"),
            "schedule": "*",
            "launch": {"launchType": "FARGATE", "network": network},
        });
        for (name, value) in more.as_object().unwrap() {
            job[name] = value.clone();
        }
        job
    }

    /// Starts the scheduler.
    pub(crate) async fn start(&self) -> Playing<'_> {
        Playing { scheduler: Scheduler::start(&self.site).await, stage: self }
    }

    /// Starts the program with more variables than those of the stage.
    pub(crate) async fn start_with(&self, more: &[(&'static str, String)]) -> Playing<'_> {
        Playing { scheduler: Scheduler::start_with(&self.site, more).await, stage: self }
    }

    /// Runs a command of the program without a scheduler.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        let environment = self.site.environment.iter().map(|(name, value)| (name, value));
        command.args(arguments).current_dir(self.site.root()).envs(environment).kill_on_drop(true);
        let output = tokio::time::timeout(DEADLINE, command.output()).await;
        output.expect("the command ends").unwrap()
    }

    /// Makes a queue and returns its URL.
    pub(crate) async fn queue(&self, name: &str) -> String {
        let made = self.cloud.sqs("CreateQueue", json!({"QueueName": self.family(name)})).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// Sends messages.
    pub(crate) async fn send(&self, queue_url: &str, count: usize) {
        for number in 0..count {
            self.send_text(queue_url, &format!("message {number}")).await;
        }
    }

    /// Sends one message.
    pub(crate) async fn send_text(&self, queue_url: &str, body: &str) {
        self.cloud.sqs("SendMessage", json!({"QueueUrl": queue_url, "MessageBody": body})).await;
    }

    /// Returns how many messages are in a queue, on their way or not.
    pub(crate) async fn messages(&self, queue_url: &str) -> usize {
        let call = json!({"QueueUrl": queue_url, "AttributeNames": ["All"]});
        let answer = self.cloud.sqs("GetQueueAttributes", call).await;
        let counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        counts.map(|name| answer["Attributes"][name].as_str().unwrap().parse::<usize>().unwrap()).iter().sum()
    }

    /// Starts tasks as this job's, but not by the scheduler.
    pub(crate) async fn run(&self, job: &str, count: usize) {
        let network = json!({"subnets": [self.subnet], "securityGroups": [self.group]});
        for first in (0..count).step_by(10) {
            let call = json!({
                "cluster": self.name,
                "taskDefinition": self.family("work"),
                "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": network},
                "startedBy": self.started_by(job),
                "count": (count - first).min(10),
            });
            let answer = self.cloud.ecs("RunTask", call).await;
            assert_eq!(answer["failures"], json!([]), "{answer}");
        }
    }

    pub(crate) fn started_by(&self, job: &str) -> String {
        format!("{}/{job}", self.name)
    }

    /// Returns a job's tasks as ECS shows them, with their tags.
    pub(crate) async fn tasks(&self, job: &str) -> Vec<Value> {
        let (mut tasks, mut page) = (Vec::new(), Value::Null);
        loop {
            let mut list = json!({"cluster": self.name, "startedBy": self.started_by(job)});
            if page != Value::Null {
                list["nextToken"] = page;
            }
            let mut list = self.cloud.ecs("ListTasks", list).await;
            if list["taskArns"] != json!([]) {
                let call = json!({"cluster": self.name, "tasks": list["taskArns"], "include": ["TAGS"]});
                let mut described = self.cloud.ecs("DescribeTasks", call).await;
                tasks.append(described["tasks"].as_array_mut().unwrap());
            }
            page = list["nextToken"].take();
            if page == Value::Null {
                return tasks;
            }
        }
    }
}

/// Returns the variables with which a scheduler uses only the stand-in.
pub(crate) fn environment(url: &str, name: &str) -> Vec<(&'static str, String)> {
    [
        ("ECSS_NAME", name),
        ("ECSS_ECS_CLUSTER", name),
        ("ECSS_MAX_TASKS", "1000"),
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("NO_PROXY", "127.0.0.1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// A scheduler at work on a stage.
pub(crate) struct Playing<'a> {
    pub(crate) scheduler: Scheduler,
    pub(crate) stage: &'a Stage<'a>,
}

impl Deref for Playing<'_> {
    type Target = Scheduler;

    fn deref(&self) -> &Scheduler {
        &self.scheduler
    }
}

impl Playing<'_> {
    /// Runs a command for jobs of the running scheduler, and returns its output.
    pub(crate) async fn jobs(&self, arguments: &[&str]) -> String {
        let server = format!("http://127.0.0.1:{}", self.stage.site.port);
        let output = self.stage.command(&[&["jobs", "--server", &server], arguments].concat()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits for a decision of this outcome, and returns the newest.
    pub(crate) async fn decision(&self, job: &str, outcome: &str) -> Value {
        let path = format!("/jobs/{job}/decisions?outcome={outcome}");
        let what = format!("{}: {job} is decided as {outcome}", self.stage.name);
        until(&what, async || !self.list(&path, "decisions").await.is_empty()).await;
        self.list(&path, "decisions").await.remove(0)
    }

    /// Waits until a firing of the job is in this state, and returns the newest.
    pub(crate) async fn firing(&self, job: &str, state: &str) -> Value {
        let path = format!("/jobs/{job}/firings?state={state}");
        until(&format!("{}: a firing of {job} is {state}", self.stage.name), async || {
            !self.list(&path, "firings").await.is_empty()
        })
        .await;
        self.list(&path, "firings").await.remove(0)
    }

    /// Waits until the job has as many tasks as it wants, and wants no more, and returns them.
    pub(crate) async fn settled(&self, job: &str, tasks: usize) -> Vec<Value> {
        let what = format!("{}: {job} has {tasks} tasks", self.stage.name);
        until(&what, async || self.stage.tasks(job).await.len() >= tasks).await;
        self.decision(job, "satisfied").await;
        let there = self.stage.tasks(job).await;
        assert_eq!(there.len(), tasks, "tasks of {job}: {there:#?}");
        there
    }
}
