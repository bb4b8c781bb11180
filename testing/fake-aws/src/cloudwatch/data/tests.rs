use super::{Sample, Statistic};

fn seen(value: f64, times: f64) -> Sample {
    Sample::Seen { value, times }
}

fn compute(name: &str, samples: &[Sample]) -> Option<f64> {
    Statistic::parse(name).unwrap().compute(samples)
}

#[test]
fn statistics_weight_values_by_count() {
    let samples =
        [seen(1.0, 3.0), seen(9.0, 1.0), Sample::Summary { count: 2.0, sum: 8.0, least: 0.0, most: 8.0 }];
    assert_eq!(compute("SampleCount", &samples), Some(6.0));
    assert_eq!(compute("Sum", &samples), Some(20.0));
    assert_eq!(compute("Average", &samples), Some(20.0 / 6.0));
    assert_eq!(compute("Minimum", &samples), Some(0.0));
    assert_eq!(compute("Maximum", &samples), Some(9.0));
    assert_eq!(compute("Sum", &[]), None);
}

#[test]
fn percentiles_need_single_values() {
    let samples: Vec<Sample> = (1..=100).map(|value| seen(f64::from(value), 1.0)).collect();
    for (name, expected) in [("p50", 50.0), ("p99", 99.0), ("p99.5", 100.0), ("p0", 1.0), ("p100", 100.0)] {
        assert_eq!(compute(name, &samples), Some(expected), "{name}");
    }
    let summary = Sample::Summary { count: 2.0, sum: 3.0, least: 1.0, most: 2.0 };
    assert_eq!(compute("p50", &[summary]), None);
    assert_eq!(compute("p50", &[Sample::Summary { count: 2.0, sum: 4.0, least: 2.0, most: 2.0 }]), Some(2.0));
}

#[test]
fn only_known_statistics_are_parsed() {
    for wrong in ["average", "p101", "p", "p-1", "tm99", ""] {
        assert_eq!(Statistic::parse(wrong), None, "{wrong}");
    }
}
