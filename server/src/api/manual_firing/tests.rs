use super::*;

#[test]
fn variables_are_added_and_other_fields_replaced() {
    let of_job = [
        json!({"containerName": "other", "command": ["b"]}),
        json!({"containerName": "main", "command": ["a"], "cpu": 1, "environment": {"KEPT": "1", "SET": "old"}}),
    ];
    let wanted = vec![
        json!({"containerName": "new", "cpu": 3}),
        json!({"containerName": "main", "command": ["c"], "environment": {"SET": "new", "MORE": "2"}}),
    ];
    let merged = [
        json!({"containerName": "new", "cpu": 3}),
        json!({"containerName": "main", "command": ["c"], "cpu": 1,
            "environment": {"KEPT": "1", "SET": "new", "MORE": "2"}}),
        json!({"containerName": "other", "command": ["b"]}),
    ];
    assert_eq!(merge(&of_job, wanted), merged);
}

#[test]
fn entries_of_a_wrong_type_keep_their_place_for_the_error() {
    let of_job = [json!({"containerName": "main"})];
    assert_eq!(merge(&of_job, vec![json!(3)]), [json!(3), json!({"containerName": "main"})]);
    let wrong = json!({"containerName": "main", "environment": 3});
    assert_eq!(merge(&of_job, vec![wrong.clone()]), [wrong]);
}
