//! Jobs in responses: the text of the document, with the state of the job around it.

use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::job::EARLIER_SCHEDULES;
use ecs_scheduler_core::{StoredJob, Timestamp};

use super::cached_body::{CachedBody, settled_ahead};
use super::etag::Tag;
use super::job_document::document;
use super::job_status::JobFaults;
use super::job_summary::JobSummary;
use super::respond;
use super::state::AppState;

/// The maximum size of a cached answer, in bytes, so that the answers of all jobs take at most 64 MiB.
const MAX_CACHED_BODY: usize = 4_096;

/// Writes a job without parsing its document: the text is copied between the braces.
pub(super) fn write(app: &AppState, job: &StoredJob, now: Timestamp, out: &mut Vec<u8>) {
    let summary = app.job_summary(job);
    write_reference(job.id.as_str(), out);
    let document = job.document.get().trim();
    let fields =
        document.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().trim();
    if !fields.is_empty() {
        out.push(b',');
        write_fields(fields, job, out);
    }
    if summary.lacks_count {
        out.extend_from_slice(b",\"taskCount\":1");
    }
    if !summary.invalid.is_empty() {
        out.extend_from_slice(b",\"invalid\":");
        serde_json::to_writer(&mut *out, &summary.invalid).expect("pointers and messages are strings");
    }
    if let Some(moment) = job.progress.last_run {
        out.extend_from_slice(format!(",\"lastRun\":\"{}\"", summary.print(moment)).as_bytes());
        out.extend_from_slice(b",\"lastRunTasks\":");
        serde_json::to_writer(&mut *out, &job.progress.last_run_tasks).expect("task names are strings");
    }
    if let Some(moment) = settled_ahead(job, now) {
        out.extend_from_slice(format!(",\"settledUntil\":\"{}\"", summary.print(moment)).as_bytes());
    }
    if let Some(moment) = next(summary.as_ref(), job, now) {
        out.extend_from_slice(format!(",\"estimatedNextRun\":\"{}\"", summary.print(moment)).as_bytes());
    }
    let status = summary.status(&app.engine, job, now);
    if status.is_shown() {
        out.extend_from_slice(format!(",\"state\":\"{}\"", status.as_str()).as_bytes());
    }
    let JobFaults { retrying, failing, failing_tasks, breaker } = JobFaults::read(&app.engine, job);
    if let Some(retrying) = retrying {
        out.extend_from_slice(b",\"retrying\":");
        serde_json::to_writer(&mut *out, &retrying).expect("moments, numbers and strings");
    }
    if let Some(failing) = failing {
        out.extend_from_slice(b",\"failing\":");
        serde_json::to_writer(&mut *out, &failing).expect("moments, numbers and strings");
    }
    if let Some(failing) = failing_tasks {
        out.extend_from_slice(b",\"failingTasks\":");
        serde_json::to_writer(&mut *out, &failing).expect("moments, numbers and strings");
    }
    if let Some(breaker) = breaker {
        out.extend_from_slice(b",\"breakerState\":");
        serde_json::to_writer(&mut *out, &breaker).expect("moments, numbers and strings");
    }
    out.push(b'}');
}

/// Returns the next tick that is not settled.
pub(super) fn next(summary: &JobSummary, job: &StoredJob, now: Timestamp) -> Option<Timestamp> {
    summary.next(job.progress.settled.map_or(now, |settled| settled.max(now)))
}

/// Copies the fields of a document, except the schedules of earlier versions.
fn write_fields(fields: &str, job: &StoredJob, out: &mut Vec<u8>) {
    if !fields.contains(EARLIER_SCHEDULES) {
        return out.extend_from_slice(fields.as_bytes());
    }
    let mut document = document(job);
    document.remove(EARLIER_SCHEDULES);
    let text = serde_json::to_string(&document).expect("a JSON object can be written");
    out.extend_from_slice(&text.as_bytes()[1..text.len() - 1]);
}

/// Opens an object with the name of a job and the link to it. A name needs no escapes.
fn write_reference(id: &str, out: &mut Vec<u8>) {
    let link = format!(
        "{{\"id\":\"{id}\",\"link\":{{\"rel\":\"item\",\"title\":\"Job for {id}\",\"href\":\"/jobs/{id}\"}}"
    );
    out.extend_from_slice(link.as_bytes());
}

/// Answers with a job. The cached response of the same version is reused until something changes.
pub(super) fn job(app: &AppState, job: &StoredJob) -> Response {
    let now = app.clock.now();
    let summary = app.job_summary(job);
    let status = summary.status(&app.engine, job, now);
    let mut slot = summary.cached.lock();
    if let Some(cached) = slot.as_ref().filter(|cached| cached.is_current(&app.engine, job, status, now)) {
        return respond::cached(cached.body.clone(), cached.tag.clone());
    }
    let body = body(app, job, now);
    let tag = Tag::of_job(job, &body).header();
    let faults = JobFaults::read(&app.engine, job);
    let cached = CachedBody::new(
        body.into(),
        tag,
        job,
        faults,
        status,
        now..next(&summary, job, now).unwrap_or(Timestamp::MAX),
    );
    *slot = Some(cached.clone()).filter(|cached| cached.body.len() <= MAX_CACHED_BODY);
    respond::cached(cached.body, cached.tag)
}

/// Answers with the name and link of a job that was just written, and with warnings, tagged as the
/// job's representation is.
pub(super) fn reference(
    app: &AppState,
    status: StatusCode,
    job: &StoredJob,
    warnings: &[String],
) -> Response {
    let mut body = Vec::with_capacity(128);
    write_reference(job.id.as_str(), &mut body);
    if !warnings.is_empty() {
        body.extend_from_slice(b",\"warnings\":");
        serde_json::to_writer(&mut body, warnings).expect("warnings are strings");
    }
    body.extend_from_slice(b"}\n");
    let tag = Tag::of_job(job, &self::body(app, job, app.clock.now()));
    respond::bytes(status, body, &tag)
}

fn body(app: &AppState, job: &StoredJob, now: Timestamp) -> Vec<u8> {
    let mut body = Vec::with_capacity(job.document.get().len() + 256);
    write(app, job, now, &mut body);
    body.push(b'\n');
    body
}
