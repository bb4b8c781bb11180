//! Tokens for the jobs with certain labels: they see and write only these.

use super::*;

/// Routes about all jobs, which a token for some jobs may not use.
const WHOLE: [&str; 11] = [
    "POST /brake",
    "DELETE /brake",
    "GET /budgets",
    "GET /notifications",
    "POST /notifications/test",
    "GET /replicas",
    "GET /stats/aws",
    "GET /metrics",
    "GET /tokens",
    "POST /tokens",
    "DELETE /tokens/{id}",
];

pub(super) fn media() -> Grant {
    let scopes = ["jobs:read", "jobs:write", "jobs:fire", "history:read", "logs:read"];
    Grant::new("media").scopes(&scopes).label("team", "media")
}

pub(super) fn admin() -> Grant {
    Grant::new("admin").scopes(&["admin"])
}

pub(super) fn job(id: &str, labels: &Value) -> Value {
    json!({
        "id": id, "taskDefinition": format!("canary-{id}"), "schedule": "@yearly", "labels": labels,
        "overlap": "allow", "maxCount": 9,
    })
}

/// Starts a server with a job of the token and foreign ones, each of which has fired.
pub(super) async fn server() -> Server {
    let server = server_with(&[&admin(), &media()]).await;
    let jobs = [
        ("foreign-1", json!({"team": "data"})),
        ("foreign-2", json!({"team": "MEDIA", "x-team": "media"})),
        ("mine", json!({"team": "media", "stage": "prod"})),
        ("foreign-3", json!({})),
    ];
    for (id, labels) in jobs {
        assert_eq!(with(&server, &admin(), "POST", "/jobs", job(id, &labels)).await.status, 201);
        let fired = with(&server, &admin(), "POST", &format!("/jobs/{id}/firings"), Value::Null).await;
        assert_eq!(fired.status, 201, "{}", fired.text());
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    server
}

/// Returns the newest firing of a job.
async fn firing(server: &Server, job: &str) -> String {
    let list = with(server, &admin(), "GET", &format!("/jobs/{job}/firings"), Value::Null).await.json();
    list["firings"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_job_outside_of_the_labels_is_as_unknown_as_one_that_does_not_exist() {
    let server = server().await;
    let (foreign_firing, own_firing) = (firing(&server, "foreign-1").await, firing(&server, "mine").await);
    let before = with(&server, &admin(), "GET", "/jobs/foreign-1", Value::Null).await;
    let (mut whole, mut checked) = (Vec::new(), 0);
    for route in routes() {
        let call = format!("{} {}", route.method, route.path);
        let is_firing = route.path.starts_with("/firings");
        let (foreign, unknown) = if is_firing {
            (foreign_firing.as_str(), "0123456789abcdef0123456789abcdef")
        } else {
            ("foreign-1", "unknown-1")
        };
        // The checks of the body must not tell either.
        for body in [Value::Null, json!({}), json!({"description": "changed", "labels": {"team": "media"}})] {
            let reply = with(&server, &media(), &route.method, &route.path_of(foreign), body.clone()).await;
            assert!(!reply.text().contains("canary-foreign"), "{call}: {}", reply.text());
            if route.path.contains("{id}") && !route.path.starts_with("/tokens") {
                assert_eq!(reply.status, 404, "{call} {body}: {}", reply.text());
                let other = with(&server, &media(), &route.method, &route.path_of(unknown), body).await;
                assert_eq!(
                    reply.text().replace(foreign, "NAME"),
                    other.text().replace(unknown, "NAME"),
                    "{call}"
                );
                checked += 1;
            } else if reply.status == 403 && body.is_null() {
                whole.push(call.clone());
            }
        }
    }
    assert!(checked > 40, "{checked}");
    let mut expected = WHOLE.map(str::to_owned).to_vec();
    whole.sort();
    expected.sort();
    assert_eq!(whole, expected);
    let after = with(&server, &admin(), "GET", "/jobs/foreign-1", Value::Null).await;
    assert_eq!(after.text(), before.text());
    assert_eq!(firing(&server, "foreign-1").await, foreign_firing);
    // The same requests about its own job are answered.
    for path in ["/jobs/mine", "/jobs/mine/next", "/jobs/mine/decisions", "/jobs/mine/firings"] {
        assert_eq!(with(&server, &media(), "GET", path, Value::Null).await.status, 200, "{path}");
    }
    let own = with(&server, &media(), "GET", &format!("/firings/{own_firing}"), Value::Null).await;
    assert_eq!(own.json()["job"], "mine");
    assert_eq!(with(&server, &media(), "POST", "/jobs/mine/firings", Value::Null).await.status, 201);
    assert_eq!(with(&server, &media(), "POST", "/jobs/mine/evaluate", Value::Null).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn lists_have_only_the_jobs_of_the_token() {
    let server = server().await;
    for (path, name, field) in [
        ("/jobs", "jobs", "id"),
        ("/jobs?count=1", "jobs", "id"),
        ("/jobs?state=ok&count=1", "jobs", "id"),
        ("/decisions", "decisions", "job"),
        ("/decisions?limit=1", "decisions", "job"),
        ("/decisions?outcome=launched", "decisions", "job"),
        ("/firings", "firings", "job"),
        ("/firings?limit=1", "firings", "job"),
        ("/firings?label=team", "firings", "job"),
        ("/firings?label=stage%3Dprod", "firings", "job"),
    ] {
        let (mut next, mut seen) = (Some(path.to_owned()), Vec::new());
        while let Some(path) = next {
            let reply = with(&server, &media(), "GET", &path, Value::Null).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            assert!(!reply.text().contains("foreign"), "{path}: {}", reply.text());
            let page = reply.json();
            seen.extend(page[name].as_array().unwrap().iter().map(|entry| entry[field].clone()));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(seen, ["mine"], "{path}");
    }
    let none = with(&server, &media(), "GET", "/firings?label=team%3Ddata", Value::Null).await.json();
    assert_eq!(none["firings"], json!([]));
    // With another label, the whole job is another team's, also its past.
    let moved = json!({"labels": {"team": "data"}});
    assert_eq!(with(&server, &admin(), "PUT", "/jobs/mine", moved).await.status, 200);
    for path in ["/jobs", "/decisions", "/firings"] {
        let reply = with(&server, &media(), "GET", path, Value::Null).await;
        assert!(!reply.text().contains("mine"), "{path}: {}", reply.text());
    }
    assert_eq!(with(&server, &media(), "GET", "/jobs/mine/decisions", Value::Null).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn the_history_of_a_removed_job_is_not_shown() {
    let server = server().await;
    let firing = firing(&server, "mine").await;
    assert_eq!(with(&server, &media(), "DELETE", "/jobs/mine", Value::Null).await.status, 200);
    for path in [format!("/firings/{firing}"), "/jobs/mine/firings".to_owned()] {
        assert_eq!(with(&server, &media(), "GET", &path, Value::Null).await.status, 404, "{path}");
        assert_eq!(with(&server, &admin(), "GET", &path, Value::Null).await.status, 200, "{path}");
    }
    let next = job("mine", &json!({"team": "media"}));
    assert_eq!(with(&server, &media(), "POST", "/jobs", next).await.status, 201);
    assert_eq!(with(&server, &media(), "GET", &format!("/firings/{firing}"), Value::Null).await.status, 404);
    for list in ["firings", "decisions"] {
        for path in [format!("/jobs/mine/{list}"), format!("/{list}")] {
            let shown = with(&server, &media(), "GET", &path, Value::Null).await;
            assert_eq!((shown.status.as_u16(), &shown.json()[list]), (200, &json!([])), "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_cannot_leave_the_labels() {
    let server = server().await;
    let before = with(&server, &admin(), "GET", "/jobs/mine", Value::Null).await;
    let refused = [
        ("POST", "/jobs", job("new", &json!({"team": "data"}))),
        ("POST", "/jobs", job("new", &json!({"Team": "media"}))),
        ("POST", "/jobs", json!({"id": "new", "taskDefinition": "t", "schedule": "@yearly"})),
        ("PUT", "/jobs/mine", json!({"labels": {"team": "data"}})),
        ("PUT", "/jobs/mine", json!({"labels": null})),
        ("PUT", "/jobs/mine", json!({"labels": {"stage": "prod"}, "description": "x"})),
        ("PATCH", "/jobs/mine", json!({"labels": {"team": null}})),
        ("PATCH", "/jobs/mine", json!({"labels": {"team": "MEDIA"}})),
        ("POST", "/evaluate", json!({"job": job("new", &json!({"team": "data"}))})),
    ];
    for (method, path, body) in refused {
        let reply = with(&server, &media(), method, path, body.clone()).await;
        assert_eq!(reply.status, 403, "{method} {path} {body}: {}", reply.text());
        assert!(reply.json()["detail"].as_str().unwrap().contains("team=media"), "{}", reply.text());
    }
    assert_eq!(with(&server, &admin(), "GET", "/jobs/new", Value::Null).await.status, 404);
    assert_eq!(with(&server, &admin(), "GET", "/jobs/mine", Value::Null).await.text(), before.text());
    let allowed = [
        ("POST", "/jobs", job("new", &json!({"team": "media"})), 201),
        ("PUT", "/jobs/mine", json!({"labels": {"team": "media", "stage": "test"}}), 200),
        ("PATCH", "/jobs/mine", json!({"labels": {"stage": null}}), 200),
        ("POST", "/jobs/mine/suspend", json!({"reason": "lunch"}), 200),
        ("POST", "/jobs/mine/resume", Value::Null, 200),
        ("POST", "/evaluate", json!({"job": job("other", &json!({"team": "media"}))}), 200),
        ("DELETE", "/jobs/new", Value::Null, 200),
    ];
    for (method, path, body, expected) in allowed {
        let reply = with(&server, &media(), method, path, body.clone()).await;
        assert_eq!(reply.status, expected, "{method} {path} {body}: {}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_those_of_the_jobs_of_the_token() {
    let server = server().await;
    let request = Request::get("/events")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", media().text))
        .body(Body::empty())
        .unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    let reading = tokio::spawn(response.into_body().collect());
    for id in ["foreign-1", "foreign-2", "foreign-3", "mine"] {
        let path = format!("/jobs/{id}");
        with(&server, &admin(), "PUT", &path, json!({"description": format!("new {id}")})).await;
        with(&server, &admin(), "POST", &format!("{path}/firings"), Value::Null).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    with(&server, &admin(), "DELETE", "/jobs/foreign-1", Value::Null).await;
    with(&server, &admin(), "POST", "/brake", json!({"reason": "enough"})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.closing.cancel();
    let text = String::from_utf8(reading.await.unwrap().unwrap().to_bytes().to_vec()).unwrap();
    assert!(!text.contains("foreign"), "{text}");
    for part in
        ["event: job\n", "event: decision\n", "event: firing\n", "event: brake\n", "a job was removed"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}
