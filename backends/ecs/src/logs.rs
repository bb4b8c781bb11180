//! The output of tasks, read from CloudWatch Logs.

use ecs_scheduler_backend_aws::{AwsScope, Fault};
use ecs_scheduler_core::{FaultKind, LaunchError, LogCursor, LogPage, LogRequest, LogStart, MAX_LOG_BYTES};

use crate::clients::RegionClients;
use crate::context::LauncherContext;
use crate::log_destination::{ContainerLog, LogDestination};
use crate::log_stream::{LogStream, StreamLines};
use crate::task_location::TaskLocation;

/// Reads a page of the output of a task.
pub(crate) async fn read(shared: &LauncherContext, request: &LogRequest) -> Result<LogPage, LaunchError> {
    let location = TaskLocation::from_task_id(&request.task, &shared.options.cluster);
    let at = shared.clients.client_for(location.region.as_deref()).await?;
    let named = &request.definition;
    let known = shared.definitions.revision(&shared.clients, &at, named).await?.ok_or_else(|| {
        let reason =
            format!("its task definition {named}, which names its log group, does not exist any more");
        not_found(request, &reason)
    })?;
    let chosen = chosen_logs(request, &known.logs)?;
    let mut reader = PageReader { shared, at: &at, request, page: PageParts::default() };
    for log in &chosen {
        reader.read(log, (request.max_lines / chosen.len()).max(1)).await?;
    }
    reader.finish()
}

fn not_found(request: &LogRequest, reason: &str) -> LaunchError {
    let message = format!("could not read the output of task {}: {reason}", request.task);
    LaunchError::new(FaultKind::NotFound, message)
}

/// Returns the readable logs of the requested containers, in the order in which they are read.
fn chosen_logs<'l>(
    request: &LogRequest,
    logs: &'l [ContainerLog],
) -> Result<Vec<&'l ContainerLog>, LaunchError> {
    let is_wanted =
        |log: &&ContainerLog| request.container.as_ref().is_none_or(|name| *name == log.container);
    let wanted: Vec<&ContainerLog> = logs.iter().filter(is_wanted).collect();
    if let Some(name) = request.container.as_ref().filter(|_| wanted.is_empty()) {
        let names: Vec<&str> = logs.iter().map(|log| log.container.as_str()).collect();
        let reason = format!(
            "task definition {} has no container \"{name}\"; its containers are {}",
            request.definition,
            names.join(", ")
        );
        return Err(not_found(request, &reason));
    }
    let (mut readable, mut reasons) = (Vec::new(), Vec::new());
    for log in wanted {
        match &log.destination {
            LogDestination::CloudWatch { .. } => readable.push(log),
            LogDestination::Elsewhere(reason) => {
                reasons.push(format!("container \"{}\" of {}: {reason}", log.container, request.definition));
            }
        }
    }
    if readable.is_empty() {
        return Err(not_found(request, &reasons.join("; ")));
    }
    // A container that the page before had no room for is first in its cursor, or not in it at all.
    if let LogStart::After(cursor) = &request.start {
        let order: Vec<&str> = cursor.positions().map(|(name, _)| name).collect();
        readable.sort_by_key(|log| order.iter().position(|name| *name == log.container));
    }
    Ok(readable)
}

/// Returns the log stream of a container of the task with this id, if it is one of CloudWatch Logs.
pub(crate) async fn find_stream<'a>(
    shared: &'a LauncherContext,
    at: &RegionClients,
    log: &'a ContainerLog,
    id: &str,
) -> Result<Option<LogStream<'a>>, Fault> {
    let LogDestination::CloudWatch { group, prefix, region } = &log.destination else { return Ok(None) };
    let region = region.as_ref().or(at.scope.region.as_ref());
    let scope = AwsScope { region: region.cloned(), account: None };
    Ok(Some(LogStream {
        clients: &shared.clients,
        client: shared.clients.log_client(&scope).await?,
        scope,
        container: &log.container,
        group,
        name: format!("{prefix}/{}/{id}", log.container),
        since: None,
    }))
}

/// The parts of a page.
#[derive(Debug, Default)]
struct PageParts {
    read: StreamLines,
    /// Containers that the page had no room for, with their tokens, and the other ones.
    unread: Vec<(String, String)>,
    positions: Vec<(String, String)>,
    /// Why a stream was not found.
    missing: Option<Fault>,
    is_written: bool,
}

/// Reads the streams of a task one after the other.
#[derive(Debug)]
struct PageReader<'a> {
    shared: &'a LauncherContext,
    at: &'a RegionClients,
    request: &'a LogRequest,
    page: PageParts,
}

impl PageReader<'_> {
    /// Reads the stream of a container, as far as the page has room.
    async fn read(&mut self, log: &ContainerLog, max_lines: usize) -> Result<(), LaunchError> {
        let id = self.request.task.as_str().rsplit('/').next().unwrap_or_default();
        let Some(mut stream) = find_stream(self.shared, self.at, log, id).await? else { return Ok(()) };
        stream.since = self.request.since;
        let position = self.request.position(&log.container);
        let answer = match &self.request.start {
            LogStart::Newest(lines) => stream.read_newest(lines.get().min(max_lines)).await,
            LogStart::Oldest | LogStart::After(_) => {
                stream.read_forward(position, max_lines, MAX_LOG_BYTES - self.page.read.bytes).await
            }
        };
        match answer {
            Ok(read) => self.page.add(&log.container, read),
            Err(fault) if fault.kind() == FaultKind::NotFound => {
                self.page.missing.get_or_insert(fault);
            }
            Err(fault) => return Err(fault.into()),
        }
        Ok(())
    }

    fn finish(self) -> Result<LogPage, LaunchError> {
        let PageParts { read, mut unread, positions, missing, is_written } = self.page;
        if let Some(fault) = missing.filter(|_| !is_written && self.request.has_ended) {
            let reason = "its containers wrote nothing, or their log streams were removed";
            return Err(not_found(self.request, reason).with_source(fault));
        }
        let StreamLines { mut lines, mut bytes, has_more, .. } = read;
        lines.sort_by_key(|line| line.at);
        // Only the newest lines of several containers can be too many; the oldest of them are left out.
        let mut excess = 0;
        while bytes > MAX_LOG_BYTES && excess < lines.len() {
            bytes -= lines[excess].text.len();
            excess += 1;
        }
        lines.drain(..excess);
        unread.extend(positions);
        let positions = unread.iter().map(|(container, token)| (container.as_str(), token.as_str()));
        let mut page = LogPage::new(lines, LogCursor::from_positions(positions));
        (page.has_more, page.is_unwritten) = (has_more, !is_written);
        Ok(page)
    }
}

impl PageParts {
    /// Adds the lines of a container.
    fn add(&mut self, container: &str, read: StreamLines) {
        self.is_written = true;
        self.read.has_more |= read.has_more;
        self.read.bytes += read.bytes;
        let is_unread = read.lines.is_empty() && read.has_more;
        let positions = if is_unread { &mut self.unread } else { &mut self.positions };
        positions.extend(read.token.map(|token| (container.to_owned(), token)));
        self.read.lines.extend(read.lines);
    }
}
