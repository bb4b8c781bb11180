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
    let options = plain.config.get_options().expect("there are options");
    assert!(options.contains("statement_timeout=10000"), "{options}");
    assert!(options.contains("idle_in_transaction_session_timeout=5000"), "{options}");
    let given = place("postgres://db/jobs?connect_timeout=9&options=-c%20statement_timeout%3D77");
    assert_eq!(given.config.get_connect_timeout().map(std::time::Duration::as_secs), Some(9));
    let options = given.config.get_options().expect("there are options");
    assert!(options.starts_with("-c statement_timeout=77 -c idle_in"), "{options}");
}

#[test]
fn of_several_hosts_the_one_that_can_be_written_is_taken() {
    let several = place("postgres://a:1,b:2/jobs");
    assert_eq!(several.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(several.name, "\"jobs\" at a:1, b:2");
}
