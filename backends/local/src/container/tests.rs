use super::*;

#[test]
fn exits_are_described() {
    let text = |code| ContainerExit { code, at: None, start_refused: false }.describe();
    assert_eq!(text(None), "ended without leaving an exit code");
    assert_eq!(text(Some(0)), "exited with code 0");
    assert_eq!(text(Some(127)), "exited with code 127: a command was not found");
    assert_eq!(text(Some(137)), "was killed (SIGKILL, exit code 137)");
    assert_eq!(text(Some(143)), "was ended by signal 15 (exit code 143)");
    assert_eq!(text(Some(255)), "exited with code 255");
}

#[test]
fn waiting_container_is_open_unless_the_task_is_stopping() {
    let waiting = ContainerState::Waiting { marker: 0 };
    assert!(waiting.is_open(false) && !waiting.is_open(true));
    assert!(ContainerState::Running { pid: 1 }.is_open(true));
    assert!(!ContainerState::Ended(ContainerExit::unknown()).is_open(false));
}
