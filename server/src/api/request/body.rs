//! Bodies as they arrive: each is bounded, and all of them together.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::problem::{Problem, ProblemType};

/// The largest body that is read, in bytes.
pub(in crate::api) const MAX_BODY: usize = 256 * 1024;

/// By how many bytes the buffer of a body grows. The first of them are not counted, so that small requests are answered however
/// many large bodies are being read.
pub(super) const STEP: usize = 8 * 1024;

/// The part of a body that was read.
#[derive(Debug)]
pub(in crate::api) struct BufferedBody {
    /// The whole body, or more bytes than the limit.
    pub(in crate::api) bytes: Bytes,
    /// Whether the whole body was read.
    pub(in crate::api) is_read: bool,
    /// Its part of the bytes that all bodies may have, to be held as long as the body is.
    pub(in crate::api) reserved: Option<OwnedSemaphorePermit>,
}

impl BufferedBody {
    /// Reads a body, unless it has more bytes than one may have: the operation refuses that, if it takes a body at all. The
    /// buffer grows as the body arrives; `budget` has a permit for each byte that the buffers of all bodies may have.
    ///
    /// # Errors
    ///
    /// 400 when it breaks off, 503 when the budget is used up.
    pub(in crate::api) async fn read(
        budget: &Arc<Semaphore>,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<Self, Problem> {
        let is_read = body.is_end_stream();
        let mut this = Self { bytes: Bytes::new(), is_read, reserved: None };
        if is_read || announced(headers).is_some_and(|length| length > MAX_BODY) {
            return Ok(this);
        }
        let mut bytes = Vec::new();
        while bytes.len() <= MAX_BODY {
            let Some(frame) = body.frame().await else {
                this.is_read = true;
                break;
            };
            let frame = frame.map_err(|error| unreadable(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            let length = bytes.len() + data.len();
            if length > bytes.capacity() {
                let capacity = length.next_multiple_of(STEP);
                this.reserve(budget, capacity - bytes.capacity().max(STEP))?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(data);
        }
        this.bytes = bytes.into();
        Ok(this)
    }

    /// Reserves so many further bytes.
    fn reserve(&mut self, budget: &Arc<Semaphore>, more: usize) -> Result<(), Problem> {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let permit = Arc::clone(budget).try_acquire_many_owned(more).map_err(|_| {
            let detail = "Too many bytes of request bodies are held at once; nothing was changed.";
            Problem::new(ProblemType::Unavailable, detail)
        })?;
        match &mut self.reserved {
            Some(reserved) => reserved.merge(permit),
            None => self.reserved = Some(permit),
        }
        Ok(())
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemType::Syntax, format!("The body could not be read: {error}."))
}

/// Reads the bytes of a body.
///
/// # Errors
///
/// 413 when it is too large, 400 when it cannot be read.
pub(in crate::api) async fn read(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Problem> {
    let too_large =
        || Problem::new(ProblemType::TooLarge, format!("The body has more than {MAX_BODY} bytes."));
    if announced(headers).is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, MAX_BODY).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() { too_large() } else { unreadable(&error) }
    })
}
