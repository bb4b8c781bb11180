use super::{Layout, permissions};
use ecs_scheduler_core::JobId;

fn job(prefix: &str, key: &str) -> Option<Result<String, String>> {
    let job = Layout::new(prefix).job(key)?;
    Some(job.map(|id| id.to_string()).map_err(str::to_owned))
}

#[test]
fn only_json_directly_below_the_prefix_is_a_document() {
    assert_eq!(job("jobs/prod", "jobs/prod/a.json"), Some(Ok("a".to_owned())));
    assert_eq!(job("jobs/prod/", "jobs/prod/a.json"), Some(Ok("a".to_owned())));
    assert_eq!(job("", "a.json"), Some(Ok("a".to_owned())));
    for foreign in ["jobs/prod/readme.txt", "jobs/prod/deeper/x.json", "jobs/prod2/y.json", "other.json"] {
        assert_eq!(job("jobs/prod", foreign), None, "{foreign}");
    }
    assert_eq!(job("", "deeper/x.json"), None);
}

#[test]
fn a_name_that_no_job_can_have_is_told_apart() {
    assert_eq!(job("p", "p/my job.json"), Some(Err("my job".to_owned())));
    assert_eq!(job("p", "p/.json"), Some(Err(String::new())));
}

#[test]
fn the_log_is_nothing_that_the_python_version_takes_for_a_document() {
    for prefix in ["", "jobs/prod"] {
        let layout = Layout::new(prefix);
        let key = format!("{}segment-0000000000000001", layout.log());
        assert_eq!(layout.job(&key), None);
        let name = key.strip_prefix(layout.documents()).unwrap();
        assert!(name.contains('/') && !name.ends_with(".json"), "{name}");
    }
}

#[test]
fn the_key_of_a_job_is_that_of_its_document() {
    let id = JobId::new("nightly").unwrap();
    assert_eq!(Layout::new("jobs/prod").document(&id), "jobs/prod/nightly.json");
    assert_eq!(Layout::new("").document(&id), "nightly.json");
}

#[test]
fn objects_below_the_prefix_and_the_list_of_the_bucket_are_permitted() {
    let needed: Vec<_> = permissions("b", "jobs")
        .into_iter()
        .map(|need| format!("{} {}", need.action, need.resource))
        .collect();
    let objects = "arn:aws:s3:::b/jobs/*";
    assert_eq!(
        needed,
        [
            format!("s3:GetObject {objects}"),
            format!("s3:PutObject {objects}"),
            format!("s3:DeleteObject {objects}"),
            "s3:ListBucket arn:aws:s3:::b".to_owned()
        ]
    );
}
