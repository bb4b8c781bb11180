use ecs_scheduler_core::{SettingValues, StoreProvider as _};

use super::{PostgresProvider, URL};

#[test]
fn invalid_url_is_refused_with_the_name_of_the_setting() {
    let settings = SettingValues::default().with(&URL, "mysql://me:secret@db/jobs");
    let message = PostgresProvider.check(&settings).unwrap_err().message;
    assert!(message.starts_with("ECSS_POSTGRES_URL: ") && message.contains("postgres://"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}
