use serde_json::json;

use super::*;

fn write(folder: &Path, file: &str, family: &str, revision: u32) {
    let definition = json!({
        "family": family,
        "revision": revision,
        "containerDefinitions": [{"name": "main", "command": ["true"]}],
    });
    fs::write(folder.join(file), definition.to_string()).unwrap();
}

#[test]
fn definition_is_found_by_family_revision_and_arn() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "nine.json", "work", 9);
    write(folder.path(), "ten.json", "work", 10);
    write(folder.path(), "other.json", "work-2", 30);
    let definitions = Definitions::read(folder.path()).unwrap();
    let found = |name: &str| definitions.find(name).map(|definition| definition.name());
    assert_eq!(found("work").unwrap(), "work:10");
    assert_eq!(found("work:9").unwrap(), "work:9");
    assert_eq!(found("arn:aws:ecs:eu-west-1:000000000000:task-definition/work:9").unwrap(), "work:9");
    for unknown in ["wor", "work:8", "work:x", ""] {
        let reason = found(unknown).unwrap_err();
        assert!(reason.contains(&format!("no task definition \"{unknown}\" in {}", folder.path().display())));
        assert!(
            reason.ends_with("the folder has work:9, work:10, work-2:30") || reason.contains("work:9"),
            "{reason}"
        );
    }
}

#[test]
fn invalid_file_is_a_problem_and_other_files_are_usable() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", "good", 1);
    write(folder.path(), "b.json", "good", 1);
    fs::write(folder.path().join("c.json"), "{").unwrap();
    fs::write(folder.path().join("notes.txt"), "{").unwrap();
    let definitions = Definitions::read(folder.path()).unwrap();
    assert_eq!(definitions.all().count(), 1);
    let problems: Vec<String> = definitions.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].contains("b.json: revision: good:1 is already defined in ")
            && problems[0].ends_with("a.json")
    );
    assert!(problems[1].contains("c.json: is not valid JSON"));
    assert!(definitions.find("c").unwrap_err().contains("not usable: "));
}

#[tokio::test(start_paused = true)]
async fn changed_file_is_reloaded_and_unknown_name_reloads_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", "work", 1);
    let mut store = DefinitionStore::open(folder.path().to_owned()).unwrap();
    write(folder.path(), "a.json", "work", 22);
    assert_eq!(store.find("work").unwrap().name(), "work:1", "the folder is not checked again so soon");
    tokio::time::advance(RELOAD_INTERVAL).await;
    assert_eq!(store.find("work").unwrap().name(), "work:22");
    write(folder.path(), "b.json", "fresh", 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(store.find("fresh").unwrap().name(), "fresh:1");
    fs::remove_file(folder.path().join("b.json")).unwrap();
    tokio::time::advance(RELOAD_INTERVAL).await;
    assert!(store.find("fresh").is_err());
}

#[test]
fn file_above_the_maximum_size_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", "good", 1);
    let huge = format!("{{\"family\": \"huge\"{}", " ".repeat(MAX_FILE_BYTES.try_into().unwrap()));
    fs::write(folder.path().join("huge.json"), huge).unwrap();
    fs::write(folder.path().join("cut.json"), "ä".repeat(MAX_FILE_BYTES.try_into().unwrap())).unwrap();
    let definitions = Definitions::read(folder.path()).unwrap();
    assert_eq!(definitions.all().count(), 1);
    let problems: Vec<String> = definitions.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2);
    for problem in problems {
        assert!(
            problem.ends_with("is longer than 1048576 bytes, the maximum of a task definition file"),
            "{problem}"
        );
    }
}
