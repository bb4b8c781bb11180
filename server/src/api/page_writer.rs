//! Pages of lists, written entry by entry. A page ends at 4 MiB, independent of the requested count, and `next` links
//! to the rest.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::etag::Tag;
use super::problem::{Problem, ProblemType};
use super::respond;
use super::state::AppState;

/// The maximum size of a page, in bytes, unless a single entry is larger.
const MAX_PAGE_SIZE: usize = 4 * 1024 * 1024;
/// The number of entries of the first read. Their size determines the number of the next read, so that little more than
/// a page is read.
const FIRST_READ: usize = 16;
/// The maximum size of a small page, in bytes; a small page needs no permit while it is sent.
const SMALL_PAGE_SIZE: usize = 64 * 1024;

/// A page that is being written.
pub(super) struct PageWriter {
    body: Vec<u8>,
    count: usize,
    /// Whether entries were left out because the page was full.
    is_cut: bool,
    /// The number of all entries of the list, if it is shown.
    total: Option<usize>,
    pages: Arc<Semaphore>,
    /// Acquired at once if one is free, otherwise when the page is no longer small.
    permit: Option<OwnedSemaphorePermit>,
}

impl PageWriter {
    /// Begins a page whose entries are the member `name`.
    pub(super) fn new(app: &AppState, name: &str) -> Self {
        let pages = Arc::clone(&app.pages);
        let permit = Arc::clone(&pages).try_acquire_owned().ok();
        Self {
            body: format!("{{\"{name}\":[").into_bytes(),
            count: 0,
            is_cut: false,
            total: None,
            pages,
            permit,
        }
    }

    /// Returns how many entries to read next; nothing when the page is full or has `limit` entries. A page that is no
    /// longer small waits for its permit.
    ///
    /// # Errors
    ///
    /// 503 when the server ends.
    pub(super) async fn next_read_limit(&mut self, limit: usize) -> Result<Option<NonZeroUsize>, Problem> {
        let left = limit.saturating_sub(self.count);
        if self.is_cut || left == 0 {
            return Ok(None);
        }
        if self.permit.is_none() && self.body.len() > SMALL_PAGE_SIZE {
            let permit = Arc::clone(&self.pages).acquire_owned().await;
            self.permit = Some(
                permit.map_err(|_| Problem::new(ProblemType::Unavailable, "The scheduler is stopping."))?,
            );
        }
        let fitting = match self.count {
            // The page is still small while it waits.
            _ if self.permit.is_none() => 1,
            0 => FIRST_READ,
            count => MAX_PAGE_SIZE.saturating_sub(self.body.len()) / self.body.len().div_ceil(count),
        };
        Ok(NonZeroUsize::new(fitting.clamp(1, left)))
    }

    /// Adds an entry, and tells whether there was room for it.
    pub(super) fn add(&mut self, entry: &impl Serialize) -> bool {
        self.write(|body| {
            serde_json::to_writer(body, entry)
                .expect("data transfer objects have string keys and finite numbers")
        })
    }

    /// Adds an entry that `write` writes, and tells whether there was room for it.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let before = self.body.len();
        if self.count > 0 {
            self.body.push(b',');
        }
        write(&mut self.body);
        if self.count > 0 && self.body.len() > MAX_PAGE_SIZE {
            self.body.truncate(before);
            self.is_cut = true;
            return false;
        }
        self.count += 1;
        true
    }

    /// Shows the number of all entries of the list.
    pub(super) fn set_total(&mut self, total: usize) {
        self.total = Some(total);
    }

    /// Returns the number of entries.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Ends the page with these links. A large page keeps its permit until it is sent.
    pub(super) fn finish(self, links: &[(&str, Option<String>)]) -> Response {
        let Self { mut body, permit, total, .. } = self;
        body.push(b']');
        if let Some(total) = total {
            body.extend_from_slice(format!(",\"total\":{total}").as_bytes());
        }
        for (name, link) in links {
            if let Some(link) = link {
                body.extend_from_slice(format!(",\"{name}\":\"{link}\"").as_bytes());
            }
        }
        body.extend_from_slice(b"}\n");
        body.shrink_to_fit();
        let is_small = body.len() <= SMALL_PAGE_SIZE;
        let tag = Tag::of_body(&body);
        let response = respond::bytes(StatusCode::OK, body, &tag);
        match permit {
            Some(permit) if !is_small => respond::hold_until_sent(response, permit),
            _ => response,
        }
    }
}
