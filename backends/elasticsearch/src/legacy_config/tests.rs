use std::path::Path;

use super::LegacyConfig;
use crate::cluster::{Cluster, Credentials, Node, Secret};

fn cluster(json: &str) -> Result<Cluster, String> {
    let mut cluster = Cluster::default();
    LegacyConfig::parse(json)?.apply_to(&mut cluster)?;
    Ok(cluster)
}

fn addresses(json: &str) -> Vec<String> {
    cluster(json).unwrap().nodes.iter().map(|node| node.address().to_owned()).collect()
}

#[test]
fn hosts_are_parsed_in_every_shape_of_the_python_client() {
    for (json, meant) in [
        (r#"{"hosts": "es1"}"#, vec!["http://es1:9200"]),
        (r#"{"hosts": ["es1:9201", "https://es2/x"]}"#, vec!["http://es1:9201", "https://es2/x"]),
        (r#"{"hosts": [{"host": "es1", "port": 443, "use_ssl": true}]}"#, vec!["https://es1"]),
        (r#"{"hosts": [{}], "url_prefix": "/search/"}"#, vec!["http://localhost:9200/search"]),
        (
            r#"{"hosts": ["es1", "es2:1"], "port": 7, "scheme": "https"}"#,
            vec!["https://es1:7", "https://es2:1"],
        ),
        (r#"{"timeout": 30, "sniff_on_start": true}"#, vec![]),
    ] {
        assert_eq!(addresses(json), meant, "{json}");
    }
}

#[test]
fn cloud_id_names_the_cluster() {
    // eu.example.com:9243$abc$def
    let json = r#"{"cloud_id": "mine:ZXUuZXhhbXBsZS5jb206OTI0MyRhYmMkZGVm"}"#;
    assert_eq!(addresses(json), ["https://abc.eu.example.com:9243"]);
    assert!(cluster(r#"{"cloud_id": "mine:!"}"#).is_err());
}

#[test]
fn credentials_are_parsed_in_every_shape_of_the_python_client() {
    let basic = Credentials::Basic { user: "u".to_owned(), password: Secret::new("p:q") };
    let key = Credentials::ApiKey(Secret::new("id:key"));
    for (json, credentials) in [
        (r#"{"http_auth": "u:p:q"}"#, &basic),
        (r#"{"http_auth": ["u", "p:q"]}"#, &basic),
        (r#"{"basic_auth": ["u", "p:q"]}"#, &basic),
        (r#"{"api_key": ["id", "key"]}"#, &key),
    ] {
        assert_eq!(cluster(json).unwrap().credentials.as_ref(), Some(credentials), "{json}");
    }
    let own = cluster(r#"{"hosts": [{"host": "es1", "http_auth": "u:p:q"}], "http_auth": "x:y"}"#).unwrap();
    assert_eq!(own.nodes[0].credentials(), Some(&basic));
    let shown = format!("{:?}", LegacyConfig::parse(r#"{"http_auth": "u:hush"}"#).unwrap());
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn settings_take_precedence() {
    let mut given = Cluster { nodes: Cluster::nodes("es9").unwrap(), ..Cluster::default() };
    let json = r#"{"hosts": "es1", "ca_certs": "/ca.pem"}"#;
    LegacyConfig::parse(json).unwrap().apply_to(&mut given).unwrap();
    assert_eq!(given.nodes, ["es9".parse::<Node>().unwrap()]);
    assert_eq!(given.authority.as_deref(), Some(Path::new("/ca.pem")));
}

#[test]
fn unsupported_options_are_refused() {
    for (json, named) in [
        (r#"{"verify_certs": false}"#, "ca_certs"),
        (r#"{"connection_class": "x"}"#, "connection_class"),
        (r#"{"http_auth": "nobody"}"#, "user:password"),
        (r#"{"hosts": ["ftp://x"]}"#, "http"),
        ("[]", "struct"),
    ] {
        let message = cluster(json).unwrap_err();
        assert!(message.contains(named), "{message}");
    }
}
