//! 60,000 random `cron(…)` expressions of six fields against a brute force on text, and against saffron where that is right.

use std::collections::HashMap;
use std::str::FromStr as _;

use chrono::{DateTime as ChronoDateTime, Utc};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::{instant, oracle, schedule};

/// A small generator that begins the same every time, so that every run sees the same expressions.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let length = u64::try_from(of.len()).unwrap();
        &of[usize::try_from(self.below(length)).unwrap()]
    }
}

/// A word of one field, and the values that it names when read as text.
struct Word {
    text: String,
    values: Vec<bool>,
    /// Whether saffron evaluates it rightly.
    sane: bool,
}

const MONTHS: [&str; 12] =
    ["JAN", "feb", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"];

fn words(random: &mut Random, min: u64, max: u64, names: &[&str], size: usize) -> Vec<Word> {
    let mut words = vec![Word { text: "*".to_owned(), values: values("*", min, max, names), sane: true }];
    while words.len() < size {
        let parts = 1 + random.below(3);
        let parts: Vec<(String, bool)> = (0..parts).map(|_| part(random, min, max, names)).collect();
        let text = parts.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(",");
        let sane = parts.iter().all(|(_, sane)| *sane);
        words.push(Word { values: values(&text, min, max, names), text, sane });
    }
    words
}

fn part(random: &mut Random, min: u64, max: u64, names: &[&str]) -> (String, bool) {
    let (first, last) = (min + random.below(max - min + 1), min + random.below(max - min + 1));
    let step = 1 + random.below(max - min);
    let mut name = |value: u64| match names.get(usize::try_from(value - min).unwrap()) {
        Some(name) if random.below(2) == 0 => (*name).to_owned(),
        _ => value.to_string(),
    };
    let (one, other) = (name(first), name(last));
    match random.below(6) {
        0 | 1 => (one, true),
        2 => (format!("{one}-{other}"), first <= last),
        3 => (format!("{one}-{other}/{step}"), first <= last),
        4 => (format!("{one}/{step}"), true),
        _ => (format!("*/{step}"), true),
    }
}

fn values(text: &str, min: u64, max: u64, names: &[&str]) -> Vec<bool> {
    let signed = |value: u64| i64::try_from(value).unwrap();
    let named = |value| oracle::wrapping(text, signed(min), signed(max), signed(value), names);
    (0..=max).map(|value| value >= min && named(value)).collect()
}

fn special_day(random: &mut Random) -> Word {
    let (text, sane) = match random.below(5) {
        0 => ("L".to_owned(), true),
        1 => ("LW".to_owned(), true),
        2 => (format!("L-{}", 1 + random.below(30)), true),
        3 => (format!("L-{}W", 1 + random.below(30)), false),
        _ => (format!("{}W", 1 + random.below(31)), false),
    };
    Word { text, values: Vec::new(), sane }
}

fn special_weekday(random: &mut Random) -> Word {
    let day = 1 + random.below(7);
    let text = match random.below(3) {
        0 => format!("{day}L"),
        1 => format!("{day}#{}", 1 + random.below(5)),
        _ => "L".to_owned(),
    };
    Word { text, values: Vec::new(), sane: true }
}

struct Pools {
    minutes: Vec<Word>,
    hours: Vec<Word>,
    days: Vec<Word>,
    months: Vec<Word>,
    weekdays: Vec<Word>,
    any: Word,
}

impl Pools {
    fn new(random: &mut Random) -> Self {
        let mut days = words(random, 1, 31, &[], 300);
        days.extend((0..150).map(|_| special_day(random)));
        let mut weekdays = words(random, 1, 7, &WEEKDAYS, 200);
        weekdays.extend((0..60).map(|_| special_weekday(random)));
        // A plain `*` is what most expressions have.
        let star = |max: u64| Word { text: "*".to_owned(), values: values("*", 1, max, &[]), sane: true };
        days.extend((0..250).map(|_| star(31)));
        weekdays.extend((0..200).map(|_| star(7)));
        Self {
            minutes: words(random, 0, 59, &[], 300),
            hours: words(random, 0, 23, &[], 300),
            days,
            months: words(random, 1, 12, &MONTHS, 200),
            weekdays,
            any: star(31),
        }
    }
}

/// How far the brute force looks.
const HORIZON_DAYS: i32 = 800;

/// First matching minute after an instant of UTC, or none within the horizon.
fn brute_force(words: [&Word; 5], after: Timestamp) -> Option<Timestamp> {
    let [minutes, hours, days, months, weekdays] = words;
    let start = jiff::tz::TimeZone::UTC.to_datetime(after);
    let index = |value: i8| usize::try_from(value).unwrap();
    let day_matches = |date: Date| {
        let at = date.at(0, 0, 0, 0);
        let day =
            days.values.get(index(date.day())).copied().unwrap_or_else(|| oracle::cron_day(&days.text, at));
        let sunday_one = date.weekday().to_sunday_one_offset();
        let weekday = weekdays.values.get(index(sunday_one)).copied();
        let weekday = weekday.unwrap_or_else(|| oracle::cron_weekday(&weekdays.text, at, sunday_one.into()));
        months.values[index(date.month())] && day && weekday
    };
    let mut date = start.date();
    for _ in 0..HORIZON_DAYS {
        if day_matches(date) {
            let hours = (0..24_i8).filter(|&hour| hours.values[index(hour)]);
            for hour in hours {
                for minute in (0..60_i8).filter(|&minute| minutes.values[index(minute)]) {
                    let at = date.at(hour, minute, 0, 0);
                    if at > start {
                        return jiff::tz::TimeZone::UTC.to_timestamp(at).ok();
                    }
                }
            }
        }
        date = date.tomorrow().unwrap();
    }
    None
}

fn by_saffron(cron: &saffron::Cron, after: Timestamp) -> Option<Timestamp> {
    let after: ChronoDateTime<Utc> = ChronoDateTime::from_timestamp(after.as_second(), 0)?;
    cron.any().then(|| cron.next_after(after))?.and_then(|at| Timestamp::from_second(at.timestamp()).ok())
}

#[test]
fn random_expressions_agree_with_brute_force_and_with_saffron_where_it_is_right() {
    let mut random = Random(20_261_122);
    let pools = Pools::new(&mut random);
    let mut outcomes: HashMap<&str, u32> = HashMap::new();
    for _ in 0..60_000 {
        let mut picked = [
            random.pick(&pools.minutes),
            random.pick(&pools.hours),
            random.pick(&pools.days),
            random.pick(&pools.months),
            random.pick(&pools.weekdays),
        ];
        // One of the day fields has to be `?`.
        let free = if picked[4].text == "*" || random.below(2) == 0 { 4 } else { 2 };
        picked[free] = &pools.any;
        let text = picked.map(|word| word.text.as_str()).join(" ");
        let mut words = picked.map(|word| word.text.as_str());
        words[free] = "?";
        let after =
            instant("2000-01-01T00:00:00Z") + i64::try_from(random.below(40 * 525_960)).unwrap().minutes();
        let own = schedule(&format!("cron({} *)", words.join(" ")), "UTC")
            .unwrap_or_else(|error| panic!("{error}"));
        let got = own.next_after(after);
        let horizon = after + (i64::from(HORIZON_DAYS - 1) * 24).hours();
        let near = got.filter(|tick| *tick < horizon);
        let expected = brute_force(picked, after).filter(|tick| *tick < horizon);
        assert_eq!(near, expected, "{text} after {after}");
        *outcomes.entry(if near.is_some() { "near" } else { "far" }).or_default() += 1;
        if picked.iter().all(|word| word.sane) {
            let cron = saffron::Cron::from_str(&text).unwrap();
            assert_eq!(got, by_saffron(&cron, after), "{text} after {after}");
            *outcomes.entry("saffron").or_default() += 1;
        }
    }
    assert!(outcomes["near"] > 45_000 && outcomes["saffron"] > 10_000, "{outcomes:?}");
}
