use ecs_scheduler_core::StoreError;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use super::{CONNECT_TIMEOUT, ConnectionConfig, TlsVerification};

fn config(url: &str) -> ConnectionConfig {
    ConnectionConfig::parse(url).expect("the URL is valid")
}

fn refusal(url: &str) -> String {
    let error = ConnectionConfig::parse(url).expect_err("the URL is refused");
    assert!(matches!(error, StoreError::Fault { .. }));
    ecs_scheduler_core::fault::chain(&error)
}

#[test]
fn database_is_named_without_its_password() {
    let config = config("postgres://me:s%40cret@db.example.com:5433/jobs?application_name=x");
    assert_eq!(config.name, "\"jobs\" at db.example.com:5433");
    assert_eq!(format!("{config:?}"), config.name);
    assert_eq!(config.config.get_password(), Some(&b"s@cret"[..]));
    assert_eq!(config.config.get_application_name(), Some("x"));
}

#[test]
fn ssl_modes_match_those_of_libpq() {
    for (query, mode, verification) in [
        ("", SslMode::Prefer, TlsVerification::Skip),
        ("?sslmode=prefer", SslMode::Prefer, TlsVerification::Skip),
        ("?sslmode=disable", SslMode::Disable, TlsVerification::Skip),
        ("?sslmode=require", SslMode::Require, TlsVerification::Skip),
        ("?sslmode=require&sslrootcert=/a%20b.pem", SslMode::Require, TlsVerification::Ca),
        ("?sslmode=verify-ca", SslMode::Require, TlsVerification::Ca),
        ("?connect_timeout=1&sslmode=verify-full", SslMode::Require, TlsVerification::Full),
    ] {
        let config = config(&format!("postgresql://db/jobs{query}"));
        assert_eq!((config.config.get_ssl_mode(), config.verification), (mode, verification), "{query}");
        assert_eq!(config.roots.is_some(), query.contains("sslrootcert"));
    }
}

#[test]
fn invalid_url_is_refused_without_repeating_it() {
    for (url, expected) in [
        ("mysql://me:secret@db/jobs", "postgres://"),
        ("postgres://me:secret@db:port/jobs", "%40"),
        ("postgres://me:secret@db/jobs?sslmode=maybe", "verify-full"),
        ("postgres://me:secret@db/jobs?colour=red", "colour"),
        ("postgres:///jobs", "names no host"),
    ] {
        let message = refusal(url);
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("secret"), "{message}");
        assert!(!message.contains("ECSS_"), "another provider may have another setting: {message}");
    }
}

#[test]
fn timeouts_are_set_unless_the_url_sets_them() {
    let plain = config("postgres://db/jobs");
    assert_eq!(plain.config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(plain.config.get_options(), None, "a connection pooler refuses them");
    let ours = [("statement_timeout", "10000"), ("idle_in_transaction_session_timeout", "5000")];
    let pinned = ("default_transaction_isolation", "read committed");
    assert_eq!(settings(&plain), [ours[0], ours[1], pinned]);
    let given = config("postgres://db/jobs?connect_timeout=9&options=-c%20statement_timeout%3D77");
    assert_eq!(given.config.get_connect_timeout().map(std::time::Duration::as_secs), Some(9));
    assert_eq!(settings(&given), [("statement_timeout", "77"), ours[1], pinned]);
}

fn settings(config: &ConnectionConfig) -> Vec<(&str, &str)> {
    config.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn options_are_parsed_as_the_server_parses_them() {
    for (options, given) in [
        ("-c%20search_path%3Da%2Cb", Some(("search_path", "a,b"))),
        ("-csearch_path%3D%22A%5C%20b%22", Some(("search_path", "\"A b\""))),
        ("--work-mem%3D8-MB", Some(("work_mem", "8-MB"))),
        ("%20%20-c%20a.b%3D%5C%5C%20", Some(("a.b", "\\"))),
        ("-c%20nothing", None),
        ("-e%20-c%20search_path%3Da", None),
    ] {
        let config = config(&format!("postgres://db/jobs?options={options}"));
        let first = settings(&config)[0];
        match given {
            Some(given) => assert_eq!((first, config.config.get_options()), (given, None), "{options}"),
            None => assert!(config.config.get_options().is_some(), "{options}: as the URL has it"),
        }
    }
}

#[test]
fn several_hosts_require_a_writable_one() {
    let several = config("postgres://a:1,b:2/jobs");
    assert_eq!(several.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(several.name, "\"jobs\" at a:1, b:2");
}

#[test]
fn urls_of_the_same_tables_are_recognised() {
    let jobs = config("postgres://me:secret@db/jobs?options=-c%20search_path%3Da");
    for same in [
        "postgresql://me@db:5432/jobs?options=-csearch_path%3Da",
        "postgres://me:other@db/jobs?sslmode=require&connect_timeout=9&options=--search-path%3Da",
    ] {
        assert!(jobs.is_same_database(&config(same)), "{same}");
    }
    for other in [
        "postgres://me@db/jobs",
        "postgres://me@db/jobs?options=-c%20search_path%3Db",
        "postgres://you@db/jobs?options=-c%20search_path%3Da",
        "postgres://me@db:5433/jobs?options=-c%20search_path%3Da",
        "postgres://me@db/other?options=-c%20search_path%3Da",
    ] {
        assert!(!jobs.is_same_database(&config(other)), "{other}");
    }
}
