use proptest::prelude::*;

use super::*;
use crate::policy::{NotifyCondition, NotifyRule};

fn channels() -> Vec<String> {
    ["ops", "dev"].map(str::to_owned).to_vec()
}

fn read(value: &Value) -> Result<Option<Vec<NotifyRule>>, Vec<FieldError>> {
    let (registry, channels) = (registry(), channels());
    let cx = JobContext { channels: Some(&channels), ..context(&registry, Strictness::Strict) };
    let document = json!({"taskDefinition": "job", "schedule": "0 *", "notify": value});
    let job = Job::parse(&JobId::new("job").unwrap(), document.as_object().unwrap(), &cx)?;
    Ok(job.policy.notify)
}

fn errors(value: &Value) -> Vec<(String, String)> {
    let errors = read(value).unwrap_err();
    errors.iter().map(|error| (error.pointer.clone(), error.explained())).collect()
}

#[test]
fn every_event_is_read() {
    let on = json!(["failing:3", "recovered", "missed", "late:90m", "suspended", "unknown"]);
    let rules = read(&json!([{"to": "ops", "on": on}])).unwrap().unwrap();
    let expected = [
        NotifyCondition::Failing(NonZeroU32::new(3).unwrap()),
        NotifyCondition::Recovered,
        NotifyCondition::Missed,
        NotifyCondition::Late(Duration::from_mins(90)),
        NotifyCondition::Suspended,
        NotifyCondition::Unknown,
    ];
    assert_eq!(rules, [NotifyRule { to: "ops".to_owned(), on: expected.to_vec() }]);
    assert_eq!(read(&json!([])).unwrap(), Some(Vec::new()), "an empty list is not the absence of one");
}

#[test]
fn mistakes_are_refused_at_their_place() {
    let known = "Must be one of: failing:3, recovered, missed, late:90m, suspended, unknown.";
    let empty = known.replace("Must be", "Needs at least");
    let cases = [
        (json!({}), "/notify", "Not a valid list."),
        (json!([{}]), "/notify/0/to", "Missing data for required field."),
        (json!([{"to": "ops"}]), "/notify/0/on", "Missing data for required field."),
        (json!([{"to": "ops", "on": []}]), "/notify/0/on", empty.as_str()),
        (
            json!([{"to": "opz", "on": ["missed"]}]),
            "/notify/0/to",
            "Must be one of the configured channels: ops, dev. Did you mean \"ops\"?",
        ),
        (json!([{"to": "ops", "on": ["failed"]}]), "/notify/0/on/0", known),
        (
            json!([{"to": "ops", "on": ["missed", "failing"]}]),
            "/notify/0/on/1",
            "Needs a number of failures in a row: failing:3.",
        ),
        (
            json!([{"to": "ops", "on": ["failing:0"]}]),
            "/notify/0/on/0",
            "Must be failing:N with N between 1 and 1000.",
        ),
        (
            json!([{"to": "ops", "on": ["failing:+3"]}]),
            "/notify/0/on/0",
            "Must be failing:N with N between 1 and 1000.",
        ),
        (
            json!([{"to": "ops", "on": ["failing:1001"]}]),
            "/notify/0/on/0",
            "Must be failing:N with N between 1 and 1000.",
        ),
        (
            json!([{"to": "ops", "on": ["late:30s"]}]),
            "/notify/0/on/0",
            "Must be late:D with a duration D such as 90m, between 1m and 31d.",
        ),
        (json!([{"to": "ops", "on": ["late"]}]), "/notify/0/on/0", "Needs a duration: late:90m."),
        (
            json!([{"to": "ops", "on": ["recovered"]}]),
            "/notify/0/on",
            "Needs failing:N beside recovered, which reports the end of a reported failure.",
        ),
        (
            json!([{"to": "ops", "on": ["missed"], "too": 1}]),
            "/notify/0/too",
            "Unknown field. Did you mean \"to\"?",
        ),
    ];
    for (value, pointer, message) in cases {
        let found = errors(&value);
        assert!(found.contains(&(pointer.to_owned(), message.to_owned())), "{value}: {found:?}");
    }
}

#[test]
fn channel_is_refused_with_the_remedy_when_none_is_configured() {
    let registry = registry();
    let cx = JobContext { channels: Some(&[]), ..context(&registry, Strictness::Strict) };
    let document =
        json!({"taskDefinition": "job", "schedule": "0 *", "notify": [{"to": "ops", "on": ["missed"]}]});
    let errors = Job::parse(&JobId::new("job").unwrap(), document.as_object().unwrap(), &cx).unwrap_err();
    let expected = "No channel is configured: add it under notify.channels in the file of ECSS_CONFIG_FILE.";
    assert_eq!((errors[0].pointer.as_str(), errors[0].message.as_str()), ("/notify/0/to", expected));
}

#[test]
fn stored_job_runs_although_its_channel_is_gone_or_its_rules_are_wrong() {
    let registry = registry();
    let cx = JobContext { channels: Some(&[]), ..context(&registry, Strictness::Lenient) };
    let parse = |notify: Value| {
        let document = json!({"taskDefinition": "job", "schedule": "0 *", "notify": notify});
        Job::parse(&JobId::new("job").unwrap(), document.as_object().unwrap(), &cx)
            .unwrap()
            .policy
            .notify
            .unwrap()
    };
    assert_eq!(parse(json!([{"to": "gone", "on": ["missed"]}]))[0].to, "gone");
    assert_eq!(parse(json!("ops")), []);
    assert_eq!(parse(json!([{"to": 1, "on": ["missed"]}, {"to": "ops", "on": ["missed"]}])).len(), 1);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in ".{0,12}") {
        let _ = read(&json!([{"to": "ops", "on": [text]}]));
    }

    #[test]
    fn every_number_and_duration_within_bounds_is_read(failures in 1..=1_000_u32, minutes in 1..=44_640_u64) {
        let value = json!([{"to": "dev", "on": [format!("failing:{failures}"), format!("late:{minutes}m")]}]);
        let rules = read(&value).unwrap().unwrap();
        prop_assert_eq!(rules[0].failing().map(NonZeroU32::get).collect::<Vec<_>>(), [failures]);
        prop_assert_eq!(rules[0].late().collect::<Vec<_>>(), [Duration::from_mins(minutes)]);
    }
}
