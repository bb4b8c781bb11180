use ecs_scheduler_core::SettingValues;

use super::{BUCKET, PREFIX, S3Provider};

#[test]
fn folder_with_and_without_a_slash_at_its_end_is_the_same() {
    let settings = |bucket, prefix| SettingValues::default().with(&BUCKET, bucket).with(&PREFIX, prefix);
    let jobs = settings("jobs", "prod");
    assert!(S3Provider::is_same_folder(&jobs, &settings("jobs", "prod/")));
    for other in [settings("jobs", "test"), settings("jobs", ""), settings("other", "prod")] {
        assert!(!S3Provider::is_same_folder(&jobs, &other), "{other:?}");
    }
}
