use std::path::Path;

use super::PythonOptions;
use crate::cluster::{Cluster, Login, Node, Secret};

fn cluster(json: &str) -> Result<Cluster, String> {
    let mut cluster = Cluster::default();
    PythonOptions::read(json)?.complete(&mut cluster)?;
    Ok(cluster)
}

fn addresses(json: &str) -> Vec<String> {
    cluster(json).unwrap().nodes.iter().map(|node| node.address().to_owned()).collect()
}

#[test]
fn hosts_are_read_in_every_shape_that_the_client_took() {
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
fn a_cloud_id_names_the_cluster() {
    // eu.example.com:9243$abc$def
    let json = r#"{"cloud_id": "mine:ZXUuZXhhbXBsZS5jb206OTI0MyRhYmMkZGVm"}"#;
    assert_eq!(addresses(json), ["https://abc.eu.example.com:9243"]);
    assert!(cluster(r#"{"cloud_id": "mine:!"}"#).is_err());
}

#[test]
fn a_login_is_read_in_every_shape_that_the_client_took() {
    let basic = Login::Basic { user: "u".to_owned(), password: Secret::new("p:q") };
    let key = Login::ApiKey(Secret::new("id:key"));
    for (json, login) in [
        (r#"{"http_auth": "u:p:q"}"#, &basic),
        (r#"{"http_auth": ["u", "p:q"]}"#, &basic),
        (r#"{"basic_auth": ["u", "p:q"]}"#, &basic),
        (r#"{"api_key": ["id", "key"]}"#, &key),
    ] {
        assert_eq!(cluster(json).unwrap().login.as_ref(), Some(login), "{json}");
    }
    let own = cluster(r#"{"hosts": [{"host": "es1", "http_auth": "u:p:q"}], "http_auth": "x:y"}"#).unwrap();
    assert_eq!(own.nodes[0].login(), Some(&basic));
    let shown = format!("{:?}", PythonOptions::read(r#"{"http_auth": "u:hush"}"#).unwrap());
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn settings_of_their_own_come_first() {
    let mut given = Cluster { nodes: Cluster::nodes("es9").unwrap(), ..Cluster::default() };
    let json = r#"{"hosts": "es1", "ca_certs": "/ca.pem"}"#;
    PythonOptions::read(json).unwrap().complete(&mut given).unwrap();
    assert_eq!(given.nodes, ["es9".parse::<Node>().unwrap()]);
    assert_eq!(given.authority.as_deref(), Some(Path::new("/ca.pem")));
}

#[test]
fn what_cannot_be_honoured_is_refused() {
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
