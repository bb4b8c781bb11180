//! `/decisions` and `/jobs/{id}/decisions`: the outcomes of ticks, newest first.

use std::num::NonZeroUsize;

use axum::extract::State;
use axum::response::Response;
use ecs_scheduler_core::{DecisionId, DecisionQuery, DecisionRecord, JobId, StoreError, TickOutcome};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::caller::Caller;
use super::dto::{DecisionPage, DecisionView, OutcomeName};
use super::firings;
use super::history_filter::HistoryFilter;
use super::paged::{self, PageOf, Paged, Part, filtered_read_size};
use super::problem::Problem;
use super::request::{Name, Query};
use super::state::{App, AppState};

/// Lists the decisions about all jobs.
#[utoipa::path(
    get, path = "/decisions", tag = "decisions", operation_id = "listDecisions",
    params(
        ("outcome" = Option<OutcomeName>, Query, description = "Filter by outcome"),
        ("from" = Option<String>, Query, description = "Only decisions made at this moment (RFC 3339) or later. With this filter, `to` \
            or `label`, and with `outcome` for one job, a page reads at most 1,000 decisions: it may show few or none, and `next` links to \
            the rest"),
        ("to" = Option<String>, Query, description = "Only decisions made before this moment (RFC 3339). One that stands for several ticks may \
            be missing if it was recorded more than an hour after `to`, or began more than an hour before `from`; the list of its job has it"),
        ("label" = Option<String>, Query, description = "Only decisions about jobs that have this label now: a name, or `name=value`"),
        ("after" = Option<u64>, Query, description = "Cursor: list decisions older than this one", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn all(State(app): State<App>, caller: Caller, query: Query) -> Result<Response, Problem> {
    list(&app, None, query, &caller).await
}

/// Lists the decisions about a job. They remain after the job is removed, until history is pruned.
#[utoipa::path(
    get, path = "/jobs/{id}/decisions", tag = "decisions", operation_id = "listJobDecisions",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("outcome" = Option<OutcomeName>, Query, description = "Filter by outcome"),
        ("from" = Option<String>, Query, description = "Only decisions made at this moment (RFC 3339) or later. With this filter, `to` \
            or `label`, and with `outcome` for one job, a page reads at most 1,000 decisions: it may show few or none, and `next` links to \
            the rest"),
        ("to" = Option<String>, Query, description = "Only decisions made before this moment (RFC 3339)"),
        ("label" = Option<String>, Query, description = "Only decisions about jobs that have this label now: a name, or `name=value`"),
        ("after" = Option<u64>, Query, description = "Cursor: list decisions older than this one", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn of_job(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    query: Query,
) -> Result<Response, Problem> {
    list(&app, Some(name.job()?), query, &caller).await
}

async fn list(
    app: &AppState,
    job: Option<JobId>,
    mut query: Query,
    caller: &Caller,
) -> Result<Response, Problem> {
    let filter = HistoryFilter::from_query(&mut query).only_visible_to(caller);
    let decisions = Decisions { outcome: query.choice("outcome"), filter };
    let after = query.text("after").is_some().then(|| DecisionId(query.integer("after", 0, 0)));
    let (limit, query) = (query.limit(), query.finish()?);
    let after = match after {
        None if job.is_none() => decisions.filter.start(app).await?,
        after => after,
    };
    paged::respond(app, &decisions, PageOf { job, after, limit, query }).await
}

/// The decisions with an outcome and that pass a filter, or all.
struct Decisions {
    outcome: Option<TickOutcome>,
    filter: HistoryFilter,
}

impl Paged for Decisions {
    const NAME: &'static str = "decisions";
    type Cursor = DecisionId;
    type View = DecisionView;

    async fn read(
        &self,
        app: &AppState,
        job: Option<&JobId>,
        before: Option<DecisionId>,
        limit: NonZeroUsize,
    ) -> Result<Part<Self>, StoreError> {
        // The outcomes of one job have no index in every store: a search for a rare one has no bound there.
        let checks_outcome = job.is_some() && self.outcome.is_some();
        if checks_outcome || !self.filter.is_empty() {
            let outcome = self.outcome.filter(|_| !checks_outcome);
            let query = DecisionQuery { job: job.cloned(), outcome, before, limit };
            return self.read_filtered(app, query).await;
        }
        let asked = DecisionQuery { job: job.cloned(), outcome: self.outcome, before, limit };
        let records = app.store.decisions(&asked).await?.into_iter();
        let rows = with_notes(app, records.map(|record| (record, true)).collect()).await?;
        Ok(Part::filtered(rows, limit, limit))
    }
}

impl Decisions {
    /// Reads decisions, and returns those that pass.
    async fn read_filtered(&self, app: &AppState, query: DecisionQuery) -> Result<Part<Self>, StoreError> {
        let (wanted, limit) = (query.limit, filtered_read_size(query.limit));
        let mut records = app.store.decisions(&DecisionQuery { limit, ..query }).await?;
        let end = records.iter().position(|record| self.filter.ends_before(record.draft.observed));
        records.truncate(end.unwrap_or(records.len()));
        let has_more = end.is_some();
        let labelled = self.filter.labelled(app, records.iter().map(|record| &record.job)).await?;
        let mut shown = 0;
        let check = |record: DecisionRecord| {
            let passes = shown < wanted.get()
                && self.outcome.is_none_or(|outcome| record.draft.outcome == outcome)
                && self.filter.has_decision(&record)
                && self.filter.passes_labels(labelled.as_ref(), &record.job, record.uid);
            shown += usize::from(passes);
            (record, passes)
        };
        let checked = records.into_iter().map(check).collect();
        Ok(Part { has_more, ..Part::filtered(with_notes(app, checked).await?, limit, wanted) })
    }
}

/// How many firings are read at once for the notes of a page.
const CONCURRENT_NOTES: usize = 16;

/// Converts those of these decisions that are to be shown.
async fn with_notes(
    app: &AppState,
    records: Vec<(DecisionRecord, bool)>,
) -> Result<Vec<(DecisionId, Option<DecisionView>)>, StoreError> {
    let convert = |(record, is_shown): (DecisionRecord, bool)| async move {
        Ok((record.id, if is_shown { Some(with_note(app, record).await?) } else { None }))
    };
    stream::iter(records).map(convert).buffered(CONCURRENT_NOTES).try_collect().await
}

/// Converts a decision, with the reason if its firing did not launch as requested.
async fn with_note(app: &AppState, record: DecisionRecord) -> Result<DecisionView, StoreError> {
    let launched = matches!(record.draft.outcome, TickOutcome::Launched);
    let firing = match record.firing.as_ref().filter(|_| !launched) {
        Some(id) => firings::find(app, id).await?,
        None => None,
    };
    let mut view = DecisionView::from(record);
    view.note = firing.and_then(|firing| firing.reason());
    Ok(view)
}
