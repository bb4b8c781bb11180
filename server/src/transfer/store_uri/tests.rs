use std::path::PathBuf;

use super::*;
use crate::config::values::{Environment, Flags};
use crate::server::Server;

fn gather(environment: &Environment) -> Values {
    Values::gather(Server::builder().providers(), &Flags::new(), environment).unwrap()
}

fn settings(text: &str) -> Vec<(&'static str, String)> {
    text.parse::<StoreUri>().unwrap().settings
}

#[test]
fn each_kind_of_store_is_named_in_one_word() {
    let pair = |key, value: &str| (key, value.to_owned());
    assert_eq!(settings("sqlite:/a/b.db"), [pair("sqlite.file", "/a/b.db")]);
    assert_eq!(settings("dynamodb:jobs"), [pair("dynamodb.table", "jobs")]);
    assert_eq!(settings("s3:b/p/q"), [pair("s3.bucket", "b"), pair("s3.prefix", "p/q")]);
    assert_eq!(settings("s3:b"), [pair("s3.bucket", "b"), pair("s3.prefix", "")]);
    let elastic =
        [pair("elasticsearch.index", "i"), pair("elasticsearch.hosts", "http://u:p@h:9200,http://g")];
    assert_eq!(settings("elasticsearch:i@http://u:p@h:9200,http://g"), elastic);
    assert_eq!(settings("elasticsearch:i"), [pair("elasticsearch.index", "i")]);
    assert_eq!(settings("postgres://u:p@h/d"), [pair("postgres.url", "postgres://u:p@h/d")]);
}

#[test]
fn an_unknown_store_uri_is_refused_with_the_known_forms() {
    for text in ["", "jobs.db", "sqlite:", "mysql:x", "dynamodb:"] {
        let error = text.parse::<StoreUri>().unwrap_err();
        assert!(error.contains("sqlite:FILE"), "{text}: {error}");
    }
    assert!("memory".parse::<StoreUri>().unwrap_err().contains("ends with the command"));
}

#[test]
fn passwords_are_not_shown() {
    assert_eq!("postgres://u:secret@h/d".parse::<StoreUri>().unwrap().to_string(), "postgres://u@h/d");
    let shown = |text: &str| text.parse::<StoreUri>().unwrap().to_string();
    assert_eq!(shown("elasticsearch:i@http://u:secret@h:9200"), "elasticsearch:i@http://(hidden)@h:9200");
    assert_eq!(
        shown("elasticsearch:i@https://u:secret@g,u:secret@h:9200,http://k/p"),
        "elasticsearch:i@https://(hidden)@g,(hidden)@h:9200,http://k/p"
    );
    assert_eq!(shown("elasticsearch:i"), "elasticsearch:i");
}

#[test]
fn a_named_store_takes_the_place_of_the_configured_one() {
    let environment = Environment::from([
        ("ECSS_SQLITE_FILE".to_owned(), "own.db".to_owned()),
        ("ECSS_STORE".to_owned(), "sqlite".to_owned()),
    ]);
    let values = gather(&environment);
    let file = |uri: Option<&StoreUri>| wiring::store_file(&resolve(uri, &values).unwrap());
    assert_eq!(file(None), Some(PathBuf::from("own.db")));
    let other = "sqlite:other.db".parse().unwrap();
    assert_eq!(file(Some(&other)), Some(PathBuf::from("other.db")));
}

#[test]
fn a_named_store_ignores_settings_of_other_stores_and_keeps_its_own() {
    let environment = Environment::from([
        ("ECSS_S3_BUCKET".to_owned(), "b".to_owned()),
        ("ECSS_S3_PREFIX".to_owned(), "p".to_owned()),
        ("ECSS_ELASTICSEARCH_HOSTS".to_owned(), "http://h".to_owned()),
    ]);
    let values = gather(&environment);
    let set = |uri: &str| {
        let chosen = values.choosing_store(&settings(uri));
        let settings = chosen.providers().settings().iter();
        settings
            .filter(|setting| chosen.get(setting).is_some())
            .map(|setting| setting.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(set("sqlite:x.db"), ["sqlite.file"]);
    assert_eq!(set("s3:other"), ["s3.bucket"]);
    let mut elastic = set("elasticsearch:i");
    elastic.sort_unstable();
    assert_eq!(elastic, ["elasticsearch.hosts", "elasticsearch.index"]);
}

#[test]
fn the_memory_store_is_refused_as_a_target() {
    let environment = Environment::from([("ECSS_STORE".to_owned(), "memory".to_owned())]);
    let values = gather(&environment);
    assert!(resolve(None, &values).unwrap_err().lines()[0].contains("name a store"));
}
