//! `GET /jobs`: pages of the list of jobs.

use std::num::NonZeroUsize;

use axum::extract::State;
use axum::response::Response;
use ecs_scheduler_core::{ListFrom, StoreError};

use crate::api::caller::Caller;
use crate::api::dto::{JobPage, JobStateName, OutcomeName};
use crate::api::job_search;
use crate::api::page::{MAX_COUNT, PageRequest};
use crate::api::page_writer::PageWriter;
use crate::api::problem::Problem;
use crate::api::request::Query;
use crate::api::state::{App, AppState};
use crate::api::view;

/// The number of jobs of one read of a filtered list.
const FILTERED_READ: NonZeroUsize = NonZeroUsize::new(200).expect("200 is not zero");

/// Lists jobs, in the order of their creation unless `sort` says otherwise.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "listJobs",
    params(
        ("skip" = Option<u64>, Query, description = "Offset: number of jobs to skip, in any state", minimum = 0),
        ("count" = Option<u64>, Query, description = "Page size (default 10, max 10,000 and 4 MiB); `next` links to the next page", minimum = 1),
        ("state" = Option<JobStateName>, Query, description = "Filter by state. A page reads at most 10,000 jobs: it may show few \
            or none, and `next` links to the rest"),
        ("q" = Option<String>, Query, description = "Search: words that the name, the description or the labels (`name=value`) contain, in \
            any case; a word with `-` in front must not be there"),
        ("label" = Option<String>, Query, description = "Only jobs with this label: a name, or `name=value`"),
        ("trigger" = Option<String>, Query, description = "Only jobs with this kind of trigger; `noop` for none"),
        ("suspended" = Option<bool>, Query, description = "Only jobs that are suspended, or only others"),
        ("outcome" = Option<OutcomeName>, Query, description = "Only jobs whose newest outcome is this one. A page checks 1,000 jobs: it \
            may show few or none, and `next` links to the rest"),
        ("sort" = Option<String>, Query, description = "Order: `created` (default), `id` or `next`, the next tick; reversed with `-` in front",
            pattern = "^-?(created|id|next)$"),
        ("view" = Option<String>, Query, description = "`row` for rows of about 300 bytes, at most 200 a page; `job` (default) for documents",
            pattern = "^(job|row)$"),
        ("fields" = Option<String>, Query, description = "The members of rows, separated by commas"),
    ),
    responses((status = 200, description = "A page of jobs with links to the previous and next page", body = JobPage)),
)]
pub(in crate::api) async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Response, Problem> {
    if job_search::is_search(&query) {
        app.engine.refresh_failing_names().await;
        return job_search::list(&app, &caller, query).await;
    }
    let page = PageRequest::from_query(query)?;
    app.engine.refresh_failing_names().await;
    if page.state.is_some() || caller.is_limited() {
        return list_filtered(&app, page, &caller).await;
    }
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

/// Lists jobs in a state, or those that the caller sees. No store has an index of states, which follow from the engine and the clock, and
/// of labels.
async fn list_filtered(app: &AppState, page: PageRequest, caller: &Caller) -> Result<Response, Problem> {
    let now = app.clock.now();
    let mut writer = PageWriter::new(app, "jobs");
    let (mut from, mut read, mut next) = (ListFrom::Skip(page.skip), 0, None);
    'page: while writer.next_read_limit(page.size()).await?.is_some() {
        let list = match app.store.list(from, FILTERED_READ).await {
            // The last job was removed concurrently: the page ends here.
            Err(StoreError::NotFound(_)) => break,
            list => list?,
        };
        next = None;
        for job in &list.jobs {
            let is_shown = caller.sees(job.document.get())
                && page.state.is_none_or(|state| app.job_summary(job).status(&app.engine, job, now) == state);
            let is_full = is_shown && writer.count() == page.size();
            if read == MAX_COUNT
                || is_full
                || (is_shown && !writer.write(|body| view::write(app, job, now, body)))
            {
                next = Some(page.link(page.skip.saturating_add(read)));
                break 'page;
            }
            read += 1;
        }
        match list.jobs.last() {
            Some(last) if list.jobs.len() == FILTERED_READ.get() => {
                next = Some(page.link(page.skip.saturating_add(read)));
                from = ListFrom::After(last.id.clone());
            }
            _ => break,
        }
    }
    Ok(writer.finish(&[("next", next)]))
}
