//! Lists of the history, newest first: of all jobs, or of one.

use std::num::NonZeroUsize;

use axum::response::Response;
use ecs_scheduler_core::{JobId, StoreError};
use serde::Serialize;

use super::page_writer::PageWriter;
use super::problem::Problem;
use super::request::{Name, ValidQuery};
use super::state::AppState;

/// The maximum number of entries that are read for one page of a filtered list. The page ends there, with a link to the rest.
const MAX_READ: usize = 1_000;

/// A list whose pages are read from the newest entry to the oldest one.
pub(super) trait Paged: Sync {
    /// The path of the list of all jobs, without the slash; also the member of the response with the entries.
    const NAME: &'static str;
    /// Names an entry, so that the next page starts behind it.
    type Cursor: Clone + ToString + Send + Sync;
    /// An entry as clients see it.
    type View: Serialize + Send;

    /// Reads some entries that are older than `before`, and returns at most `limit` of them.
    fn read(
        &self,
        app: &AppState,
        job: Option<&JobId>,
        before: Option<Self::Cursor>,
        limit: NonZeroUsize,
    ) -> impl Future<Output = Result<Part<Self>, StoreError>> + Send;
}

/// Some entries of a list, in its order.
pub(super) struct Part<P: Paged + ?Sized> {
    /// Entries to show, each with its name.
    pub(super) entries: Vec<(P::Cursor, P::View)>,
    /// The last entry that was read, if it is behind those to show.
    pub(super) read_to: Option<P::Cursor>,
    /// The number of entries that were read.
    pub(super) read: usize,
    /// Whether the list ends here.
    pub(super) is_last: bool,
    /// Whether the job has a history, though the list ends before its first entry.
    pub(super) has_more: bool,
}

impl<P: Paged> Part<P> {
    /// Makes a part that shows every entry of a read of at most `limit` entries.
    pub(super) fn of_all(entries: Vec<(P::Cursor, P::View)>, limit: NonZeroUsize) -> Self {
        let (read, is_last) = (entries.len(), entries.len() < limit.get());
        Self { entries, read_to: None, read, is_last, has_more: false }
    }
}

/// The least number of entries that one read of a filtered list asks for: most of them may not pass.
const MIN_FILTERED_READ: usize = 200;

/// Returns the number of entries to read for `wanted` entries that pass a filter.
pub(super) fn filtered_read_size(wanted: NonZeroUsize) -> NonZeroUsize {
    wanted.max(NonZeroUsize::new(MIN_FILTERED_READ).unwrap_or(wanted))
}

impl<P: Paged> Part<P> {
    /// Makes a part that shows those of the rows of one read of `size` rows that pass, at most `wanted` of them. A row that does not pass
    /// has no view.
    pub(super) fn filtered(
        rows: Vec<(P::Cursor, Option<P::View>)>,
        size: NonZeroUsize,
        wanted: NonZeroUsize,
    ) -> Self {
        let mut part = Self {
            entries: Vec::new(),
            read_to: None,
            read: 0,
            is_last: rows.len() < size.get(),
            has_more: false,
        };
        for (cursor, view) in rows {
            if part.entries.len() == wanted.get() {
                part.is_last = false;
                break;
            }
            (part.read, part.read_to) = (part.read + 1, Some(cursor.clone()));
            part.entries.extend(view.map(|view| (cursor, view)));
        }
        part
    }
}

/// The requested page.
pub(super) struct PageOf<C> {
    /// The job whose entries are listed; `None` lists those of all jobs.
    pub(super) job: Option<JobId>,
    /// The page starts behind this entry.
    pub(super) after: Option<C>,
    /// The maximum number of entries of the page.
    pub(super) limit: NonZeroUsize,
    /// The query of the request.
    pub(super) query: ValidQuery,
}

/// Answers with a page, and with a link to the next one.
///
/// # Errors
///
/// 404 when a job is named that neither exists nor has a history; fails when the store cannot be read.
pub(super) async fn respond<P: Paged>(
    app: &AppState,
    list: &P,
    page: PageOf<P::Cursor>,
) -> Result<Response, Problem> {
    let PageOf { job, after, limit, query } = page;
    let mut writer = PageWriter::new(app, P::NAME);
    let (mut last, mut left, mut ended, mut has_history) = (None, MAX_READ, false, false);
    while let Some(size) = writer.next_read_limit(limit.get()).await? {
        let before = last.clone().or_else(|| after.clone());
        let size = size.min(NonZeroUsize::new(left).unwrap_or(size));
        let Part { entries, read_to, read, is_last, has_more } =
            list.read(app, job.as_ref(), before, size).await?;
        has_history |= has_more;
        let fits = entries.into_iter().all(|(cursor, view)| {
            let fits = writer.add(&view);
            if fits {
                last = Some(cursor);
            }
            fits
        });
        if !fits {
            break;
        }
        (last, left, ended) = (read_to.or(last), left.saturating_sub(read), is_last);
        if ended || left == 0 {
            break;
        }
    }
    let mut path = format!("/{}", P::NAME);
    if let Some(job) = &job {
        path.insert_str(0, &format!("/jobs/{job}"));
        if last.is_none() && !has_history {
            // An empty history is not that of an unknown job.
            app.job(&Name(job.to_string())).await?;
        }
    }
    let next = last.filter(|_| !ended);
    let next = next.map(|cursor| query.next_link(&path, &cursor.to_string()));
    Ok(writer.finish(&[("next", next)]))
}
