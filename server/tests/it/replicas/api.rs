//! Two replicas of one scheduler, each behind its own port: what one of them is asked, the other may have to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler::access::{AccessControl, TokenRegister};
use ecs_scheduler::api::{self, ApiState, ConnectionLimits, Limits};
use ecs_scheduler_core::engine::{Engine, EngineOptions};
use ecs_scheduler_core::replica::{JobOwner, Replica, ReplicaHandle, ReplicaOptions, Timing};
use ecs_scheduler_core::store::Shard;
use ecs_scheduler_core::{JobId, MemoryStore, SharedStore, Store, SystemClock};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::harness::{Grant, InstantLauncher, grant, registry};

/// How long anything may take that does not happen at once.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

struct Process {
    replica: ReplicaHandle,
    url: String,
    closing: CancellationToken,
}

impl Process {
    async fn start(
        store: &Arc<MemoryStore>,
        launcher: &Arc<InstantLauncher>,
        name: &str,
        has_tokens: bool,
    ) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(store) as Arc<dyn SharedStore>;
        let registry = Arc::new(registry());
        let engine = Engine {
            options: EngineOptions { name: "test".to_owned(), ..EngineOptions::default() },
            store: Arc::clone(store) as Arc<dyn Store>,
            launcher: Arc::clone(launcher) as _,
            registry: Arc::clone(&registry),
            clock: Arc::new(SystemClock),
        };
        let options =
            ReplicaOptions { id: name.parse().unwrap(), address: url.clone(), timing: Timing::default() };
        let replica = Replica { options, engine, store: shared }.join().await.unwrap();
        let closing = CancellationToken::new();
        let tokens = TokenRegister::new(Arc::clone(store) as Arc<dyn Store>, Arc::new(SystemClock));
        let access =
            AccessControl { tokens: has_tokens.then(|| Arc::new(tokens)), ..AccessControl::default() };
        let router = api::router(ApiState {
            store: Arc::clone(store) as Arc<dyn Store>,
            engine: replica.clone().into(),
            registry,
            clock: Arc::new(SystemClock),
            max_tasks: EngineOptions::default().max_tasks,
            launchers: Vec::new(),
            stores: Vec::new(),
            aws: None,
            hosts: Vec::new(),
            access,
            limits: Limits::default(),
            closing: closing.clone(),
        });
        tokio::spawn(api::serve(listener, router, ConnectionLimits::for_descriptors(1_024), closing.clone()));
        Self { replica, url, closing }
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        Client::new().post(format!("{}{path}", self.url)).json(body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        Client::new().get(format!("{}{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }

    /// Returns the name of a job that this replica owns, in its own view.
    fn a_job(&self) -> JobId {
        let mut names = (0..1_000).map(|number| JobId::new(&format!("job-{number}")).unwrap());
        names.find(|job| self.replica.owner(job) == JobOwner::ThisReplica).unwrap()
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < TEST_TIMEOUT, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn two() -> (Process, Process) {
    two_over(&Arc::new(MemoryStore::default()), false).await
}

async fn two_over(store: &Arc<MemoryStore>, has_tokens: bool) -> (Process, Process) {
    let launcher = Arc::new(InstantLauncher::default());
    let a = Process::start(store, &launcher, "a", has_tokens).await;
    let b = Process::start(store, &launcher, "b", has_tokens).await;
    let owned = |process: &Process| {
        let views = process.replica.replicas();
        views.into_iter().map(|view| view.shards.len()).collect::<Vec<_>>()
    };
    until("both own half and know it", async || {
        let knows = |process: &Process| {
            Shard::all().all(|shard| {
                let mut names = (0..1_000).map(|number| JobId::new(&format!("job-{number}")).unwrap());
                let job = names.find(|job| Shard::from_job(job) == shard).unwrap();
                process.replica.owner(&job) != JobOwner::Unowned
            })
        };
        owned(&a) == [8, 8] && owned(&b) == [8, 8] && knows(&a) && knows(&b)
    })
    .await;
    (a, b)
}

fn document(job: &JobId) -> Value {
    json!({"id": job, "taskDefinition": "work", "schedule": "@yearly", "overlap": "allow", "maxCount": 9})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_written_fired_and_evaluated_by_way_of_any_replica() {
    let (a, b) = two().await;
    let job = b.a_job();
    assert_eq!(a.post("/jobs", &document(&job)).await.status(), StatusCode::CREATED);
    until("the owner hears of the job", async || b.replica.status().jobs == 1).await;
    let fired = a.post(&format!("/jobs/{job}/firings"), &json!({"tasks": 2})).await;
    assert_eq!(fired.status(), StatusCode::CREATED);
    assert!(fired.headers()["location"].to_str().unwrap().starts_with("/firings/"));
    let firing: Value = fired.json().await.unwrap();
    assert_eq!((&firing["job"], &firing["requested"]), (&json!(job), &json!(2)));
    let evaluated = a.post(&format!("/jobs/{job}/evaluate"), &json!({})).await;
    assert_eq!(evaluated.status(), StatusCode::OK);
    let wrong = a.post(&format!("/jobs/{job}/firings"), &json!({"tasks": "many"})).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let huge = a.post(&format!("/jobs/{job}/firings"), &json!({"x": "y".repeat(300 * 1024)})).await;
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// Returns the text with each byte in percent-encoding.
fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_percent_encoded_job_id_reaches_the_owner_by_way_of_any_replica() {
    let (a, b) = two().await;
    let names = (0..1_000).map(|number| JobId::new(&format!("job_{number}-x")).unwrap());
    let job = names.into_iter().find(|job| b.replica.owner(job) == JobOwner::ThisReplica).unwrap();
    assert_eq!(a.post("/jobs", &document(&job)).await.status(), StatusCode::CREATED);
    until("the owner hears of the job", async || b.replica.status().jobs == 1).await;
    let encoded = [percent_encoded(job.as_str()), job.as_str().replace('_', "%5F").replace('-', "%2D")];
    for (process, path) in
        [&a, &b].into_iter().flat_map(|process| encoded.iter().map(move |id| (process, id)))
    {
        let fired = process.post(&format!("/jobs/{path}/firings"), &json!({})).await;
        assert_eq!(fired.status(), StatusCode::CREATED, "{path}");
        let firing: Value = fired.json().await.unwrap();
        assert_eq!(firing["job"], json!(job), "{path}");
        let evaluated = process.post(&format!("/jobs/{path}/evaluate"), &json!({})).await;
        assert_eq!(evaluated.status(), StatusCode::OK, "{path}");
        let resumed = process.post(&format!("/jobs/{path}/resume"), &json!({})).await;
        assert_eq!(resumed.status(), StatusCode::OK, "{path}");
        assert_eq!(process.get(&format!("/jobs/{path}")).await["id"], json!(job), "{path}");
    }
    assert_eq!(a.get(&format!("/jobs/{job}/firings")).await["firings"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_no_job_can_have_gets_the_same_answer_from_each_replica() {
    let (a, b) = two().await;
    let job = b.a_job();
    assert_eq!(a.post("/jobs", &document(&job)).await.status(), StatusCode::CREATED);
    until("the owner hears of the job", async || b.replica.status().jobs == 1).await;
    // A blank, a slash, a line feed, no UTF-8, another letter, an end that is cut off, and an id that is encoded twice.
    let twice = percent_encoded(&percent_encoded(job.as_str()));
    let ids = ["a%20b", "a%2Fb", "a%2fb", "a%0Ab", "%ff", "%C3%A9", "a%2", "..%2F..", twice.as_str()];
    for path in ids {
        for call in ["firings", "evaluate", "resume"] {
            let mut answers = Vec::new();
            for process in [&a, &b] {
                let answer = process.post(&format!("/jobs/{path}/{call}"), &json!({})).await;
                answers.push((answer.status(), answer.text().await.unwrap()));
            }
            assert!(answers[0].0.is_client_error(), "{path} {call}: {answers:?}");
            assert_eq!(answers[0], answers[1], "{path} {call}");
        }
        let created =
            a.post("/jobs", &json!({"id": path, "taskDefinition": "work", "schedule": "@yearly"})).await;
        assert_eq!(created.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    assert!(a.get(&format!("/jobs/{job}/firings")).await["firings"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_replica_finds_the_jobs_of_all_and_dry_runs_changes_at_their_owner() {
    let (a, b) = two().await;
    let found = async |process: &Process| process.get("/jobs?q=job&view=row&sort=id").await["jobs"].clone();
    assert_eq!((found(&a).await, found(&b).await), (json!([]), json!([])));
    let (of_a, of_b) = (a.a_job(), b.a_job());
    for job in [&of_a, &of_b] {
        assert_eq!(a.post("/jobs", &document(job)).await.status(), StatusCode::CREATED);
    }
    for process in [&a, &b] {
        until("both jobs are found", async || found(process).await.as_array().unwrap().len() == 2).await;
        for row in found(process).await.as_array().unwrap() {
            let is_own = process.replica.owner(&JobId::new(row["id"].as_str().unwrap()).unwrap())
                == JobOwner::ThisReplica;
            assert_eq!(row["running"].is_number(), is_own, "only the owner counts the tasks: {row}");
        }
    }
    until("the owner hears of the job", async || b.replica.status().jobs == 1).await;
    b.post(&format!("/jobs/{of_b}/firings"), &json!({"tasks": 2})).await;
    let change =
        Client::new().put(format!("{}/jobs/{of_b}?dryRun=true", a.url)).json(&json!({"maxCount": 2}));
    let dry: Value = change.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&dry["effect"], &dry["evaluation"]["outcome"]),
        (&json!("change"), &json!("capped")),
        "{dry}"
    );
    Client::new().delete(format!("{}/jobs/{of_a}", b.url)).send().await.unwrap();
    until("the other replica misses the job", async || found(&a).await.as_array().unwrap().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_with_a_key_fires_once_whichever_replica_is_asked() {
    let (a, b) = two().await;
    let job = b.a_job();
    a.post("/jobs", &document(&job)).await;
    until("the owner hears of the job", async || b.replica.status().jobs == 1).await;
    let mut answers = Vec::new();
    for process in [&a, &b, &a] {
        let request = Client::new().post(format!("{}/jobs/{job}/firings", process.url));
        let answer = request.header("idempotency-key", "once").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answers.push(answer.headers()["location"].clone());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let firings = a.get(&format!("/jobs/{job}/firings")).await;
    assert_eq!(firings["firings"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replicas_are_listed_with_their_shards() {
    let (a, b) = two().await;
    let seen = a.get("/replicas").await;
    assert_eq!(seen["shared"], true);
    let entries = seen["replicas"].as_array().unwrap();
    let of = |name: &str| entries.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!((of("id"), of("here")), (vec![json!("a"), json!("b")], vec![json!(true), json!(false)]));
    assert_eq!((of("address"), of("state")), (vec![json!(a.url), json!(b.url)], vec![json!("live"); 2]));
    let mut shards: Vec<u64> = of("shards")
        .iter()
        .flat_map(|shards| shards.as_array().unwrap().clone())
        .map(|shard| shard.as_u64().unwrap())
        .collect();
    shards.sort_unstable();
    assert_eq!(shards, (0..16).collect::<Vec<_>>());
    let ready = b.get("/readyz").await;
    assert!(ready["checks"].as_array().unwrap().contains(&json!({"name": "replica", "ok": true})), "{ready}");
    let metrics = Client::new().get(format!("{}/metrics", b.url)).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("\necs_scheduler_shards 8\n") && metrics.contains("\necs_scheduler_replicas 2\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_owner_does_not_answer_or_was_passed_on_already_is_to_be_repeated_later() {
    let (a, b) = two().await;
    let job = b.a_job();
    let path = format!("/jobs/{job}/firings");
    let again =
        Client::new().post(format!("{}{path}", a.url)).header("ecss-forwarded-by", "c").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(again.headers().contains_key("retry-after"));
    b.closing.cancel();
    until("the owner's port is closed", async || Client::new().get(&b.url).send().await.is_err()).await;
    let silent = a.post(&path, &json!({})).await;
    assert_eq!(silent.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(silent.headers().contains_key("retry-after"));
    let problem: Value = silent.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&b.url) && detail.contains("nothing was done"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_checks_the_token_of_a_forwarded_request_itself() {
    let store = Arc::new(MemoryStore::default());
    let write = Grant::new("write").scopes(&["jobs:write", "jobs:fire"]);
    let limited = Grant::new("limited").scopes(&["jobs:fire"]).label("team", "media");
    let admin = Grant::new("admin").scopes(&["admin"]);
    grant(&*store, &[&write, &limited, &admin]).await;
    let (a, b) = two_over(&store, true).await;
    let job = b.a_job();
    let send = async |method: Method, url: String, token: Option<&str>, body: Value| {
        let mut request = Client::new().request(method, url).json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    };
    let created = send(Method::POST, format!("{}/jobs", a.url), Some(&write.text), document(&job)).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let fire = |process: &Process| format!("{}/jobs/{job}/firings", process.url);
    // The replica that is asked forwards the request with its token.
    let fired = send(Method::POST, fire(&a), Some(&write.text), json!({})).await;
    assert_eq!(fired.status(), StatusCode::CREATED);
    let outside = send(Method::POST, fire(&a), Some(&limited.text), json!({})).await;
    assert_eq!(outside.status(), StatusCode::NOT_FOUND);
    for process in [&a, &b] {
        let unknown = send(Method::POST, fire(process), None, json!({})).await;
        assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
        let claims = Client::new().post(fire(process)).header("ecss-forwarded-by", "a").json(&json!({}));
        assert_eq!(claims.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    // One replica revokes the token, and the other one refuses it.
    let firings = format!("{}/jobs/{job}/firings", b.url);
    assert_eq!(send(Method::POST, firings.clone(), Some(&write.text), json!({})).await.status(), 201);
    let revoked = send(Method::DELETE, format!("{}/tokens/write", a.url), Some(&admin.text), json!({})).await;
    assert_eq!(revoked.status(), StatusCode::OK);
    until("the other replica refuses the token", async || {
        send(Method::POST, firings.clone(), Some(&write.text), json!({})).await.status()
            == StatusCode::UNAUTHORIZED
    })
    .await;
}
