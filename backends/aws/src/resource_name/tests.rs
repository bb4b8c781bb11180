use ecs_scheduler_core::Setting;

use super::check_resource_name;

#[test]
fn names_have_bounds_and_a_set_of_characters_and_arns_are_left_to_aws() {
    let setting = Setting::new("ECSS_DYNAMODB_TABLE", "dynamodb.table", "TABLE", "The table");
    let check = |name: &str| check_resource_name(&setting, name, 3..=5);
    for name in ["abc", "a-_.Z", "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs of others"] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
    for name in ["", "ab", "abcdef", "a b", "a/b", "äb"] {
        let message = check(name).unwrap_err().message;
        let expected = format!(
            "ECSS_DYNAMODB_TABLE is \"{name}\"; it must be 3 to 5 of letters, digits, \"-\", \"_\", \".\""
        );
        assert_eq!(message, expected);
    }
}
