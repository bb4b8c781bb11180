use super::{Cluster, Credentials, Node, Secret};

fn address(text: &str) -> String {
    text.parse::<Node>().unwrap().address().to_owned()
}

#[test]
fn addresses_are_parsed_as_in_the_python_version() {
    for (written, meant) in [
        ("es1", "http://es1:9200"),
        ("es1:9300", "http://es1:9300"),
        ("http://es1", "http://es1:9200"),
        ("http://es1:80", "http://es1"),
        ("http://es1:9200/", "http://es1:9200"),
        ("https://es1", "https://es1"),
        ("https://es1:9243/search/", "https://es1:9243/search"),
        ("user:pass:word@es1", "http://es1:9200"),
        ("http://[::1]", "http://[::1]:9200"),
        ("http://[::1]:9201", "http://[::1]:9201"),
    ] {
        assert_eq!(address(written), meant, "{written}");
    }
}

#[test]
fn user_and_password_are_decoded_and_hidden() {
    let node: Node = "https://el%40stic:p%C3%A4ss@es1:9200".parse().unwrap();
    let credentials = Credentials::Basic { user: "el@stic".to_owned(), password: Secret::new("päss") };
    assert_eq!(node.credentials(), Some(&credentials));
    let shown = format!("{node} {node:?}");
    assert!(!shown.contains("päss") && !shown.contains("p%C3"), "{shown}");
}

#[test]
fn credentials_of_the_address_take_precedence() {
    let key = Credentials::ApiKey(Secret::new("k"));
    let named: Node = "a:b@es1".parse().unwrap();
    assert_eq!(named.clone().or_credentials(Some(&key)), named);
    let bare: Node = "es1".parse().unwrap();
    assert_eq!(bare.or_credentials(Some(&key)).credentials(), Some(&key));
}

#[test]
fn invalid_address_is_refused_without_repeating_its_password() {
    for written in
        ["ftp://u:secret@es1", "http://u:secret@", "http://u:secret@es1/?q=1", "http://u:secret@es1:x"]
    {
        let message = written.parse::<Node>().unwrap_err().to_string();
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn list_of_nodes_may_have_blanks_and_must_not_be_empty() {
    let nodes = Cluster::nodes(" es1 , https://es2:9243,").unwrap();
    let addresses: Vec<&str> = nodes.iter().map(Node::address).collect();
    assert_eq!(addresses, ["http://es1:9200", "https://es2:9243"]);
    assert!(Cluster::nodes(" , ").is_err());
}
