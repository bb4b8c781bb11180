use std::collections::HashSet;

use super::*;

#[test]
fn wildcards_keep_their_values_across_versions() {
    assert_eq!(resolve_wildcards("? ? ?", "nightly"), "51 0 6");
    assert_eq!(
        jitter("nightly", Timestamp::UNIX_EPOCH, Duration::from_secs(60)),
        Duration::from_millis(28_006)
    );
}

#[test]
fn only_the_question_marks_change() {
    let resolved = resolve_wildcards("\t?  0-30/10 ?   mon-fri * 1-7 ", "job");
    let pieces: Vec<&str> = resolved.split_whitespace().collect();
    assert_eq!(pieces[1], "0-30/10");
    assert!(resolved.starts_with('\t') && resolved.ends_with("   mon-fri * 1-7 "));
    assert!(pieces[0].parse::<u32>().unwrap() < 60 && pieces[2].parse::<u32>().unwrap() < 24);
}

#[test]
fn question_marks_elsewhere_are_unchanged() {
    for text in ["0 0 0 ?", "?5 0", "cron(0 0 ? * MON *)", "", "@daily", "0 0 0 * * * * ?"] {
        assert!(!is_wild(text), "{text}");
        assert!(matches!(resolve_wildcards(text, "job"), Cow::Borrowed(same) if same == text));
    }
}

#[test]
fn jobs_spread_over_every_value_of_the_range() {
    let seen: HashSet<String> =
        (0..2_000).map(|job| resolve_wildcards("?", &format!("job-{job}")).into_owned()).collect();
    assert_eq!(seen.len(), 60);
}

#[test]
fn jitter_stays_within_its_maximum_and_differs_between_ticks() {
    let max = Duration::from_secs(10);
    let delays: Vec<Duration> =
        (0..1_000).map(|second| jitter("job", Timestamp::from_second(second * 60).unwrap(), max)).collect();
    assert!(delays.iter().all(|delay| *delay <= max));
    let mean = delays.iter().sum::<Duration>() / 1_000;
    assert!((Duration::from_millis(4_500)..Duration::from_millis(5_500)).contains(&mean), "{mean:?}");
    assert_eq!(jitter("job", Timestamp::UNIX_EPOCH, Duration::ZERO), Duration::ZERO);
}
