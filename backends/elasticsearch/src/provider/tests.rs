use super::Settings;
use crate::cluster::{Credentials, Node, Secret};

fn settings(hosts: &str) -> Settings {
    let hosts = (!hosts.is_empty()).then(|| Secret::new(hosts));
    Settings { index: "jobs".to_owned(), hosts, ..Settings::default() }
}

fn problem(settings: &Settings) -> String {
    settings.options().unwrap_err().to_string()
}

#[test]
fn settings_are_converted_to_options() {
    let key = Some(Secret::new("k"));
    let options = Settings { api_key: key.clone(), ..settings("es1, es2") }.options().unwrap();
    let addresses: Vec<&str> = options.cluster.nodes.iter().map(Node::address).collect();
    assert_eq!(addresses, ["http://es1:9200", "http://es2:9200"]);
    assert_eq!(options.cluster.credentials, key.map(Credentials::ApiKey));
    assert_eq!(options.index.jobs(), "jobs");
}

#[test]
fn client_configuration_of_the_python_version_is_added() {
    let client = Some(Secret::new(r#"{"hosts": ["es9"], "api_key": "theirs"}"#));
    let options = Settings { client: client.clone(), ..settings("") }.options().unwrap();
    assert_eq!(options.cluster.nodes[0].address(), "http://es9:9200");
    let options =
        Settings { client, api_key: Some(Secret::new("ours")), ..settings("es1") }.options().unwrap();
    assert_eq!(options.cluster.nodes[0].address(), "http://es1:9200");
    assert_eq!(options.cluster.credentials, Some(Credentials::ApiKey(Secret::new("ours"))));
}

#[test]
fn invalid_setting_is_named_without_its_secrets() {
    assert!(problem(&settings("")).contains("set ECSS_ELASTICSEARCH_HOSTS"));
    let upper = Settings { index: "Jobs".to_owned(), ..settings("es1") };
    assert!(problem(&upper).starts_with("ECSS_ELASTICSEARCH_INDEX: "));
    let host = problem(&settings("ftp://u:hush@es1"));
    assert!(host.starts_with("ECSS_ELASTICSEARCH_HOSTS: ") && !host.contains("hush"), "{host}");
    let client = Settings { client: Some(Secret::new(r#"{"nope": 1}"#)), ..settings("es1") };
    assert!(problem(&client).starts_with("elasticsearch.client: option \"nope\""));
    assert!(!format!("{:?}", settings("http://u:hush@es1")).contains("hush"));
}
