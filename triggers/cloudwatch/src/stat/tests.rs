use super::*;

#[test]
fn statistics_of_aws_are_known() {
    for stat in [
        "Average",
        "Sum",
        "Minimum",
        "Maximum",
        "SampleCount",
        "IQM",
        "p0",
        "p50",
        "p99",
        "p99.9",
        "p100",
        "p99.9999999999",
        "tm90",
        "wm98",
        "tc99",
        "ts0.5",
        "TM(2%:98%)",
        "TM(150:1000)",
        "WM(10%:90%)",
        "PR(:300)",
        "PR(100:2000)",
        "PR(-5:5)",
        "TC(0.005:0.030)",
        "TS(80%:)",
        "TM(:95%)",
    ] {
        assert!(is_known(stat), "{stat}");
    }
}

#[test]
fn unknown_statistics_are_refused() {
    for stat in [
        "",
        "average",
        "Avg",
        "p",
        "p101",
        "p-1",
        "p1e1",
        "p99.",
        "p.9",
        "p99.99999999999",
        "pr90",
        "P99",
        "TM90",
        "TM()",
        "TM(:)",
        "TM(10%)",
        "TM(10%:90)",
        "TM(90%:10%)",
        "TM(10%:101%)",
        "TM(10%:90%",
        "XX(1:2)",
        "PR(a:b)",
        "p 99",
        "Sum ",
    ] {
        assert!(!is_known(stat), "{stat}");
    }
}
