use super::KeyLayout;
use ecs_scheduler_core::JobId;

fn job(prefix: &str, key: &str) -> Option<Result<String, String>> {
    let job = KeyLayout::new(prefix).job(key)?;
    Some(job.map(|id| id.to_string()).map_err(str::to_owned))
}

#[test]
fn only_json_directly_below_the_prefix_is_a_document() {
    assert_eq!(job("jobs/prod", "jobs/prod/a.json"), Some(Ok("a".to_owned())));
    assert_eq!(job("jobs/prod/", "jobs/prod/a.json"), Some(Ok("a".to_owned())));
    assert_eq!(job("", "a.json"), Some(Ok("a".to_owned())));
    for key in ["jobs/prod/readme.txt", "jobs/prod/deeper/x.json", "jobs/prod2/y.json", "other.json"] {
        assert_eq!(job("jobs/prod", key), None, "{key}");
    }
    assert_eq!(job("", "deeper/x.json"), None);
}

#[test]
fn an_invalid_job_name_is_returned_as_an_error() {
    assert_eq!(job("p", "p/my job.json"), Some(Err("my job".to_owned())));
    assert_eq!(job("p", "p/.json"), Some(Err(String::new())));
}

#[test]
fn the_python_version_reads_no_key_of_the_log_as_a_document() {
    for prefix in ["", "jobs/prod"] {
        let layout = KeyLayout::new(prefix);
        let key = format!("{}segment-0000000000000001", layout.log());
        assert_eq!(layout.job(&key), None);
        let name = key.strip_prefix(layout.documents()).unwrap();
        assert!(name.contains('/') && !name.ends_with(".json"), "{name}");
    }
}

#[test]
fn a_job_has_the_key_of_its_document() {
    let id = JobId::new("nightly").unwrap();
    assert_eq!(KeyLayout::new("jobs/prod").document(&id), "jobs/prod/nightly.json");
    assert_eq!(KeyLayout::new("").document(&id), "nightly.json");
}
