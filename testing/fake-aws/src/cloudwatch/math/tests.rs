use super::{Named, Scope, Series, Term, evaluate};

struct Two;

impl Scope for Two {
    fn lookup(&self, id: &str) -> Result<Term, String> {
        match id {
            "m1" => Ok(Term::One(series(&[(0, 6.0), (60, 8.0)]))),
            "m2" => Ok(Term::One(series(&[(60, 2.0), (120, 0.0)]))),
            _ => Err(format!("no {id}")),
        }
    }

    fn metrics(&self, part: &str) -> Vec<Named> {
        let all = [named("m1", &[(0, 6.0), (60, 8.0)]), named("m2", &[(60, 2.0), (120, 0.0)])];
        all.into_iter().filter(|one| one.label.contains(part)).collect()
    }

    fn search(&self, text: &str, statistic: &str, period: f64) -> Result<Vec<Named>, String> {
        Ok(vec![named(&format!("{text} {statistic} {period}"), &[(0, 1.0)]), named("other", &[(0, 2.0)])])
    }

    fn periods(&self) -> Vec<i64> {
        vec![0, 60, 120]
    }
}

fn named(label: &str, points: &[(i64, f64)]) -> Named {
    Named { label: label.to_owned(), points: series(points) }
}

fn series(points: &[(i64, f64)]) -> Series {
    points.iter().copied().collect()
}

#[test]
fn operators_have_usual_precedence_and_join_common_moments() {
    for (text, expected) in [
        ("m1 + m2", series(&[(60, 10.0)])),
        ("m1 / m2", series(&[(60, 4.0)])),
        ("m1 + m1 * 2", series(&[(0, 18.0), (60, 24.0)])),
        ("(m1 + 2) / 2", series(&[(0, 4.0), (60, 5.0)])),
        ("100 - m1", series(&[(0, 94.0), (60, 92.0)])),
        ("-m1 + 0.5", series(&[(0, -5.5), (60, -7.5)])),
        ("1 / m2", series(&[(60, 0.5)])),
        ("m1 / SUM(m1)", series(&[(0, 6.0 / 14.0), (60, 8.0 / 14.0)])),
    ] {
        assert_eq!(evaluate(text, &Two), Ok(Term::One(expected)), "{text}");
    }
}

#[test]
fn functions_reduce_many_series_or_one() {
    for (text, expected) in [
        ("SUM(METRICS())", series(&[(0, 6.0), (60, 10.0), (120, 0.0)])),
        ("MAX([m1, m2])", series(&[(0, 6.0), (60, 8.0), (120, 0.0)])),
        ("MIN([m1, m2])", series(&[(0, 6.0), (60, 2.0), (120, 0.0)])),
        ("AVG(METRICS())", series(&[(0, 6.0), (60, 5.0), (120, 0.0)])),
        ("FILL(m1, 0)", series(&[(0, 6.0), (60, 8.0), (120, 0.0)])),
        ("FILL(m1,0) + FILL(m2,0)", series(&[(0, 6.0), (60, 10.0), (120, 0.0)])),
        ("SUM(FILL(METRICS(), 1))", series(&[(0, 7.0), (60, 10.0), (120, 1.0)])),
    ] {
        assert_eq!(evaluate(text, &Two), Ok(Term::One(expected)), "{text}");
    }
    assert_eq!(evaluate("MAX(m1)", &Two), Ok(Term::Scalar(8.0)));
}

#[test]
fn series_keep_their_labels() {
    let (m1, m2) = (named("m1", &[(0, 6.0), (60, 8.0)]), named("m2", &[(60, 2.0), (120, 0.0)]));
    let half =
        |one: &Named| named(&one.label, &one.points.iter().map(|(at, v)| (*at, v / 2.0)).collect::<Vec<_>>());
    let searched = named("{App} \"x\" Sum 60", &[(0, 1.0)]);
    let bound = |value| named("ANOMALY_DETECTION_BAND", &[(0, value), (60, value)]);
    for (text, expected) in [
        ("METRICS()", vec![m1.clone(), m2.clone()]),
        ("METRICS('2')", vec![m2.clone()]),
        ("[m1, m2]", vec![m1.clone(), m2.clone()]),
        ("METRICS() / 2", vec![half(&m1), half(&m2)]),
        ("SEARCH('{App} \"x\"', 'Sum', 60)", vec![searched, named("other", &[(0, 2.0)])]),
        ("ANOMALY_DETECTION_BAND(m1)", vec![bound(9.0), bound(5.0)]),
        ("ANOMALY_DETECTION_BAND(m1, 3)", vec![bound(10.0), bound(4.0)]),
    ] {
        assert_eq!(evaluate(text, &Two), Ok(Term::Many(expected)), "{text}");
    }
    assert_eq!(evaluate("SUM(SEARCH('x', 'Sum', 60))", &Two), Ok(Term::One(series(&[(0, 3.0)]))));
}

#[test]
fn invalid_expression_is_an_error() {
    for text in [
        "",
        "m1 +",
        "m1 m2",
        "(m1",
        "m9",
        "RATE(m1)",
        "FILL(m1)",
        "FILL(m1, m2)",
        "SUM(1)",
        "[1]",
        "1.2.3",
        "SEARCH('x')",
        "SEARCH('x', 'Sum')",
        "SEARCH(x, 'Sum', 60)",
        "SEARCH('x', 'Sum', 60",
        "METRICS('m1)",
        "ANOMALY_DETECTION_BAND([m1, m2])",
        "ANOMALY_DETECTION_BAND(m1, m2)",
        "METRICS() + m1",
    ] {
        assert!(evaluate(text, &Two).is_err(), "{text}");
    }
}
