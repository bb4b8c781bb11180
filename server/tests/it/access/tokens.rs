//! Tokens over the API: their creation, their list, their end, and what requests of different tokens share.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_token_is_created_listed_used_and_revoked() {
    let admin = Grant::new("admin").scopes(&["admin"]);
    let server = server_with(&[&admin]).await;
    let body = json!({
        "name": "media team", "scopes": ["jobs:read", "jobs:write"], "labels": {"team": "media"},
        "expires": "2026-06-01T13:00:00Z",
    });
    let created = with(&server, &admin, "POST", "/tokens", body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.header("cache-control"), "no-store");
    let made = created.json();
    let (id, text) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap().to_owned());
    assert_eq!(created.header("location"), format!("/tokens/{id}"));
    assert!(text.starts_with(&format!("ecss_{id}_")), "{made}");
    let bearer = format!("Bearer {text}");
    assert_eq!(call(&server, "GET", "/jobs", &[&bearer], &Value::Null).await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let list = with(&server, &admin, "GET", "/tokens", Value::Null).await;
    let secret = text.rsplit_once(&format!("{id}_")).unwrap().1;
    assert!(!list.text().contains(secret) && !list.text().contains("hash"), "{}", list.text());
    let listed = &list.json()["tokens"][1];
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("token");
    expected["lastUsed"] = "2026-06-01T12:00:00Z".into();
    assert_eq!(*listed, expected);
    let stored = server.store.get_register("access/tokens").await.unwrap().unwrap().value;
    assert!(stored.contains(id) && !stored.contains(secret), "{stored}");
    let revoked = with(&server, &admin, "DELETE", &format!("/tokens/{id}"), Value::Null).await;
    assert_eq!(revoked.json(), json!({"id": id}));
    assert_eq!(call(&server, "GET", "/jobs", &[&bearer], &Value::Null).await.status, 401);
    let again = with(&server, &admin, "DELETE", &format!("/tokens/{id}"), Value::Null).await;
    assert_eq!(again.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_at_its_time() {
    let token = Grant::new("short").scopes(&["jobs:read"]).expires("2026-06-01T12:00:02Z");
    let server = server_with(&[&token]).await;
    assert_eq!(with(&server, &token, "GET", "/jobs", Value::Null).await.status, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ended = with(&server, &token, "GET", "/jobs", Value::Null).await;
    assert_eq!(ended.status, 401);
    let detail = ended.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "The access token has expired at 2026-06-01T12:00:02Z.");
    assert!(ended.header("www-authenticate").ends_with("error=\"invalid_token\""));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_request_for_a_token_names_the_field() {
    let admin = Grant::new("admin").scopes(&["admin"]);
    let server = server_with(&[&admin]).await;
    let labels: serde_json::Map<String, Value> = (0..9).map(|n| (format!("l{n}"), "v".into())).collect();
    for (pointer, body) in [
        ("/name", json!({"name": "", "scopes": ["admin"]})),
        ("/name", json!({"name": "x".repeat(65), "scopes": ["admin"]})),
        ("/name", json!({"name": "a\nb", "scopes": ["admin"]})),
        ("/name", json!({"name": "a\u{202e}b", "scopes": ["admin"]})),
        ("/scopes", json!({"name": "a", "scopes": []})),
        ("/scopes/0", json!({"name": "a", "scopes": ["jobs:*"]})),
        ("/labels", json!({"name": "a", "scopes": ["admin"], "labels": {"team": "media"}})),
        ("/labels", json!({"name": "a", "scopes": ["jobs:read", "admin"], "labels": {"team": "media"}})),
        ("/labels", json!({"name": "a", "scopes": ["jobs:read"], "labels": labels})),
        ("/labels", json!({"name": "a", "scopes": ["jobs:read"], "labels": {"": "media"}})),
        ("/expires", json!({"name": "a", "scopes": ["jobs:read"], "expires": "2026-06-01T12:00:00Z"})),
        ("/expires", json!({"name": "a", "scopes": ["jobs:read"], "expires": "tomorrow"})),
        ("/owner", json!({"name": "a", "scopes": ["jobs:read"], "owner": "me"})),
    ] {
        let reply = with(&server, &admin, "POST", "/tokens", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        let found = reply.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
        assert!(found.starts_with(pointer), "{body}: {}", reply.text());
    }
    let missing = with(&server, &admin, "POST", "/tokens", json!({"name": "a"})).await;
    assert_eq!(missing.status, 400);
    let list = with(&server, &admin, "GET", "/tokens", Value::Null).await.json();
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_everybody_in_makes_no_tokens() {
    let server = Server::start().await;
    let body = json!({"name": "later", "scopes": ["admin"]});
    let reply = server.json("POST", "/tokens", body).await;
    assert_eq!(reply.status, 403);
    assert!(reply.json()["detail"].as_str().unwrap().contains("ECSS_AUTH=tokens"));
    assert_eq!(server.get("/tokens").await.status, 403);
    assert!(server.store.get_register("access/tokens").await.unwrap().is_none());
    // A header that means nothing here does not harm.
    assert_eq!(server.call("GET", "/jobs", &[("authorization", "Bearer x")], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn idempotency_keys_of_one_caller_are_not_those_of_another() {
    let (one, other) =
        (Grant::new("one").scopes(&["jobs:write"]), Grant::new("other").scopes(&["jobs:write"]));
    let server = server_with(&[&one, &other]).await;
    let create = async |token: &Grant, id: &str| {
        let body = json!({"id": id, "taskDefinition": "t", "schedule": "@yearly"}).to_string();
        let bearer = format!("Bearer {}", token.text);
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", "k"),
            ("content-type", "application/json"),
        ];
        server.call("POST", "/jobs", &headers, body).await
    };
    assert_eq!(create(&one, "a").await.status, 201);
    assert_eq!(create(&one, "a").await.header("idempotent-replayed"), "true");
    assert_eq!(create(&one, "b").await.status, 422, "the key belongs to another request of the caller");
    let theirs = create(&other, "a").await;
    assert_eq!((theirs.status.as_u16(), theirs.header("idempotent-replayed")), (409, ""));
    assert_eq!(create(&other, "b").await.status, 422, "its own key belongs to its own request");
}

#[tokio::test(start_paused = true)]
async fn open_streams_end_with_their_token() {
    let (admin, reader) =
        (Grant::new("admin").scopes(&["admin"]), Grant::new("reader").scopes(&["history:read"]));
    let server = server_with(&[&admin, &reader]).await;
    let request = Request::get("/events")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", reader.text))
        .body(Body::empty())
        .unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let reading = tokio::spawn(response.into_body().collect());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!reading.is_finished());
    assert_eq!(with(&server, &admin, "DELETE", "/tokens/reader", Value::Null).await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(reading.is_finished(), "it ends within a second");
}
