use serde_json::json;

use super::*;

#[test]
fn lines_name_their_container_as_soon_as_there_are_several() {
    let line = |container: &str, text: &str| json!({"container": container, "text": text});
    let mut printer = LinePrinter::default();
    assert_eq!(printer.render(&[line("main", "one"), line("main", "a\tb")]), "one\na\tb\n");
    assert_eq!(printer.render(&[line("main", "two"), line("side", "x")]), "main | two\nside | x\n");
    assert_eq!(printer.render(&[line("main", "three")]), "main | three\n");
    let mut printer = LinePrinter { as_json: true, ..LinePrinter::default() };
    assert_eq!(printer.render(&[line("main", "one")]), "{\"container\":\"main\",\"text\":\"one\"}\n");
}

#[test]
fn path_has_the_given_parameters_only() {
    let mut args = LogsArgs {
        id: "job".to_owned(),
        firing: None,
        task: 1,
        container: None,
        tail: None,
        since: None,
        follow: false,
    };
    assert_eq!(args.path("f", "t/1"), "/firings/f/tasks/t%2F1/logs");
    (args.container, args.tail, args.follow) = (Some("a&b".to_owned()), Some(3), true);
    assert_eq!(args.path("f", "t"), "/firings/f/tasks/t/logs?container=a%26b&tail=3&follow=true");
}
