//! The output of tasks, read from the logs of their containers.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use ecs_scheduler_core::{
    FaultKind, LaunchError, LogCursor, LogLine, LogPage, LogRequest, LogStart, MAX_LOG_BYTES,
};

use crate::context::Context;
use crate::data_dir::TaskDir;
use crate::log_reader::{LogPosition, LogReader, ReadLimits, ReadLines, ReadStart};

/// Reads a page of the output of a task.
pub(crate) async fn read(context: &Arc<Context>, request: &LogRequest) -> Result<LogPage, LaunchError> {
    let task = &request.task;
    let config = |message: String| LaunchError::new(FaultKind::Config, message);
    if request.since.is_some() {
        return Err(config(format!(
            "could not read the output of task {task} from a moment on: the logs of local tasks have no times; \
             leave `since` out, and ask for the newest lines with `tail`"
        )));
    }
    let known = context.tasks.lock().folder_and_end(task);
    let Some((folder, has_ended)) = known else { return Err(unknown_task(context, request)) };
    let (dir, request) = (context.data.task_dir(&folder), request.clone());
    let unreadable = |error: io::Error| {
        let message = format!("could not read the output of task {task}");
        LaunchError::new(FaultKind::Unavailable, message).with_source(error)
    };
    let reading = tokio::task::spawn_blocking(move || read_containers(&dir, &request, has_ended));
    match reading.await {
        Ok(Ok(answer)) => answer,
        // The files were removed in the meantime.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(not_found(format!("could not read the output of task {task}: its files were just removed")))
        }
        Ok(Err(error)) => Err(unreadable(error)),
        Err(panicked) => Err(unreadable(io::Error::other(panicked))),
    }
}

fn not_found(message: String) -> LaunchError {
    LaunchError::new(FaultKind::NotFound, message)
}

fn unknown_task(context: &Context, request: &LogRequest) -> LaunchError {
    let options = &context.options;
    not_found(format!(
        "could not read the output of task {}: this host has no files of it. The files of an ended task are kept for {} h, \
         at most those of {} tasks, on the host that ran it; let tasks write output that must last to a place of their own",
        request.task,
        options.keep_for.as_secs() / 3_600,
        options.keep_ended
    ))
}

/// Reads a page from the logs of the containers. Fails when the files cannot be read; the inner result is that of the request.
fn read_containers(
    dir: &TaskDir,
    request: &LogRequest,
    has_ended: bool,
) -> io::Result<Result<LogPage, LaunchError>> {
    let started = dir.container_names()?;
    let names = match chosen_containers(request, &started, has_ended) {
        Ok(names) => names,
        Err(error) => return Ok(Err(error)),
    };
    // A definition has at most ten containers, so each has room for a line.
    let count = names.len().max(1);
    let limits = ReadLimits { lines: (request.max_lines / count).max(1), bytes: MAX_LOG_BYTES / count };
    let (mut lines, mut positions) = (Vec::new(), Vec::new());
    let (mut has_more, mut has_gap, mut is_unwritten) = (false, false, true);
    for name in &names {
        let mut log = LogReader::open(&dir.log(name), &dir.rotated_log(name), has_ended)?;
        is_unwritten &= !log.exists();
        let start = match read_start(request, name) {
            Ok(start) => start,
            Err(error) => return Ok(Err(error)),
        };
        let ReadLines { texts, next, has_more: more, has_gap: gap } = log.read(start, limits)?;
        lines.extend(texts.into_iter().map(|text| LogLine::new(None, *name, text)));
        positions.extend(next.map(|position| (*name, position.to_text())));
        has_more |= more;
        has_gap |= gap;
    }
    if is_unwritten && has_ended {
        let message = format!(
            "could not read the output of task {}: no container was started, or its logs were removed because all logs \
             were larger than their bound; `reason` of the task in the firing says how it ended",
            request.task
        );
        return Ok(Err(not_found(message)));
    }
    let cursor =
        LogCursor::from_positions(positions.iter().map(|(name, position)| (*name, position.as_str())));
    let mut page = LogPage::new(lines, cursor);
    (page.has_more, page.has_gap, page.is_unwritten) = (has_more, has_gap, is_unwritten);
    Ok(Ok(page))
}

/// Returns the containers to read: the requested one, or all that were started.
fn chosen_containers<'a>(
    request: &'a LogRequest,
    started: &'a BTreeSet<String>,
    has_ended: bool,
) -> Result<Vec<&'a str>, LaunchError> {
    let Some(wanted) = &request.container else {
        return Ok(started.iter().map(String::as_str).collect());
    };
    if let Some(name) = started.get(wanted) {
        return Ok(vec![name]);
    }
    // While no container was started, every name may still become one.
    if started.is_empty() && !has_ended {
        return Ok(Vec::new());
    }
    let names = started.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(not_found(format!(
        "could not read the output of container \"{wanted}\": task {} has not started such a container; it started: {names}",
        request.task
    )))
}

/// Returns where the page begins in the log of a container.
fn read_start(request: &LogRequest, container: &str) -> Result<ReadStart, LaunchError> {
    match &request.start {
        LogStart::Oldest => Ok(ReadStart::Oldest),
        LogStart::Newest(lines) => Ok(ReadStart::Newest(lines.get())),
        // A container that was started later is read from its beginning.
        LogStart::After(_) => request.position(container).map_or(Ok(ReadStart::Oldest), |text| {
            LogPosition::parse(text).map(ReadStart::After).ok_or_else(|| {
                let message = format!(
                    "could not read the output of task {} after \"{text}\": it is no position in a log",
                    request.task
                );
                LaunchError::new(FaultKind::Config, message)
            })
        }),
    }
}
