//! Single jobs.

use super::StoreFixture;
use super::calls::{assert_same, at, create, document, draft, name, new_job, read, record};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::job::{Progress, Revision};
use ecs_scheduler_core::store::StoreError;

/// A created job is read back unchanged.
pub async fn a_created_job_is_read_back_unchanged(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let new = new_job("nightly", 5);
    let created = store.create(new.clone()).await.expect("a new job is stored");
    assert_eq!((&created.id, created.uid, created.revision), (&new.id, new.uid, Revision::FIRST));
    assert_eq!((created.created, created.changed), (at(5), at(5)));
    assert_eq!(created.document.get(), new.document.get());
    assert_eq!(created.progress, Progress::default());
    assert_same(&read(&*store, "nightly").await, &created);
}

/// A job's name is unique.
pub async fn a_job_name_is_unique(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let first = create(&*store, "nightly").await;
    let second = store.create(new_job("nightly", 9)).await.expect_err("the name is taken");
    assert!(matches!(&second, StoreError::Exists(id) if *id == first.id), "{second:?}");
    assert_same(&read(&*store, "nightly").await, &first);
}

/// A replacement increments the revision, and keeps identity and progress.
pub async fn a_replacement_increments_the_revision_and_keeps_identity_and_progress(
    subject: &dyn StoreFixture,
) {
    let store = subject.open().await;
    let first = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 10)]).await;
    let text = r#"{"taskCount": 7}"#;
    let second = store.replace(&first.id, Revision(1), document(text), at(20)).await.expect("it is replaced");
    assert_eq!((second.uid, second.revision), (first.uid, Revision(2)));
    assert_eq!((second.created, second.changed), (at(0), at(20)));
    assert_eq!(second.document.get(), text);
    assert_eq!(second.progress.settled, Some(at(10)));
    assert_same(&read(&*store, "nightly").await, &second);
}

/// A replacement of another revision is a conflict and changes nothing.
pub async fn a_replacement_of_another_revision_is_a_conflict_and_changes_nothing(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let first = create(&*store, "nightly").await;
    for expected in [Revision(0), Revision(2)] {
        let error =
            store.replace(&first.id, expected, document("{}"), at(1)).await.expect_err("it has another");
        assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    }
    assert_same(&read(&*store, "nightly").await, &first);
}

/// A missing job can be neither replaced nor removed.
pub async fn a_missing_job_cannot_be_replaced_or_removed(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let id = name("nobody");
    let replaced = store.replace(&id, Revision(1), document("{}"), at(1)).await.expect_err("it is missing");
    assert!(matches!(replaced, StoreError::NotFound(_)), "{replaced:?}");
    for expected in [None, Some(Revision(1))] {
        let removed = store.remove(&id, expected).await.expect_err("it is missing");
        assert!(matches!(removed, StoreError::NotFound(_)), "{removed:?}");
    }
}

/// A removed job is gone, and its name can be reused.
pub async fn a_removed_job_is_gone_and_its_name_is_free(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let first = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 10)]).await;
    store.remove(&first.id, Some(Revision(1))).await.expect("it is removed");
    assert!(store.get(std::slice::from_ref(&first.id)).await.expect("jobs are read").is_empty());
    let second = create(&*store, "nightly").await;
    assert_ne!(second.uid, first.uid);
    assert_eq!(second.progress, Progress::default());
    assert_same(&read(&*store, "nightly").await, &second);
}

/// A removal of another revision is a conflict.
pub async fn a_removal_of_another_revision_is_a_conflict(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let first = create(&*store, "nightly").await;
    let error = store.remove(&first.id, Some(Revision(2))).await.expect_err("it has another revision");
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_same(&read(&*store, "nightly").await, &first);
}

/// Documents are stored verbatim, numbers and the order of fields included.
pub async fn documents_are_stored_verbatim(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let text = concat!(
        r#"{"z": "Grüße ✓ 日本 😀", "a": "\u0000\ud83d\ude00 \"x\" \\ \n", "#,
        r#""n": 12345678901234567890.10, "e": 1E+2, "list": [ 1,2 ,3], "deep": {"a": {"b": null}}}"#,
    );
    let mut new = new_job("unicode", 0);
    new.document = document(text);
    store.create(new).await.expect("a new job is stored");
    assert_eq!(read(&*store, "unicode").await.document.get(), text);
}

/// `get` returns the existing jobs in the order of the requested names.
pub async fn get_returns_existing_jobs_in_the_requested_order(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for id in ["a", "b", "c"] {
        create(&*store, id).await;
    }
    let wanted = ["c", "nobody", "a", "B"].map(name);
    let found = store.get(&wanted).await.expect("jobs are read");
    let found: Vec<&str> = found.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(found, ["c", "a"]);
    assert!(store.get(&[]).await.expect("jobs are read").is_empty());
}
