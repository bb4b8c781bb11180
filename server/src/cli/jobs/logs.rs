//! `ecs-scheduler jobs logs`: prints what a task of a job wrote.

use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde_json::Value;

use super::show::list;
use crate::client::{Client, escape, job_path, refusal};
use crate::error::CommandError;
use crate::output::table::cell;
use crate::output::{print, print_error};

#[cfg(test)]
mod tests;

/// The number of firings among which the newest one with tasks is looked for.
const SEARCHED_FIRINGS: u32 = 100;

/// The time before a stream that broke off is opened again.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of attempts in a row to open a stream again: a restart or a failover takes some seconds.
const MAX_RECONNECTS: u32 = 60;

/// The task, and the part of its output.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// The job
    id: String,
    /// The firing; by default the newest one that started tasks
    #[arg(long, value_name = "ID")]
    firing: Option<String>,
    /// The number of the task in the firing, from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    task: u32,
    /// The container; by default all containers of the task
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// Begin with the newest lines: this many of each container, at most 10,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tail: Option<u32>,
    /// Only lines from this moment on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Continue until the task has ended
    #[arg(long)]
    follow: bool,
}

impl LogsArgs {
    /// Returns the path of the first page.
    fn path(&self, firing: &str, task: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let tail = self.tail.map(|lines| lines.to_string());
        let follow = self.follow.then_some("true");
        let given = [
            ("container", self.container.as_deref()),
            ("tail", tail.as_deref()),
            ("since", self.since.as_deref()),
            ("follow", follow),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("/firings/{}/tasks/{}/logs{separator}{query}", escape(firing), escape(task))
    }
}

/// Prints the lines page by page. With `--follow`, until the task has ended.
///
/// # Errors
///
/// Fails when there is no such task, and when the server cannot be reached or refuses.
pub(super) async fn run(args: &LogsArgs, client: &Client, as_json: bool) -> Result<String, CommandError> {
    let firing = find_firing(args, client).await?;
    let tasks = list(&firing, "tasks");
    let index = usize::try_from(args.task).unwrap_or(usize::MAX) - 1;
    let id = cell(&firing["id"]);
    let Some(task) = tasks.get(index).and_then(|task| task["taskId"].as_str()) else {
        let message = format!("firing {id} has {} tasks, and no task {}", tasks.len(), args.task);
        return Err(CommandError::failed(message));
    };
    if tasks.len() > 1 {
        print_error(&format!("task {} of {} of firing {id}\n", args.task, tasks.len()));
    }
    let path = args.path(&id, task.rsplit('/').next().unwrap_or(task));
    let mut printer = LinePrinter { as_json, ..LinePrinter::default() };
    if args.follow {
        follow(&path, client, &mut printer).await?;
        return Ok(String::new());
    }
    let mut next = Some(path);
    while let Some(path) = next {
        let page = client.get(&path).await?;
        printer.print(&page);
        next = page["next"].as_str().map(str::to_owned);
    }
    Ok(String::new())
}

/// Finds the requested firing of the job, or its newest one that started tasks.
async fn find_firing(args: &LogsArgs, client: &Client) -> Result<Value, CommandError> {
    let job = &args.id;
    if let Some(id) = &args.firing {
        let firing = client.get(&format!("/firings/{}", escape(id))).await?;
        if firing["job"] == job.as_str() {
            return Ok(firing);
        }
        let message = format!("firing {id} is one of job {}, not of {job}", cell(&firing["job"]));
        return Err(CommandError::failed(message));
    }
    let answer = client.get(&job_path(job, &format!("/firings?limit={SEARCHED_FIRINGS}"))).await?;
    let firings = list(&answer, "firings");
    let found = firings.iter().find(|firing| !list(firing, "tasks").is_empty()).cloned();
    found.ok_or_else(|| {
        CommandError::failed(match firings.len() {
            0 => format!("job {job} has no firing yet; `ecs-scheduler jobs fire {job}` fires it"),
            count => format!("none of the newest {count} firings of job {job} started a task; see `ecs-scheduler jobs history {job}`"),
        })
    })
}

/// Prints the lines of a stream until its end. A stream that breaks off is opened again behind its last event.
async fn follow(path: &str, client: &Client, printer: &mut LinePrinter) -> Result<(), CommandError> {
    let mut last_id = None;
    let mut failures = 0;
    loop {
        match client.stream(path, last_id.as_deref()).await {
            Ok(mut stream) => {
                while let Ok(Some(event)) = stream.next().await {
                    failures = 0;
                    last_id = event.id.or(last_id);
                    let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
                    match event.name.as_str() {
                        "lines" => printer.print(&data),
                        "end" => return Ok(()),
                        "problem" => {
                            let status =
                                data["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                            let message = refusal(&format!("GET {path}"), status, &data, &event.data);
                            return Err(CommandError::Refused { message });
                        }
                        _ => {}
                    }
                }
            }
            // A server that never answered is not waited for.
            Err(error) if last_id.is_none() || failures >= MAX_RECONNECTS => return Err(error),
            Err(_) => {}
        }
        failures += 1;
        if failures > MAX_RECONNECTS {
            let message = format!(
                "could not follow the output of {path}: the stream ended {failures} times; check the proxy in front of the server"
            );
            return Err(CommandError::failed(message));
        }
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }
}

/// Prints pages of lines.
#[derive(Debug, Default)]
struct LinePrinter {
    as_json: bool,
    /// The only container so far.
    container: Option<String>,
    /// Whether lines of several containers were seen, so that each line names its own.
    names_containers: bool,
}

impl LinePrinter {
    fn print(&mut self, page: &Value) {
        if page["gap"] == true {
            print_error("some lines were removed before they could be read\n");
        }
        print(&self.render(list(page, "lines")));
    }

    /// Returns the text of lines: one JSON object each, or the text behind the name of its container if there are several.
    fn render(&mut self, lines: &[Value]) -> String {
        for line in lines {
            let container = line["container"].as_str().unwrap_or_default();
            let only = self.container.get_or_insert_with(|| container.to_owned());
            self.names_containers |= only != container;
        }
        let mut text = String::new();
        for line in lines {
            match line["text"].as_str() {
                _ if self.as_json => text.push_str(&line.to_string()),
                Some(said) if self.names_containers => {
                    text.push_str(&format!("{} | {said}", cell(&line["container"])));
                }
                said => text.push_str(said.unwrap_or_default()),
            }
            text.push('\n');
        }
        text
    }
}
