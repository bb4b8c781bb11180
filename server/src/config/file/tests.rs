use crate::config::setting::Setting;
use crate::server::Server;

fn parse(text: &str) -> Result<Vec<(Setting, String)>, Vec<String>> {
    super::parse(text, Server::builder().providers().settings())
}

fn entries(text: &str) -> Vec<(&'static str, String)> {
    parse(text).unwrap().into_iter().map(|(setting, text)| (setting.key, text)).collect()
}

#[test]
fn nested_keys_are_settings() {
    let text = "name: blue\nmaxTasks: 7\nlog:\n  level: debug\nlocal:\n  taskDefinitions: defs\n";
    assert_eq!(
        entries(text),
        [
            ("local.taskDefinitions", "defs".to_owned()),
            ("log.level", "debug".to_owned()),
            ("maxTasks", "7".to_owned()),
            ("name", "blue".to_owned()),
        ]
    );
}

#[test]
fn a_bare_off_stays_off() {
    assert_eq!(entries("auth: off"), [("auth", "off".to_owned())]);
}

#[test]
fn a_file_without_settings_sets_nothing() {
    for text in ["", "\n  \n", "# nothing\n", "log:\n"] {
        assert_eq!(entries(text), [], "{text:?}");
    }
}

#[test]
fn lists_become_comma_lists_and_client_options_stay_an_object() {
    let text = "elasticsearch:\n  hosts: [a, b]\n  client:\n    timeout: 5\n";
    assert_eq!(
        entries(text),
        [("elasticsearch.client", "{\"timeout\":5}".to_owned()), ("elasticsearch.hosts", "a,b".to_owned())]
    );
}

#[test]
fn every_wrong_key_is_reported_with_the_nearest_one() {
    let problems = parse("nmae: x\nlog:\n  levle: info\nconfigFile: other.yaml\n").unwrap_err();
    assert_eq!(problems[2], "unknown key \"nmae\" (did you mean \"name\"?)");
    assert_eq!(problems[1], "unknown key \"log.levle\" (did you mean \"log.level\"?)");
    assert!(problems[0].starts_with("unknown key \"configFile\""), "{problems:?}");
    assert_eq!(problems.len(), 3);
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    assert_eq!(parse("- a\n").unwrap_err(), ["the file must contain keys with values"]);
    assert_eq!(parse("log: 5\n").unwrap_err(), ["\"log\" must contain keys with values"]);
    assert_eq!(parse("name: {a: 1}\n").unwrap_err(), ["\"name\" must be a plain value"]);
    assert!(parse("a: [\n").unwrap_err()[0].starts_with("not valid YAML: "));
}

#[test]
fn value_to_which_yaml_gives_a_type_keeps_its_text() {
    for kept in
        ["007", "1_000", "12", "-3", "1.50", "1e3", "7.0", "0x1F", "0o17", ".inf", "yes", "off", "2026-01-02"]
    {
        let text = format!("local:\n  taskDefinitions: {kept}\nelasticsearch:\n  hosts: [{kept}, a]\n");
        let entries = entries(&text);
        assert_eq!(entries[0], ("elasticsearch.hosts", format!("{kept},a")));
        assert_eq!(entries[1], ("local.taskDefinitions", kept.to_owned()));
    }
}

#[test]
fn labels_of_a_selector_and_texts_of_channels_keep_their_text() {
    let text = "budgets:\n  one: {selector: {team: 007, on: true, version: 1.10, q: '5', none: }, maxTasks: 10}\n  selector: {maxTasks: 3}\n\
                notify:\n  channels:\n    ops: {type: webhook, headers: {x-id: 0x1F, x-on: on}}\n  default: []\n";
    let values = entries(text);
    let json = |at: usize| serde_json::from_str::<serde_json::Value>(&values[at].1).unwrap();
    let labels = serde_json::json!({"team": "007", "on": "true", "version": "1.10", "q": "5", "none": null});
    assert_eq!((values[0].0, &json(0)["one"]["selector"]), ("budgets", &labels));
    assert!(
        json(0)["one"]["maxTasks"].is_u64() && json(0)["selector"]["maxTasks"] == 3,
        "a limit stays a number"
    );
    assert_eq!(json(1)["channels"]["ops"]["headers"], serde_json::json!({"x-id": "0x1F", "x-on": "on"}));
}

#[test]
fn other_words_of_yaml_for_a_switch_are_on_or_off() {
    for (key, word, text) in [
        ("auth", "false", "off"),
        ("auth", "No", "off"),
        ("taskVariables", "yes", "on"),
        ("taskVariables", "TRUE", "on"),
        ("name", "no", "no"),
    ] {
        assert_eq!(entries(&format!("{key}: {word}")), [(key, text.to_owned())]);
    }
}

#[test]
fn message_of_the_yaml_parser_has_no_advice_for_programs() {
    for text in ["name: a\nname: b\n", "name: a\n---\nname: b\n"] {
        let problems = parse(text).unwrap_err();
        for advice in ["Options", "Policy", "from_", "Option<"] {
            assert!(!problems[0].contains(advice), "{problems:?}");
        }
    }
}
