//! Rendering of tasks for answers and events.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::model::{Status, Task};

/// The format of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    /// Seconds since 1970, as in answers.
    Epoch,
    /// RFC 3339, as in events.
    Text,
}

impl Dates {
    fn write(self, at: Timestamp) -> Value {
        match self {
            Self::Epoch => json!(seconds(at)),
            Self::Text => json!(at.to_string()),
        }
    }
}

/// Returns a timestamp in seconds since 1970, to the millisecond.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this era have 41 bits")]
    let milliseconds = at.as_millisecond() as f64;
    milliseconds / 1000.0
}

impl Task {
    pub(crate) const fn desired(&self) -> &'static str {
        if self.to_stop { "STOPPED" } else { "RUNNING" }
    }
}

/// Renders a task.
pub(crate) fn render_task(task: &Task, dates: Dates, with_tags: bool) -> Value {
    let id = task.arn.rsplit('/').next().unwrap_or_default();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
    };
    put("taskArn", json!(task.arn));
    put("clusterArn", json!(task.cluster.arn()));
    put("taskDefinitionArn", json!(task.definition));
    put("group", json!(task.group));
    put("launchType", json!(task.launch_type));
    put("capacityProviderName", json!(task.provider));
    put("availabilityZone", json!(format!("{}a", task.cluster.scope.region)));
    put("containerInstanceArn", json!(task.instance));
    put("startedBy", json!(task.started_by));
    put("cpu", json!(task.cpu));
    put("memory", json!(task.memory));
    put("overrides", task.overrides.clone());
    put("lastStatus", json!(task.last.name()));
    put("desiredStatus", json!(task.desired()));
    put("healthStatus", json!("UNKNOWN"));
    put("connectivity", if task.started_at.is_some() { json!("CONNECTED") } else { Value::Null });
    put("version", json!(task.version));
    put("enableExecuteCommand", json!(false));
    put("attributes", json!([{ "name": "ecs.cpu-architecture", "value": "x86_64" }]));
    put("attachments", attachments(task, id));
    put("containers", containers(task));
    put("stopCode", json!(task.stop_code));
    put("stoppedReason", json!(task.stopped_reason));
    if task.launch_type == "FARGATE" {
        put("platformVersion", json!("1.4.0"));
        put("platformFamily", json!("Linux"));
    }
    let moments = [
        ("createdAt", Some(task.created_at)),
        ("pullStartedAt", task.started_at),
        ("pullStoppedAt", task.started_at),
        ("connectivityAt", task.started_at),
        ("startedAt", task.started_at),
        ("stoppingAt", task.stopping_at),
        (
            "executionStoppedAt",
            task.stopping_at.filter(|_| task.started_at.is_some() && task.stopped_at.is_some()),
        ),
        ("stoppedAt", task.stopped_at),
    ];
    for (name, at) in moments {
        put(name, at.map_or(Value::Null, |at| dates.write(at)));
    }
    if dates == Dates::Epoch {
        put("tags", if with_tags { json!(task.tags) } else { json!([]) });
    }
    Value::Object(members)
}

fn attachments(task: &Task, id: &str) -> Value {
    let Some(network) = &task.network else { return json!([]) };
    let status = match task.last {
        Status::Provisioning => "PRECREATED",
        Status::Pending | Status::Running | Status::Deactivating | Status::Stopping => "ATTACHED",
        Status::Deprovisioning | Status::Stopped => "DELETED",
    };
    let subnet = &network["awsvpcConfiguration"]["subnets"][0];
    let details = json!([{ "name": "subnetId", "value": subnet }]);
    json!([{ "id": id, "type": "ElasticNetworkInterface", "status": status, "details": details }])
}

fn containers(task: &Task) -> Value {
    let status = match task.last {
        Status::Provisioning | Status::Pending => "PENDING",
        Status::Running | Status::Deactivating | Status::Stopping => "RUNNING",
        Status::Deprovisioning | Status::Stopped => "STOPPED",
    };
    let all = task.containers.iter().map(|container| {
        let mut shown = json!({
            "containerArn": container.arn,
            "taskArn": task.arn,
            "name": container.name,
            "image": container.image,
            "lastStatus": status,
            "networkInterfaces": [],
            "healthStatus": "UNKNOWN",
        });
        if let Some(code) = container.exit_code {
            shown["exitCode"] = json!(code);
        }
        shown
    });
    all.collect()
}
