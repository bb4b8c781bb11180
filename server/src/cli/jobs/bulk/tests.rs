use clap::Parser;
use serde_json::json;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: BulkArgs,
}

fn parse(line: &str) -> Result<BulkArgs, clap::Error> {
    Line::try_parse_from(["bulk"].into_iter().chain(line.split(' '))).map(|line| line.args)
}

#[test]
fn names_and_filters_make_the_body() {
    for (line, expected) in [
        ("fire a b", json!({"select": {"ids": ["a", "b"]}, "do": "fire"})),
        (
            "suspend --search -x --label team=media --reason lunch --expect 3",
            json!({"select": {"query": {"q": "-x", "label": "team=media"}}, "do": "suspend", "reason": "lunch", "expect": 3}),
        ),
        (
            "label a --set tier=gold=1 --set team",
            json!({"select": {"ids": ["a"]}, "do": "label", "labels": {"tier": "gold=1", "team": null}}),
        ),
        (
            "delete --state failing --dry-run",
            json!({"select": {"query": {"state": "failing"}}, "do": "delete", "dryRun": true}),
        ),
    ] {
        assert_eq!(body(&parse(line).unwrap()), expected, "{line}");
    }
    for wrong in ["stop a", "delete --search x", "delete a --search x"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn each_refused_job_is_named() {
    let args = parse("fire a b").unwrap();
    let answer = json!({"selected": 2, "failed": 1, "results": [
        {"id": "a", "status": 201}, {"id": "b", "status": 404, "problem": {"detail": "Job b does not exist."}},
    ]});
    assert_eq!(done(&args, &answer), "fire: 1 of 2 jobs\n  a\n");
    assert_eq!(refusal(&answer["results"][1]).as_deref(), Some("b: 404 Job b does not exist."));
}
