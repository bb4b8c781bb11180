use super::*;

#[test]
fn ends_are_told_in_words() {
    let words = |code| Ended { code, at: None, refused: false }.in_words();
    assert_eq!(words(None), "ended without leaving an exit code");
    assert_eq!(words(Some(0)), "exited with code 0");
    assert_eq!(words(Some(127)), "exited with code 127: a command was not found");
    assert_eq!(words(Some(137)), "was killed (SIGKILL, exit code 137)");
    assert_eq!(words(Some(143)), "was ended by signal 15 (exit code 143)");
    assert_eq!(words(Some(255)), "exited with code 255");
}

#[test]
fn a_container_that_waits_is_open_unless_the_task_is_stopping() {
    let waiting = Progress::Waiting { marker: 0 };
    assert!(waiting.is_open(false) && !waiting.is_open(true));
    assert!(Progress::Running(Running { pid: 1 }).is_open(true));
    assert!(!Progress::Ended(Ended::unknown()).is_open(false));
}
