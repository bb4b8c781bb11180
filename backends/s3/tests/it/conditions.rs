//! Conditional writes, pages, and many objects, on both emulators.

use ecs_scheduler_core::{JobStore as _, ListFrom, Revision, Store as _, StoreError};
use std::num::NonZeroUsize;

use crate::emulator::{ministack, moto};
use crate::site::{Site, new_job};

const FIRST: &str = r#"{"taskCount": 1}"#;
const OTHER: &str = r#"{"taskCount": 7}"#;

async fn an_object_that_somebody_else_wrote_is_never_overwritten(site: Site) {
    let store = site.try_open().await.unwrap();
    let job = store.create(new_job("a", FIRST)).await.unwrap();
    site.put("jobs/prod/a.json", OTHER).await;
    let answer = store.replace(&job.id, job.revision, job.document.clone(), job.changed).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(site.get("jobs/prod/a.json").await.unwrap(), OTHER);
    let found = store.get(std::slice::from_ref(&job.id)).await.unwrap().pop().unwrap();
    assert_eq!((found.revision, found.document.get()), (Revision(2), OTHER));
    site.put("jobs/prod/a.json", FIRST).await;
    let answer = store.remove(&job.id, Some(found.revision)).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(site.get("jobs/prod/a.json").await.unwrap(), FIRST);
    site.put("jobs/prod/b.json", OTHER).await;
    let answer = store.create(new_job("b", FIRST)).await;
    assert!(matches!(answer, Err(StoreError::Exists(_))), "{answer:?}");
    assert_eq!(site.get("jobs/prod/b.json").await.unwrap(), OTHER);
    store.remove(&job.id, None).await.unwrap();
    assert_eq!(site.get("jobs/prod/a.json").await, None);
}

#[tokio::test]
async fn an_object_that_somebody_else_wrote_is_never_overwritten_on_moto() {
    an_object_that_somebody_else_wrote_is_never_overwritten(Site::at(moto().await)).await;
}

#[tokio::test]
async fn an_object_that_somebody_else_wrote_is_never_overwritten_on_ministack() {
    an_object_that_somebody_else_wrote_is_never_overwritten(Site::at(ministack().await)).await;
}

#[tokio::test]
async fn more_jobs_than_a_page_of_the_list_are_all_found() {
    let site = Site::at(moto().await);
    site.create().await;
    for first in (0..1_050).step_by(50) {
        let puts = (first..first + 50).map(|number| {
            let site = site.clone();
            tokio::spawn(async move { site.put(&format!("jobs/prod/j{number:04}.json"), FIRST).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
    }
    let store = site.try_open().await.unwrap();
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    assert_eq!((list.total, list.jobs[1_049].id.as_str()), (1_050, "j1049"));
    store.close().await.unwrap();
    assert!(site.calls("ListObjectsV2") >= 4, "there were two pages");
}
