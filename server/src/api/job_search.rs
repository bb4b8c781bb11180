//! `GET /jobs` with a search, an order or another view than documents.

use axum::response::Response;
use ecs_scheduler_core::{JobId, StoreError, StoredJob, TickOutcome, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};

use super::caller::Caller;
use super::dto::JobRow;
use super::job_query::{JobFilter, Sort};
use super::page::MAX_COUNT;
use super::page_writer::PageWriter;
use super::problem::Problem;
use super::request::{Query, ValidQuery};
use super::state::AppState;
use super::{text, view};

/// The parameters that need the index.
const PARAMETERS: [&str; 8] = ["q", "label", "trigger", "suspended", "outcome", "sort", "view", "fields"];
/// The maximum number of rows of a page.
const MAX_ROWS: usize = 200;
/// The maximum number of jobs whose newest outcome is read for one page of a list that is filtered by it.
const MAX_CHECKED: usize = 1_000;
/// The number of jobs whose outcomes are read at once.
const CONCURRENT_READS: usize = 8;
/// The maximum length of texts in a row, in characters.
const MAX_TEXT: usize = 48;

/// Tells whether a request needs the index.
pub(super) fn is_search(query: &Query) -> bool {
    PARAMETERS.iter().any(|name| query.text(name).is_some())
}

/// A search and the requested part of its result.
struct Search {
    filter: JobFilter,
    outcome: Option<TickOutcome>,
    sort: Sort,
    /// The fields of rows; `None` for whole documents.
    fields: Option<Vec<&'static str>>,
    skip: usize,
    count: usize,
    query: ValidQuery,
}

impl Search {
    fn from_query(app: &AppState, caller: &Caller, mut query: Query) -> Result<Self, Problem> {
        let filter = JobFilter::from_query(&mut query, app.trigger_kinds());
        let filter = filter.only_visible_to(caller);
        let (outcome, sort) = (query.choice("outcome"), query.choice("sort").unwrap_or_default());
        let is_rows = match query.text("view") {
            None | Some("job") => false,
            Some("row") => true,
            Some(_) => {
                query.refuse("view", "Must be job or row.");
                false
            }
        };
        let fields = read_fields(&mut query, is_rows);
        let most = if is_rows { MAX_ROWS } else { usize::try_from(MAX_COUNT).unwrap_or(usize::MAX) };
        let count = usize::try_from(query.integer("count", 10, 1)).unwrap_or(usize::MAX).min(most);
        let skip = usize::try_from(query.integer("skip", 0, 0)).unwrap_or(usize::MAX);
        let query = query.finish()?;
        Ok(Self { filter, outcome, sort, fields: is_rows.then_some(fields), skip, count, query })
    }

    /// Links to the page that begins at this index.
    fn link(&self, skip: usize) -> String {
        self.query.link("/jobs", "skip", &skip.to_string())
    }
}

/// Reads the names of the fields of rows; all by default.
fn read_fields(query: &mut Query, is_rows: bool) -> Vec<&'static str> {
    let Some(given) = query.text("fields").map(str::to_owned) else { return JobRow::FIELDS.to_vec() };
    if !is_rows {
        query.refuse("fields", "Needs view=row.");
    }
    let mut fields = Vec::new();
    for name in given.split(',') {
        match JobRow::FIELDS.into_iter().find(|field| *field == name) {
            Some(field) => fields.push(field),
            None => {
                let known = JobRow::FIELDS.join(", ");
                query.refuse("fields", format!("Unknown field \"{name}\". Known are {known}."));
            }
        }
    }
    fields
}

/// Answers with a page of the jobs that were searched for.
///
/// # Errors
///
/// 400 for invalid parameters; fails when the store cannot be read.
pub(super) async fn list(app: &AppState, caller: &Caller, query: Query) -> Result<Response, Problem> {
    let search = Search::from_query(app, caller, query)?;
    let limit = if search.outcome.is_some() { MAX_CHECKED } else { search.count };
    let found =
        app.index.find(&app.index_context(), &search.filter, search.sort, (search.skip, limit)).await?;
    let mut page =
        Page { app, caller, search: &search, now: app.clock.now(), writer: PageWriter::new(app, "jobs") };
    let checked = page.write_all(&found.ids).await?;
    let next = search.skip.saturating_add(checked);
    let next = (next < found.total && checked > 0).then(|| search.link(next));
    let prev = (search.skip > 0 && found.total > 0 && search.outcome.is_none()).then(|| {
        let end = search.skip.min(found.total.next_multiple_of(search.count));
        search.link(end.saturating_sub(search.count))
    });
    let mut writer = page.writer;
    if search.outcome.is_none() {
        writer.set_total(found.total);
    }
    Ok(writer.finish(&[("prev", prev), ("next", next)]))
}

/// A page that is being written.
struct Page<'a> {
    app: &'a AppState,
    caller: &'a Caller,
    search: &'a Search,
    now: Timestamp,
    writer: PageWriter,
}

impl Page<'_> {
    /// Writes jobs until the page is full, and returns how many of them were checked.
    async fn write_all(&mut self, ids: &[JobId]) -> Result<usize, Problem> {
        let mut checked = 0;
        while let Some(limit) = self.writer.next_read_limit(self.search.count).await? {
            let part = &ids[checked..ids.len().min(checked + limit.get())];
            if part.is_empty() {
                break;
            }
            let mut jobs = self.app.store.get(part).await?;
            // The labels may have changed since the index was brought up to date.
            jobs.retain(|job| self.caller.sees(job.document.get()));
            let reading: Vec<_> = jobs.iter().map(|job| self.row(job)).collect();
            let rows = stream::iter(reading).buffered(CONCURRENT_READS).try_collect::<Vec<JobRow>>().await?;
            for (job, row) in jobs.iter().zip(rows) {
                if !self.write(job, row) {
                    let before = part.iter().position(|id| *id == job.id).unwrap_or_default();
                    return Ok(checked + before);
                }
            }
            checked += part.len();
        }
        Ok(checked)
    }

    /// Writes a job unless its newest outcome is another one, and tells whether there was room.
    fn write(&mut self, job: &StoredJob, row: JobRow) -> bool {
        if self.search.outcome.is_some_and(|outcome| row.outcome != Some(outcome)) {
            return true;
        }
        let Some(fields) = &self.search.fields else {
            let (app, now) = (self.app, self.now);
            return self.writer.write(|body| view::write(app, job, now, body));
        };
        let mut row = row;
        row.keep(fields);
        self.writer.add(&row)
    }

    /// Makes the row of a job. Outcomes are read if something needs them.
    async fn row(&self, job: &StoredJob) -> Result<JobRow, StoreError> {
        let (app, search) = (self.app, self.search);
        let needs_outcomes = |name: &&str| ["outcome", "reason", "outcomes"].contains(name);
        let is_shown = search.fields.as_ref().is_some_and(|fields| fields.iter().any(needs_outcomes));
        let mut row = JobRow { id: job.id.to_string(), ..JobRow::default() };
        if is_shown || search.outcome.is_some() {
            let recent = app.outcomes.get(&*app.store, job).await?;
            row.outcome = recent.newest();
            row.reason = Some(text::shortened(&recent.reason, MAX_TEXT)).filter(|reason| !reason.is_empty());
            row.outcomes = Some(recent.letters()).filter(|letters| !letters.is_empty());
        }
        if search.fields.is_none() {
            return Ok(row);
        }
        let summary = app.job_summary(job);
        let zone = summary.zone.iana_name().unwrap_or("UTC").to_owned();
        row.words = summary.ticks.as_ref().map(|ticks| {
            let words = ticks.describe();
            text::shortened(words.strip_suffix(&format!(", {zone}")).unwrap_or(&words), MAX_TEXT)
        });
        row.next = view::next(&summary, job, self.now).map(|next| summary.print(next));
        row.zone = Some(zone);
        row.state = Some(summary.status(&app.engine, job, self.now).as_str());
        row.running = app.engine.live_tasks(job);
        Ok(row)
    }
}
