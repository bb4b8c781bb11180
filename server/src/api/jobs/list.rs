//! `GET /jobs`: pages of the list of jobs.

use axum::extract::State;
use axum::response::Response;
use ecs_scheduler_core::{ListFrom, StoreError};

use crate::api::dto::JobPage;
use crate::api::page::PageRequest;
use crate::api::page_writer::PageWriter;
use crate::api::problem::Problem;
use crate::api::request::Query;
use crate::api::state::App;
use crate::api::view;

/// Lists jobs in the order of their creation.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "listJobs",
    params(
        ("skip" = Option<u64>, Query, description = "Offset: number of jobs to skip", minimum = 0),
        ("count" = Option<u64>, Query, description = "Page size (default 10, max 10,000 and 4 MiB); `next` links to the next page", minimum = 1),
    ),
    responses((status = 200, description = "A page of jobs with links to the previous and next page", body = JobPage)),
)]
pub(in crate::api) async fn list(State(app): State<App>, query: Query) -> Result<Response, Problem> {
    let page = PageRequest::from_query(query)?;
    let now = app.clock.now();
    let mut writer = PageWriter::new(&app, "jobs");
    let mut from = ListFrom::Skip(page.skip);
    let mut total = None;
    while let Some(limit) = writer.next_read_limit(page.size()).await? {
        let list = match app.store.list(from, limit).await {
            // The last job was removed concurrently: the page ends here.
            Err(StoreError::NotFound(_)) => break,
            list => list?,
        };
        total.get_or_insert(list.total);
        let fits = list.jobs.iter().all(|job| writer.write(|body| view::write(&app, job, now, body)));
        match list.jobs.last() {
            Some(last) if fits && list.jobs.len() == limit.get() => from = ListFrom::After(last.id.clone()),
            _ => break,
        }
    }
    let total = total.unwrap_or(0);
    let next = page.next(writer.count(), total);
    Ok(writer.finish(&[("prev", page.prev(total)), ("next", next)]))
}
