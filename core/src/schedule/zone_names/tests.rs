//! Suggestions for names that are no time zones.

use std::collections::BTreeSet;

use crate::schedule::parse_time_zone;

fn nearest(name: &str) -> Option<String> {
    parse_time_zone(name).unwrap_err().nearest().map(str::to_owned)
}

/// The offsets of a zone in January and July 2027, in minutes.
fn offsets(zone: &str) -> [i32; 2] {
    let zone = parse_time_zone(zone).unwrap();
    ["2027-01-15T00:00:00Z", "2027-07-15T00:00:00Z"]
        .map(|at| zone.to_offset(at.parse().unwrap()).seconds() / 60)
}

#[test]
fn a_city_of_the_table_suggests_a_zone_of_the_database_and_is_none_itself() {
    let mut seen = BTreeSet::new();
    for (city, zone) in super::cities() {
        assert_eq!(parse_time_zone(zone).unwrap().iana_name(), Some(zone), "{city}");
        assert_eq!(nearest(&city).as_deref(), Some(zone), "{city}");
        assert_eq!(nearest(&city.to_lowercase()).as_deref(), Some(zone), "{city}");
        assert!(seen.insert(city.to_lowercase()), "{city} is there twice");
    }
}

#[test]
fn a_city_suggests_a_zone_with_its_own_time_in_winter_and_summer() {
    for (city, [january, july]) in [
        ("Asia/Delhi", [330, 330]),
        ("Asia/Deli", [330, 330]),
        ("Asia/Mumbai", [330, 330]),
        ("Asia/Bangalore", [330, 330]),
        ("Asia/Pune", [330, 330]),
        ("Asia/Goa", [330, 330]),
        ("Asia/Osaka", [540, 540]),
        ("Asia/Beijing", [480, 480]),
        ("Asia/Doha", [180, 180]),
        ("Asia/Manama", [180, 180]),
        ("Asia/Oman", [240, 240]),
        ("Asia/Abu_Dhabi", [240, 240]),
        ("Asia/Hanoi", [420, 420]),
        ("Asia/Islamabad", [300, 300]),
        ("Asia/Bali", [480, 480]),
        ("Asia/Ankara", [180, 180]),
        ("America/Boston", [-300, -240]),
        ("America/Miami", [-300, -240]),
        ("America/Rome", [-300, -240]),
        ("America/Houston", [-360, -300]),
        ("America/Cheyenne", [-420, -360]),
        ("America/Tucson", [-420, -420]),
        ("America/Seattle", [-480, -420]),
        ("America/Monterey", [-480, -420]),
        ("America/Quito", [-300, -300]),
        ("America/Brasilia", [-180, -180]),
        ("Europe/Bonn", [60, 120]),
        ("Europe/Bern", [60, 120]),
        ("Europe/Lyon", [60, 120]),
        ("Europe/Edinburgh", [0, 60]),
        ("Europe/Porto", [0, 60]),
        ("Europe/Yalta", [180, 180]),
        ("Africa/Cape_Town", [120, 120]),
        ("Africa/Abuja", [60, 60]),
        ("Australia/Cairns", [600, 600]),
        ("Pacific/Wellington", [780, 720]),
    ] {
        let zone = nearest(city).unwrap_or_else(|| panic!("{city}"));
        assert_eq!(offsets(&zone), [january, july], "{city}: {zone}");
    }
    assert_eq!(nearest("Africa/Rabat").as_deref(), Some("Africa/Casablanca"));
}

#[test]
fn a_city_that_is_neither_a_zone_nor_in_the_table_suggests_nothing() {
    for city in [
        "Asia/Kochi",
        "Asia/Basra",
        "Asia/Sana",
        "Asia/Xian",
        "Asia/Mali",
        "America/San_Jose",
        "America/Salem",
        "America/Lexington",
        "America/Evansville",
        "America/Knoxville",
        "America/Charleston",
        "America/Jefferson_City",
        "America/Santo_Andre",
        "America/Austria",
        "Europe/Pisa",
        "Europe/Bari",
        "Europe/Gera",
        "Europe/Tromso",
        "Europe/Novgorod",
        "Africa/Lusa",
        "Africa/Mekele",
        "Australia/Alice_Springs",
        "Mumbai",
        "Moon/Tycho",
    ] {
        assert_eq!(nearest(city), None, "{city}");
    }
}

#[test]
fn a_typing_error_suggests_the_only_nearest_name() {
    for (name, zone) in [
        ("Europe/Berln", "Europe/Berlin"),
        ("Europa/Paris", "Europe/Paris"),
        ("Asia/Toyko", "Asia/Tokyo"),
        ("America/New York", "America/New_York"),
        ("america/new_yrok", "America/New_York"),
        ("America/Los_Angelos", "America/Los_Angeles"),
        ("America/LosAngelas", "America/Los_Angeles"),
        ("Europe/Stokcholn", "Europe/Stockholm"),
        ("US/Pacfic", "US/Pacific"),
    ] {
        assert_eq!(nearest(name).as_deref(), Some(zone), "{name}");
    }
    for name in ["Europe/Barlyn", "Asia/Tokoyu", "Asia/Kat_mandu/x", "Asia/Maca"] {
        assert_eq!(nearest(name), None, "{name}");
    }
}

#[test]
fn the_explained_error_of_an_unknown_zone_has_the_suggestion() {
    let explained = |name| parse_time_zone(name).unwrap_err().explained();
    assert_eq!(explained("Asia/Delhi"), "Invalid timezone format: Asia/Delhi (did you mean Asia/Kolkata?)");
    assert_eq!(explained("Moon/Tycho"), "Invalid timezone format: Moon/Tycho");
}
