//! InvalidConfig input by the thousand: always refused, with its place, and nothing is changed.

use serde_json::{Value, json};

use crate::harness::{Reply, Server};

/// Values that are wrong for a kind of field.
fn wrong(kind: &str) -> Vec<Value> {
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let long = "x".repeat(5_000);
    match kind {
        "string" => vec![json!(5), json!(true), json!([]), json!({}), json!(1.5), deep],
        "name" => {
            vec![json!(""), json!(" "), json!("a b"), json!("ü"), json!("a\n"), json!("a\u{0}"), json!(long)]
        }
        "count" => vec![
            json!(0),
            json!(-1),
            json!(51),
            json!(1.5),
            json!(1e300),
            json!(true),
            json!("x"),
            json!(""),
            json!([]),
            json!({}),
            json!("99999999999999999999"),
            json!(18_446_744_073_709_551_615_u64),
            deep,
        ],
        "schedule" => vec![
            json!(""),
            json!("   "),
            json!("99"),
            json!("a b c"),
            json!("cron(x)"),
            json!("rate(0 minutes)"),
            json!("at(never)"),
            json!("@nightly"),
            json!("0 0 0 * * 31 2"),
            json!("5-1"),
            json!("1/0"),
            json!(","),
            json!([]),
            json!([5]),
            json!(["0", "x"]),
            json!(long),
            json!(vec!["0"; 65]),
        ],
        "zone" => vec![json!("Nope"), json!("+01:00"), json!("Europe/Berlim"), json!(" "), json!(long)],
        "moment" => vec![
            json!(""),
            json!("x"),
            json!("2027-01-01"),
            json!("2027-13-01T00:00:00"),
            json!("2027-01-01T24:00:00"),
            json!("2027-01-01T00:00:60"),
            json!("2027-01-01T00:00:00+99:00"),
            json!("2027-01-01t00:00:00z"),
            json!("0000-01-01T00:00:00"),
        ],
        "flag" => vec![json!("yes"), json!(2), json!(""), json!([]), json!({}), json!("maybe"), json!(0.5)],
        "duration" => vec![
            json!(5),
            json!(""),
            json!("5"),
            json!("m5"),
            json!("1h1h"),
            json!("-5m"),
            json!("5 m"),
            json!("999999999999d"),
            json!([]),
        ],
        "word" => vec![json!(""), json!("nothing"), json!(5), json!([]), json!({})],
        "list" => vec![
            json!(5),
            json!("x"),
            json!({}),
            json!(true),
            json!([5]),
            json!([{}]),
            json!([null]),
            json!([{"containerName": 5}]),
            json!([{"containerName": "c", "environment": []}]),
            json!([{"containerName": "c", "cpu": "x"}]),
            json!([{"containerName": "c", "nonsense": 1}]),
        ],
        "object" => vec![json!(5), json!("x"), json!([]), json!(true)],
        other => panic!("unknown kind {other}"),
    }
}

/// The fields of a document and what is wrong for each.
const FIELDS: [(&str, &[&str]); 22] = [
    ("id", &["string", "name"]),
    ("taskDefinition", &["string", "name"]),
    ("schedule", &["schedule"]),
    ("timezone", &["string", "zone"]),
    ("scheduleStart", &["string", "moment"]),
    ("scheduleEnd", &["string", "moment"]),
    ("taskCount", &["count"]),
    ("maxCount", &["count"]),
    ("suspended", &["flag"]),
    ("trigger", &["object"]),
    ("overrides", &["list"]),
    ("description", &["string"]),
    ("labels", &["object"]),
    ("launch", &["object"]),
    ("mode", &["word"]),
    ("overlap", &["word"]),
    ("catchUp", &["object"]),
    ("retry", &["object"]),
    ("cooldown", &["duration"]),
    ("jitter", &["duration"]),
    ("timeout", &["duration"]),
    ("startTimeout", &["duration"]),
];

fn valid() -> Value {
    json!({"taskDefinition": "report", "schedule": "0 0 0", "taskCount": 1})
}

/// Checks that an answer is a refusal that names a place under `field`.
fn assert_refused(reply: &Reply, field: &str, sent: &str) {
    let sent: String = sent.chars().take(200).collect();
    assert_eq!(reply.status, 400, "{sent}: {}", reply.text());
    let body = reply.json();
    let places: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    let fits = |place: &&str| place.is_empty() || place.split('/').nth(1) == Some(field);
    assert!(!places.is_empty() && places.iter().all(fits), "{sent}: {body}");
    assert!(body["messages"].is_object() && body["message"].is_string(), "{sent}: {body}");
}

#[tokio::test(start_paused = true)]
async fn every_wrong_value_of_every_field_is_refused_with_its_place() {
    let server = Server::start().await;
    server.json("POST", "/jobs", json!({"taskDefinition": "kept", "schedule": "0 0 0"})).await;
    let before = server.get("/jobs").await.body;
    let mut requests = 0;
    for (field, kinds) in FIELDS {
        for value in kinds.iter().flat_map(|kind| wrong(kind)) {
            let mut document = valid();
            document[field] = value.clone();
            let sent = document.to_string();
            assert_refused(&server.json("POST", "/jobs", &sent).await, field, &sent);
            let change = json!({field: value}).to_string();
            for method in ["PUT", "PATCH"] {
                let merged = method == "PATCH" && value.as_object().is_some_and(serde_json::Map::is_empty);
                if !merged {
                    assert_refused(&server.json(method, "/jobs/kept", &change).await, field, &change);
                }
                requests += 1;
            }
            let evaluated = server.json("POST", "/evaluate", json!({"job": document})).await;
            assert_refused(&evaluated, "job", &sent);
            requests += 2;
        }
    }
    assert!(requests > 600, "{requests}");
    assert_eq!(server.get("/jobs").await.body, before, "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_field_is_refused_with_the_nearest_known_one() {
    let server = Server::start().await;
    for (given, meant) in [("taskcount", "taskCount"), ("time_zone", "timezone"), ("maxcount", "maxCount")] {
        let mut document = valid();
        document[given] = json!(1);
        let reply = server.json("POST", "/jobs", document).await;
        assert_refused(&reply, given, given);
        assert!(reply.text().contains(meant), "{}", reply.text());
    }
    for path in ["/schedules/preview", "/evaluate", "/brake"] {
        assert_refused(&server.json("POST", path, json!({"nonsense": 1})).await, "nonsense", path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_cut_anywhere_is_not_json() {
    let server = Server::start().await;
    let whole = r#"{"taskDefinition":"report","schedule":["0 0 0","cron(0 0 * * ? *)"],"taskCount":2,"overrides":[{"containerName":"ü","environment":{"A":"\u00e9"}}]}"#;
    for end in 0..whole.len() {
        let cut = whole.as_bytes()[..end].to_vec();
        let reply = server.call("POST", "/jobs", &[("content-type", "application/json")], cut).await;
        assert_eq!((reply.status.as_u16(), reply.json()["message"].is_string()), (400, true), "{end}");
    }
    assert_eq!(server.json("POST", "/jobs", whole).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_text_and_nesting_without_end_are_refused() {
    let server = Server::start().await;
    let json = [("content-type", "application/json")];
    for byte in 0x80..=0xff_u8 {
        let mut body = br#"{"taskDefinition":"a"#.to_vec();
        body.push(byte);
        body.extend_from_slice(br#"","schedule":"0 0 0"}"#);
        assert_eq!(server.call("POST", "/jobs", &json, body).await.status, 400, "{byte:x}");
    }
    for depth in [1, 10, 100, 127, 128, 129, 1_000, 100_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let inner = if close == "}" { "1" } else { "" };
            let body = format!(r#"{{"labels":{}{inner}{}}}"#, open.repeat(depth), close.repeat(depth));
            let status = server.call("POST", "/jobs", &json, body).await.status.as_u16();
            assert!(matches!(status, 400 | 413), "{depth}: {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn noise_is_refused_and_never_breaks_the_server() {
    let server = Server::start().await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let paths = [
        "/jobs",
        "/jobs/a",
        "/schedules/preview",
        "/evaluate",
        "/brake",
        "/jobs/a/suspend",
        "/jobs/a/firings",
    ];
    let alphabet = br#"{}[]",:0123456789.-+eEtruefalsn\u"schedule"taskDefinition ?*/@"#;
    for round in 0..3_000_usize {
        let length = usize::try_from(random() % 60).unwrap();
        let body: Vec<u8> =
            (0..length).map(|_| alphabet[usize::try_from(random()).unwrap() % alphabet.len()]).collect();
        let path = paths[round % paths.len()];
        let method = ["POST", "PUT", "PATCH"][round / paths.len() % 3];
        let reply = server.call(method, path, &[("content-type", "application/json")], body).await;
        assert!(reply.status.is_client_error(), "{method} {path}: {}", reply.text());
        assert!(reply.json()["message"].is_string());
    }
    assert_eq!(server.get("/jobs").await.json(), json!({"jobs": []}));
}

#[tokio::test(start_paused = true)]
async fn names_and_queries_that_are_no_text_are_client_errors() {
    let server = Server::start().await;
    for byte in 0..=0xff_u8 {
        for path in
            [format!("/jobs/%{byte:02X}"), format!("/firings/%{byte:02X}"), format!("/jobs/%{byte:02X}/next")]
        {
            assert_eq!(server.get(&path).await.status, 404, "{path}");
        }
        let digit = byte.is_ascii_digit() || byte == b'%';
        if !digit {
            let path = format!("/jobs?skip=%{byte:02X}");
            assert_eq!(server.get(&path).await.status, 400, "{path}");
        }
    }
    for path in [
        "/decisions?limit=0",
        "/decisions?limit=1001",
        "/decisions?after=x",
        "/firings?limit=-1",
        "/firings?after=zz",
        "/firings?after=0192F1E9B0C0aaaaaaaaaaaaaaaaaaaa",
        "/jobs?count=0",
        "/jobs?count=5&count=5",
        "/jobs?count=5&count=abc",
        "/decisions?outcome=idle&limit=1&outcome=idle",
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.json()["errors"][0]["pointer"].as_str().unwrap().starts_with('?'), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn moment_that_no_task_works_for_is_refused_before_a_task_starts() {
    let server = Server::start().await;
    server.json("POST", "/jobs", json!({"taskDefinition": "kept", "schedule": "0 0 0"})).await;
    for (at, why) in [
        ("1969-12-31T23:59:59Z", "Before 1970"),
        ("0001-01-01T00:00:00Z", "Before 1970"),
        ("2999-01-01T00:00:00Z", "Later than now"),
        ("2026-01-01", "Not a valid datetime. Write a date and a time"),
        ("yesterday", "Not a valid datetime. Write a date and a time"),
    ] {
        let reply = server.json("POST", "/jobs/kept/firings", json!({"scheduledAt": at})).await;
        let (status, error) = (reply.status.as_u16(), reply.json()["errors"][0].clone());
        assert_eq!((status, &error["pointer"]), (400, &json!("/scheduledAt")), "{at}: {error}");
        assert!(error["message"].as_str().unwrap().starts_with(why), "{at}: {error}");
    }
    let all = json!({"tasks": 0, "overrides": [{"containerName": 1}], "scheduledAt": "2999-01-01T00:00:00Z", "task": 1});
    let refused = server.json("POST", "/jobs/kept/firings", all).await.json();
    let pointers: Vec<_> =
        refused["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/task", "/tasks", "/scheduledAt", "/overrides/0/containerName"], "{refused}");
    assert!(refused["messages"]["overrides"]["0"]["containerName"].is_array(), "{refused}");
    let utc = server.json("POST", "/jobs/kept/firings", json!({"scheduledAt": "1970-01-02T00:00:00"})).await;
    assert_eq!((utc.status.as_u16(), &utc.json()["nominal"]), (201, &json!("1970-01-02T00:00:00Z")));
}

#[tokio::test(start_paused = true)]
async fn a_number_beyond_its_bounds_is_refused_with_the_bounds() {
    let server = Server::start().await;
    server.json("POST", "/jobs", json!({"taskDefinition": "kept", "schedule": "0 0 0"})).await;
    for (path, body, pointer, bounds) in [
        ("firings", r#"{"tasks": 0}"#, "/tasks", "between 1 and 4294967295"),
        ("firings", r#"{"tasks": "5"}"#, "/tasks", "between 1 and 4294967295"),
        ("firings", r#"{"tasks": 4294967296}"#, "/tasks", "between 1 and 4294967295"),
        ("evaluate", r#"{"given": {"demand": -1}}"#, "/given/demand", "between 0 and 4294967295"),
        ("evaluate", r#"{"given": {"busy": 1.5}}"#, "/given/busy", "between 0 and 4294967295"),
        (
            "evaluate",
            r#"{"given": {"observations": {"inFlight": 4294967296}}}"#,
            "/given/observations/inFlight",
            "between 0 and 4294967295",
        ),
    ] {
        let reply = server.json("POST", &format!("/jobs/kept/{path}"), body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{body}");
        let text = reply.text();
        assert!(text.contains(bounds) && !text.contains("u32"), "{text}");
    }
    for body in [r#"{"tasks": null}"#, r#"{"tasks": 1}"#, "{}"] {
        assert!(server.json("POST", "/jobs/kept/firings", body).await.status.is_success(), "{body}");
    }
    let nulls = r#"{"given": {"demand": null, "busy": 0, "observations": {"visible": 3}}}"#;
    assert_eq!(server.json("POST", "/jobs/kept/evaluate", nulls).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_there_twice_is_refused_wherever_json_is_sent() {
    let server = Server::start().await;
    server.json("POST", "/jobs", json!({"taskDefinition": "kept", "schedule": "0 0 0"})).await;
    for (method, path, body) in [
        ("POST", "/jobs", r#"{"id": "a", "id": "b", "taskDefinition": "x", "schedule": "0"}"#),
        ("POST", "/jobs", r#"{"id": "a", "i\u0064": "b", "taskDefinition": "x", "schedule": "0"}"#),
        ("POST", "/jobs", r#"{"taskDefinition": "x", "schedule": "0", "labels": {"a": "1", "a": "2"}}"#),
        ("PUT", "/jobs/kept", r#"{"taskCount": 1, "taskCount": 2}"#),
        ("PATCH", "/jobs/kept", r#"{"taskCount": 1, "taskCount": 2}"#),
        ("POST", "/jobs/kept/firings", r#"{"tasks": 1, "tasks": 2}"#),
        ("POST", "/brake", r#"{"reason": "a", "reason": "b"}"#),
        ("POST", "/schedules/preview", r#"{"schedule": "0", "schedule": "1"}"#),
        ("POST", "/evaluate", r#"{"job": {"id": "a", "id": "b", "taskDefinition": "x", "schedule": "0"}}"#),
    ] {
        let reply = server.json(method, path, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["type"].as_str()),
            (400, Some("/problems/syntax")),
            "{body}"
        );
        assert!(reply.text().contains("is there twice"), "{}", reply.text());
    }
    assert_eq!(server.get("/jobs").await.json()["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn characters_that_change_how_a_terminal_shows_text_are_refused() {
    let server = Server::start().await;
    server.json("POST", "/jobs", json!({"taskDefinition": "kept", "schedule": "0 0 0"})).await;
    let hidden = [
        "\u{0}",
        "\u{1b}[31m",
        "\r",
        "\u{7f}",
        "\u{85}",
        "\u{9b}",
        "\u{202e}",
        "\u{2067}",
        "\u{200f}",
        "\u{ffff}",
    ];
    for hidden in hidden {
        let text = format!("a{hidden}b");
        for (field, pointer, value) in [
            ("description", "/description", json!(text)),
            ("labels", "/labels/team", json!({"team": text})),
            ("launch", "/launch/cluster", json!({"cluster": text})),
            ("overrides", "/overrides/0/containerName", json!([{"containerName": text}])),
            ("suspension", "/suspension/reason", json!({"reason": text})),
        ] {
            let mut document = valid();
            document[field] = value.clone();
            document["suspended"] = json!(true);
            for reply in [
                server.json("POST", "/jobs", &document).await,
                server.json("PUT", "/jobs/kept", json!({field: value, "suspended": true})).await,
            ] {
                assert_eq!(reply.status, 400, "{field} {hidden:?}: {}", reply.text());
                assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{}", reply.text());
            }
        }
        let named = json!({"taskDefinition": "x", "schedule": "0", "labels": {text.clone(): "x"}});
        assert_eq!(server.json("POST", "/jobs", named).await.status, 400);
        for (path, body) in [
            ("/brake", json!({"reason": text})),
            ("/jobs/kept/suspend", json!({"reason": text})),
            ("/jobs/kept/suspend", json!({"actor": text})),
        ] {
            let reply = server.json("POST", path, body).await;
            assert_eq!(reply.status, 400, "{path} {hidden:?}");
            assert!(
                reply.json()["errors"][0]["message"].as_str().unwrap().contains("U+"),
                "{}",
                reply.text()
            );
        }
    }
    let mut passed_on = valid();
    passed_on["description"] = json!("two lines\nand a\ttab, ü, 日本, עברית");
    passed_on["overrides"] = json!([{"containerName": "c", "command": ["printf", "\u{1b}[31m"], "environment": {"A": "\u{202e}"}}]);
    let reply = server.json("POST", "/jobs", &passed_on).await;
    assert_eq!(reply.status, 201, "a container may be given what its command needs: {}", reply.text());
    passed_on["overrides"][0]["command"][1] = json!("a\u{0}");
    assert_refused(&server.json("POST", "/jobs", &passed_on).await, "overrides", "NUL");
}
