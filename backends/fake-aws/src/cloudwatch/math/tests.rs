use super::{Scope, Series, Term, evaluate};

struct Two;

impl Scope for Two {
    fn lookup(&self, id: &str) -> Result<Term, String> {
        match id {
            "m1" => Ok(Term::One(series(&[(0, 6.0), (60, 8.0)]))),
            "m2" => Ok(Term::One(series(&[(60, 2.0), (120, 0.0)]))),
            _ => Err(format!("no {id}")),
        }
    }

    fn metrics(&self) -> Vec<Series> {
        vec![series(&[(0, 6.0), (60, 8.0)]), series(&[(60, 2.0), (120, 0.0)])]
    }

    fn periods(&self) -> Vec<i64> {
        vec![0, 60, 120]
    }
}

fn series(points: &[(i64, f64)]) -> Series {
    points.iter().copied().collect()
}

#[test]
fn operators_bind_as_usual_and_join_at_common_moments() {
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
fn functions_go_across_many_series_or_along_one() {
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
fn what_cannot_be_read_is_an_error() {
    for text in
        ["", "m1 +", "m1 m2", "(m1", "m9", "RATE(m1)", "FILL(m1)", "FILL(m1, m2)", "SUM(1)", "[1]", "1.2.3"]
    {
        assert!(evaluate(text, &Two).is_err(), "{text}");
    }
}
