//! The output of tasks.

use super::calls::{launch, request, wait_for_phase};
use super::{LauncherFixture, Sample};
use ecs_scheduler_core::fault::FaultKind;
use ecs_scheduler_core::launcher::{Launcher, LogPage, LogRequest, LogStart};
use ecs_scheduler_core::task::{TaskId, TaskPhase};

/// Reads a page, or nothing where there is no output to read.
async fn read(launcher: &dyn Launcher, request: &LogRequest) -> Option<LogPage> {
    match launcher.read_log(request).await {
        Ok(page) => {
            assert!(page.is_within(request), "a page is within its bounds");
            Some(page)
        }
        Err(error) => {
            assert_eq!(error.kind(), FaultKind::NotFound, "{error}");
            None
        }
    }
}

/// The output of an ended task has pages of the requested size that end, or it is not found.
pub async fn the_output_of_an_ended_task_has_pages_or_is_not_found(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Succeeds, "a", 1);
    let task = launch(&*launcher, &request).await.remove(0);
    wait_for_phase(&*launcher, &task, TaskPhase::Stopped).await;
    let mut wanted = LogRequest::new(task, request.definition);
    (wanted.has_ended, wanted.max_lines) = (true, 10);
    while let Some(page) = read(&*launcher, &wanted).await {
        if !page.has_more {
            break;
        }
        wanted.start = LogStart::After(page.next);
    }
}

/// The output of an unknown task is not found, or has no lines.
pub async fn the_output_of_an_unknown_task_has_no_lines(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let mut wanted = LogRequest::new(TaskId::new("unknown"), subject.definition(Sample::Succeeds));
    wanted.has_ended = true;
    let page = read(&*launcher, &wanted).await;
    assert!(page.is_none_or(|page| page.lines.is_empty()), "there is no such task");
}
