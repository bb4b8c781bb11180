use super::*;
use crate::job::ScheduleView;
use crate::schedule::ScheduleCache;

/// The light view and the whole job agree on when to look.
#[test]
fn the_schedule_view_agrees_with_the_job() {
    let cache = ScheduleCache::new(10);
    for document in [
        plus(json!({})),
        plus(json!({"schedule": ["0 0 2", "? ? 3"], "timezone": "Europe/Berlin", "jitter": "30s"})),
        plus(json!({"schedule": "0 0 0 * * lastfri", "scheduleStart": "2098-01-01T00:00:00+02:00"})),
        plus(json!({"schedule": "rate(7 minutes)", "scheduleEnd": "2098-01-01 00:00:00"})),
        plus(json!({"suspended": true, "suspension": {"until": "2027-01-01T00:00:00Z"}})),
        plus(json!({"suspended": false, "suspension": {"reason": "old"}, "jitter": "0s"})),
    ] {
        let job = load(document.clone()).unwrap();
        let text = document.to_string();
        let view = ScheduleView::read(&text).unwrap();
        let schedule = view.schedule(&id("alpha"), &cache).unwrap().unwrap();
        let both = [&schedule, job.schedule.as_ref().unwrap()];
        let [light, whole] = both.map(|schedule| schedule.upcoming(now()).take(3).collect::<Vec<_>>());
        assert_eq!(light, whole, "{text}");
        assert_eq!(view.jitter, job.policy.jitter, "{text}");
        assert_eq!(view.suspension, job.suspension, "{text}");
        assert!(!view.has_trigger);
    }
}

#[test]
fn the_schedule_view_leaves_trigger_ticks_to_the_job() {
    let view = ScheduleView::read(r#"{"trigger": {"type": "cron", "expression": "0 2 * * *"}}"#).unwrap();
    assert!(view.has_trigger);
    assert!(view.schedule(&id("alpha"), &ScheduleCache::new(1)).unwrap().is_none());
}

#[test]
fn the_schedule_view_leaves_unusual_forms_to_the_job() {
    for text in [
        "",
        "[]",
        "{}",
        r#"["0 0 2"]"#,
        r#"{"schedule": 5}"#,
        r#"{"jitter": "soon"}"#,
        r#"{"scheduleEnd": "x"}"#,
        r#"{"schedule": "0", "earlierSchedules": []}"#,
        "{",
    ] {
        assert!(ScheduleView::read(text).is_err(), "{text}");
    }
}
