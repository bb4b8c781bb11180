use proptest::prelude::*;

use super::*;

fn names(text: &str) -> Vec<String> {
    Expression::new(text).names().into_iter().map(str::to_owned).collect()
}

#[test]
fn metrics_are_distinguished_from_functions_numbers_and_strings() {
    assert_eq!(names("m1/m2"), ["m1", "m2"]);
    assert_eq!(names("IF(backlog > 1e5, backlog / running, 0)"), ["backlog", "running"]);
    assert_eq!(names("FILL(m1, REPEAT) AND m2 or m3"), ["m1", "m2", "m3"]);
    assert_eq!(names("SUM(METRICS('errors'))"), [""; 0]);
    assert_eq!(names("AVG(SEARCH('{AWS/EC2,InstanceId} cpu', 'Average', 300))"), [""; 0]);
    assert_eq!(names("SELECT AVG(CPUUtilization) FROM SCHEMA(\"AWS/EC2\", InstanceId)"), [""; 0]);
    assert_eq!(names("rate(m1) + e1_x"), ["e1_x", "m1"]);
    assert_eq!(names("'unfinished m1"), [""; 0]);
}

#[test]
fn only_the_metrics_are_renamed() {
    let expression = Expression::new("IF(m1>m10, m1*1e1 + SUM(\"m1\"), 'm1') + m1x + m1 (m1)");
    assert_eq!(
        expression.renamed("q7_", &["m1"]),
        "IF(q7_m1>m10, q7_m1*1e1 + SUM(\"m1\"), 'm1') + m1x + m1 (q7_m1)"
    );
}

#[test]
fn whole_call_functions_need_their_own_call() {
    for text in
        ["SUM(METRICS())", "AVG(SEARCH('x', 'Sum', 60))", "select AVG(x) FROM \"AWS/EC2\"", "SELECT 1"]
    {
        assert!(Expression::new(text).needs_own_call(), "{text}");
    }
    for text in ["m1/m2", "SUM([m1,m2])", "m1 + \"METRICS(\"", "metrics_total * 2"] {
        assert!(!Expression::new(text).needs_own_call(), "{text}");
    }
}

#[test]
fn series_are_counted_if_the_text_shows_them() {
    let ids = ["m1", "m2", "errors"];
    for (text, series) in [
        ("METRICS()", 3),
        ("RATE(METRICS()) * 60", 3),
        ("(METRICS(\"m\"))", 2),
        ("FILL( metrics('m') , 0 )", 2),
        ("[m1, m2 / 2, errors]", 3),
        ("ABS([m1, m2])", 2),
        ("ANOMALY_DETECTION_BAND(m1, 2)", 2),
        ("m1 + [m1, MAX([m1, m2, errors])]", 2),
    ] {
        assert_eq!(Expression::new(text).series_count(&ids), Some(series), "{text}");
    }
    for text in [
        "m1 / m2",
        "SUM(METRICS())",
        "MAX([m1, m2]) - MIN([m1, m2])",
        "METRICS('errors')",
        "[m1]",
        "SLICE(SORT(METRICS(), AVG, DESC), 0, 1)",
        "IF(m1 > 2, [m1, m2], m1)",
        "FIRST(RATE(METRICS()))",
        "MAX(ANOMALY_DETECTION_BAND(m1))",
        "SEARCH('{AWS/SQS,QueueName} [a, b]', 'Sum', 60)",
        "SELECT SUM(a) FROM SCHEMA(\"App\", b, c) GROUP BY b, c",
        "m1 ]",
    ] {
        assert_eq!(Expression::new(text).series_count(&ids), None, "{text}");
    }
}

proptest! {
    #[test]
    fn counting_series_never_fails(text in "[a-cA-C()\\[\\],'\" ]{0,60}") {
        let _ = Expression::new(&text).series_count(&["a", "b"]);
    }

    #[test]
    fn text_without_known_names_is_unchanged(text in ".{0,80}") {
        prop_assert_eq!(Expression::new(&text).renamed("q_", &[]), text);
    }

    #[test]
    fn renaming_changes_all_names_and_nothing_else(text in "[a-c1 ()+'\",.]{0,60}") {
        let expression = Expression::new(&text);
        let ids: Vec<&str> = expression.names().into_iter().collect();
        let renamed = expression.renamed("q_", &ids);
        prop_assert!(Expression::new(&renamed).names().iter().all(|name| name.starts_with("q_")));
        prop_assert_eq!(renamed.replace("q_", ""), text);
    }
}
