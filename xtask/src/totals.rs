//! Counts passed and failed tests in the output of the test runners.

/// Sums the summaries of `cargo nextest`, `cargo test` and `make`'s own checks.
pub(crate) fn sum(log: &str) -> String {
    let (mut passed, mut failed) = (0, 0);
    for line in log.lines() {
        if let Some(summary) =
            line.trim_start().strip_prefix("Summary ").filter(|line| line.contains("tests run"))
        {
            passed += before(summary, "passed");
            failed += before(summary, "failed") + before(summary, "timed out");
        } else if let Some(summary) = line.strip_prefix("test result: ") {
            passed += before(summary, "passed");
            failed += before(summary, "failed");
        } else if line.starts_with("check passed: ") {
            passed += 1;
        } else if line.starts_with("check failed: ") {
            failed += 1;
        }
    }
    format!("{passed} passed, {failed} failed")
}

/// Returns the number before a word; 0 if the word does not occur.
fn before(summary: &str, word: &str) -> u64 {
    let Some((head, _)) = summary.split_once(&format!(" {word}")) else { return 0 };
    head.rsplit([' ', '(']).next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn summaries_of_all_runners_are_added_up() {
        let log = "\
     Summary [   1.203s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped
test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
     Summary [   0.100s] 5 tests run: 5 passed, 0 skipped
check passed: rustfmt
check failed: clippy
test foo ... ok
";
        assert_eq!(sum(log), "20 passed, 3 failed");
    }

    #[test]
    fn a_log_without_tests_has_none() {
        assert_eq!(sum("error: could not compile\n"), "0 passed, 0 failed");
    }
}
