use ecs_scheduler_core::StoreError;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use super::{CONNECT, Place, Trust};

fn place(url: &str) -> Place {
    Place::parse(url).expect("the URL is sound")
}

fn refusal(url: &str) -> String {
    let error = Place::parse(url).expect_err("the URL is refused");
    assert!(matches!(error, StoreError::Fault { .. }));
    ecs_scheduler_core::fault::chain(&error)
}

#[test]
fn a_place_is_named_without_its_password() {
    let place = place("postgres://me:s%40cret@db.example.com:5433/jobs?application_name=x");
    assert_eq!(place.name, "\"jobs\" at db.example.com:5433");
    assert_eq!(format!("{place:?}"), place.name);
    assert_eq!(place.config.get_password(), Some(&b"s@cret"[..]));
    assert_eq!(place.config.get_application_name(), Some("x"));
}

#[test]
fn each_mode_of_protection_means_what_it_means_to_libpq() {
    for (query, mode, trust) in [
        ("", SslMode::Prefer, Trust::Anyone),
        ("?sslmode=prefer", SslMode::Prefer, Trust::Anyone),
        ("?sslmode=disable", SslMode::Disable, Trust::Anyone),
        ("?sslmode=require", SslMode::Require, Trust::Anyone),
        ("?sslmode=require&sslrootcert=/a%20b.pem", SslMode::Require, Trust::Authority),
        ("?sslmode=verify-ca", SslMode::Require, Trust::Authority),
        ("?connect_timeout=1&sslmode=verify-full", SslMode::Require, Trust::Host),
    ] {
        let place = place(&format!("postgresql://db/jobs{query}"));
        assert_eq!((place.config.get_ssl_mode(), place.trust), (mode, trust), "{query}");
        assert_eq!(place.roots.is_some(), query.contains("sslrootcert"));
    }
}

#[test]
fn what_is_not_a_url_is_refused_without_repeating_it() {
    for (url, word) in [
        ("mysql://me:secret@db/jobs", "postgres://"),
        ("postgres://me:secret@db:port/jobs", "%40"),
        ("postgres://me:secret@db/jobs?sslmode=maybe", "verify-full"),
        ("postgres://me:secret@db/jobs?colour=red", "colour"),
        ("postgres:///jobs", "names no host"),
    ] {
        let message = refusal(url);
        assert!(message.contains(word), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn time_is_bounded_unless_the_url_says_otherwise() {
    let plain = place("postgres://db/jobs");
    assert_eq!(plain.config.get_connect_timeout(), Some(&CONNECT));
    assert_eq!(plain.config.get_options(), None, "a pool between us refuses them");
    let ours = [("statement_timeout", "10000"), ("idle_in_transaction_session_timeout", "5000")];
    let pinned = ("default_transaction_isolation", "read committed");
    assert_eq!(settings(&plain), [ours[0], ours[1], pinned]);
    let given = place("postgres://db/jobs?connect_timeout=9&options=-c%20statement_timeout%3D77");
    assert_eq!(given.config.get_connect_timeout().map(std::time::Duration::as_secs), Some(9));
    assert_eq!(settings(&given), [("statement_timeout", "77"), ours[1], pinned]);
}

fn settings(place: &Place) -> Vec<(&str, &str)> {
    place.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn options_are_read_as_the_server_reads_them() {
    for (options, given) in [
        ("-c%20search_path%3Da%2Cb", Some(("search_path", "a,b"))),
        ("-csearch_path%3D%22A%5C%20b%22", Some(("search_path", "\"A b\""))),
        ("--work-mem%3D8-MB", Some(("work_mem", "8-MB"))),
        ("%20%20-c%20a.b%3D%5C%5C%20", Some(("a.b", "\\"))),
        ("-c%20nothing", None),
        ("-e%20-c%20search_path%3Da", None),
    ] {
        let place = place(&format!("postgres://db/jobs?options={options}"));
        let first = settings(&place)[0];
        match given {
            Some(given) => assert_eq!((first, place.config.get_options()), (given, None), "{options}"),
            None => assert!(place.config.get_options().is_some(), "{options}: as the URL has it"),
        }
    }
}

#[test]
fn of_several_hosts_the_one_that_can_be_written_is_taken() {
    let several = place("postgres://a:1,b:2/jobs");
    assert_eq!(several.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(several.name, "\"jobs\" at a:1, b:2");
}
