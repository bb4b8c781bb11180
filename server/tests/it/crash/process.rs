//! One process of the program, and what is said to it over HTTP.

use std::fs::File;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::site::{DEADLINE, POLL_INTERVAL, Site, until, until_within};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ecs-scheduler");

/// A life of the scheduler. It is killed when it is dropped.
pub(crate) struct Scheduler {
    child: Child,
    http: Client,
    url: String,
}

impl Scheduler {
    /// Starts the program.
    pub(crate) fn spawn(site: &Site) -> Self {
        Self::spawn_by(site, Command::new(PROGRAM))
    }

    /// Starts the program and waits until it answers.
    pub(crate) async fn start(site: &Site) -> Self {
        let this = Self::spawn(site);
        this.wait_until_healthy(site).await;
        this
    }

    /// Starts the program with more variables than those of the site.
    #[cfg(feature = "aws")]
    pub(crate) async fn start_with(site: &Site, more: &[(&'static str, String)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.envs(more.iter().map(|(name, value)| (name, value)));
        let this = Self::spawn_by(site, command);
        this.wait_until_healthy(site).await;
        this
    }

    /// Starts the program with files bounded to this size, as on a disk that is nearly full: a write beyond it fails.
    pub(crate) async fn start_bounded(site: &Site, kibibytes: u32) -> Self {
        // `ulimit -f` counts 512 bytes.
        Self::start_under(site, &format!("ulimit -f {}", kibibytes * 2)).await
    }

    /// Starts the program with at most this many file descriptors.
    pub(crate) async fn start_with_descriptors(site: &Site, count: usize) -> Self {
        // Without `-H` or `-S` it sets the hard limit as well, up to which the program raises its own.
        Self::start_under(site, &format!("ulimit -n {count}")).await
    }

    /// Starts the program after a command of the shell that sets limits.
    async fn start_under(site: &Site, limits: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits}; exec \"$0\""), PROGRAM]);
        let this = Self::spawn_by(site, command);
        this.wait_until_healthy(site).await;
        this
    }

    fn spawn_by(site: &Site, mut command: Command) -> Self {
        let log = File::options().create(true).append(true).open(site.path("log")).unwrap();
        command
            .env("ECSS_LISTEN", format!("127.0.0.1:{}", site.port))
            .env("ECSS_DATA_DIR", site.path("data"))
            .envs(site.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(site.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let child = command.spawn().unwrap();
        Self { child, http, url: format!("http://127.0.0.1:{}", site.port) }
    }

    async fn wait_until_healthy(&self, site: &Site) {
        let alive = async {
            while self.status("/healthz").await != Some(StatusCode::OK) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let wait = tokio::time::timeout(DEADLINE, alive).await;
        assert!(wait.is_ok(), "{}", site.log());
    }

    /// Returns the status of an answer, if there is one.
    pub(crate) async fn status(&self, path: &str) -> Option<StatusCode> {
        self.http.get(format!("{}{path}", self.url)).send().await.ok().map(|answer| answer.status())
    }

    /// Reads a resource.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let text = self.text(path).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// Reads a resource as text.
    pub(crate) async fn text(&self, path: &str) -> String {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap().text().await.unwrap()
    }

    /// Sends a request, and returns the status and the body of the answer.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> (StatusCode, String) {
        self.send(Method::POST, path, body).await
    }

    /// The same by another method.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let answer = request.json(body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Sends a request that must succeed.
    pub(crate) async fn post(&self, path: &str, body: &Value) {
        let (status, answer) = self.try_post(path, body).await;
        assert!(status.is_success(), "{path}: {status}: {answer}");
    }

    /// Edits a resource, which must succeed.
    pub(crate) async fn put(&self, path: &str, body: &Value) {
        let (status, answer) = self.send(Method::PUT, path, body).await;
        assert!(status.is_success(), "{path}: {status}: {answer}");
    }

    /// Edits jobs in every way that moves no tick: the description, the schedule in other words, nothing at all.
    pub(crate) async fn edit_without_moving(&self, jobs: &[&str], number: usize) {
        let schedule = if number.is_multiple_of(2) { "0-59" } else { "*" };
        for job in jobs {
            let path = format!("/jobs/{job}");
            self.put(&path, &json!({"description": format!("edit {number}")})).await;
            self.put(&path, &json!({"schedule": schedule})).await;
            self.put(&path, &json!({"schedule": schedule})).await;
        }
    }

    /// Fires a job by hand, and returns the firing. None when there is no answer, or a refusal that passes.
    pub(crate) async fn fire(&self, job: &str, key: &str) -> Option<String> {
        let request = self.http.post(format!("{}/jobs/{job}/firings", self.url));
        let answer = request.header("Idempotency-Key", key).json(&json!({})).send().await.ok()?;
        let (status, body) = (answer.status(), answer.text().await.ok()?);
        // 200 if the running tasks cannot be counted now, 409 while an earlier request with the key may be under way.
        let passes = status.is_server_error() || [StatusCode::OK, StatusCode::CONFLICT].contains(&status);
        assert!(status == StatusCode::CREATED || passes, "{job}: {status}: {body}");
        let firing: Value = serde_json::from_str(&body).ok().filter(|_| status == StatusCode::CREATED)?;
        Some(firing["id"].as_str().expect("a firing has an id").to_owned())
    }

    pub(crate) async fn create(&self, id: &str, job: &Value) {
        let mut job = job.clone();
        job["id"] = id.into();
        self.post("/jobs", &job).await;
    }

    /// Suspends every job, and waits until none is fired any more and the tasks of all firings have ended.
    pub(crate) async fn quiesce(&self) {
        self.quiesce_within(DEADLINE).await;
    }

    /// The same, where firings may have piled up: their end may take this long.
    pub(crate) async fn quiesce_within(&self, deadline: Duration) {
        let jobs = self.list("/jobs?count=10000", "jobs").await;
        let ids: Vec<&str> = jobs.iter().map(|job| job["id"].as_str().unwrap()).collect();
        for id in &ids {
            self.post(&format!("/jobs/{id}/suspend"), &json!({"reason": "end of the test"})).await;
        }
        for id in ids {
            let suspended = format!("/jobs/{id}/decisions?outcome=suspended");
            until("a tick is seen as suspended", async || {
                !self.list(&suspended, "decisions").await.is_empty()
            })
            .await;
        }
        until_within(deadline, "all firings end", async || {
            for state in ["planned", "launching", "launched"] {
                if !self.list(&format!("/firings?state={state}"), "firings").await.is_empty() {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Reads the first page of a list.
    pub(crate) async fn list(&self, path: &str, what: &str) -> Vec<Value> {
        let mut answer = self.get(path).await;
        serde_json::from_value(answer[what].take()).unwrap()
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.id().expect("the scheduler has not been waited for");
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("no process is called 0");
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Opens connections that send nothing.
    pub(crate) async fn connect_idle(&self, count: usize) -> Vec<TcpStream> {
        let address = self.url.trim_start_matches("http://");
        let connections = (0..count).map(|_| TcpStream::connect(address));
        futures::future::try_join_all(connections).await.unwrap()
    }

    /// Returns how many file descriptors the process has open.
    pub(crate) fn descriptors(&self) -> usize {
        let pid = self.child.id().expect("the scheduler has not been waited for");
        std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    }

    /// Returns the most MiB that the process has had in memory.
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        let pid = self.child.id().expect("the scheduler has not been waited for");
        memory_mib(&format!("/proc/{pid}/status"), "VmHWM:")
    }

    /// Asks the process to stop, and returns how it ended and how long that took.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        (status.expect("it ends").unwrap(), asked.elapsed())
    }
}

/// Returns a number of MiB from the status of a process in `/proc`.
pub(crate) fn memory_mib(status: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}
