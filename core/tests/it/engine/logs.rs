//! The output of tasks, as the engine reads it from the launcher.

use ecs_scheduler_core::{
    FaultKind, LogCursor, LogLine, LogPage, LogRequest, MAX_LOG_BYTES, MAX_LOG_LINES, TaskId,
};
use ecs_scheduler_testing::StoreFaults;

use super::support::{CallFault, Stage};

fn request() -> LogRequest {
    LogRequest::new(TaskId::new("task"), "work:1")
}

fn page(texts: impl IntoIterator<Item = String>) -> LogPage {
    let lines = texts.into_iter().map(|text| LogLine::new(None, "main", text)).collect();
    LogPage::new(lines, LogCursor::from_positions([("main", "7")]))
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_task_become_printable_and_stay_whole() {
    let stage = Stage::at("2026-01-01T10:00:00Z");
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let long = "a".repeat(5_000);
    *stage.launcher.log.lock() = Some(page(["\u{1b}]0;title\u{7}\tok".to_owned(), long.clone()]));
    let read = life.engine.read_log(&request()).await.unwrap();
    let texts: Vec<&str> = read.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["\u{fffd}]0;title\u{fffd}\tok", &long]);
    assert_eq!(read.next.as_str(), "main=7");
}

#[tokio::test(start_paused = true)]
async fn a_page_beyond_its_bounds_is_refused() {
    let stage = Stage::at("2026-01-01T10:00:00Z");
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let many = vec![String::new(); MAX_LOG_LINES + 1];
    for texts in [many, vec!["a".repeat(MAX_LOG_BYTES + 1)]] {
        *stage.launcher.log.lock() = Some(page(texts));
        assert_eq!(life.engine.read_log(&request()).await.unwrap_err().kind(), FaultKind::Bug);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_or_panics_ends_with_an_error_and_is_no_fault_of_launches() {
    let stage = Stage::at("2026-01-01T10:00:00Z");
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    for (fault, said) in [(CallFault::Hang, "within 8 s"), (CallFault::Panic, "panicked")] {
        *stage.launcher.log_fault.lock() = Some(fault);
        let error = life.engine.read_log(&request()).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(said), "{error}");
    }
    assert_eq!(life.engine.status().launcher_fault, None);
    let error = life.engine.read_log(&request()).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert!(error.to_string().contains("does not read logs"), "{error}");
}
