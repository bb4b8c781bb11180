use ecs_scheduler_core::{SettingValues, StoreProvider as _};

use super::{API_KEY, CA_FILE, CLIENT, ElasticsearchProvider, HOSTS, INDEX, options};
use crate::cluster::{Credentials, Node, Secret};

fn settings(hosts: &str) -> SettingValues {
    SettingValues::default().with(&INDEX, "jobs").with(&HOSTS, hosts)
}

fn problem(settings: &SettingValues) -> String {
    ElasticsearchProvider.check(settings).unwrap_err().to_string()
}

#[test]
fn settings_are_converted_to_options() {
    let options = options(&settings("es1, es2").with(&API_KEY, "k")).unwrap();
    let addresses: Vec<&str> = options.cluster.nodes.iter().map(Node::address).collect();
    assert_eq!(addresses, ["http://es1:9200", "http://es2:9200"]);
    assert_eq!(options.cluster.credentials, Some(Credentials::ApiKey(Secret::new("k"))));
    assert_eq!(options.index.jobs(), "jobs");
}

#[test]
fn client_configuration_of_the_python_version_is_added() {
    let client = r#"{"hosts": ["es9"], "api_key": "theirs"}"#;
    let theirs = options(&settings("").with(&CLIENT, client)).unwrap();
    assert_eq!(theirs.cluster.nodes[0].address(), "http://es9:9200");
    let ours = options(&settings("es1").with(&CLIENT, client).with(&API_KEY, "ours")).unwrap();
    assert_eq!(ours.cluster.nodes[0].address(), "http://es1:9200");
    assert_eq!(ours.cluster.credentials, Some(Credentials::ApiKey(Secret::new("ours"))));
}

#[test]
fn invalid_setting_is_named_without_its_secrets() {
    assert!(problem(&settings("")).contains("set ECSS_ELASTICSEARCH_HOSTS"));
    assert!(problem(&settings("es1").with(&INDEX, "Jobs")).starts_with("ECSS_ELASTICSEARCH_INDEX: "));
    let host = problem(&settings("ftp://u:hush@es1"));
    assert!(host.starts_with("ECSS_ELASTICSEARCH_HOSTS: ") && !host.contains("hush"), "{host}");
    let client = settings("es1").with(&CLIENT, r#"{"nope": 1}"#);
    assert!(problem(&client).starts_with("elasticsearch.client: option \"nope\""));
}

#[test]
fn file_without_certificates_is_refused_by_the_name_of_its_setting() {
    for (file, why) in [
        ("/nope", "No such file"),
        ("/dev/zero", "it is not a file"),
        ("/", "it is not a file"),
        ("/etc/passwd", "it contains no certificate"),
    ] {
        let own = problem(&settings("https://es1").with(&CA_FILE, file));
        let start = "ECSS_ELASTICSEARCH_CA_FILE: could not read certificates from ";
        assert!(own.starts_with(&format!("{start}{file:?}; name a PEM file")) && own.contains(why), "{own}");
        let client = format!(r#"{{"hosts": ["https://es1"], "ca_certs": "{file}"}}"#);
        let theirs = problem(&settings("").with(&CLIENT, client));
        assert!(theirs.starts_with("elasticsearch.client: ") && theirs.contains(why), "{theirs}");
    }
}

#[test]
fn a_setting_of_the_cluster_without_an_index_is_refused() {
    let message =
        "elasticsearch.client is set, but no index is named; set ECSS_ELASTICSEARCH_INDEX, or unset it";
    assert_eq!(problem(&SettingValues::default().with(&CLIENT, "{}")), message);
}
