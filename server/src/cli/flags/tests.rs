use clap::{Args as _, Command, FromArgMatches as _};
use ecs_scheduler_core::Setting;

use super::{SettingFlags, add_setting_flags};
use crate::config::setting::{ListedSetting, Part};

const QUEUE: Setting = Setting::new("ECSS_ACME_QUEUE", "acme.queue", "NAME", "The queue. Default: none");
const TOKEN: Setting = Setting::new("ECSS_ACME_TOKEN", "acme.token", "TEXT", "The token").secret();

fn command() -> Command {
    let settings = [QUEUE, TOKEN].map(|setting| ListedSetting { part: Part::Launcher, setting });
    let serve = SettingFlags::augment_args(Command::new("serve"));
    add_setting_flags(Command::new("program").subcommand(serve).subcommand(Command::new("other")), &settings)
}

#[test]
fn commands_with_setting_flags_get_a_flag_of_each_installed_setting() {
    let matches = command().get_matches_from(["program", "serve", "--acme-queue", "orders"]);
    let flags = SettingFlags::from_arg_matches(matches.subcommand_matches("serve").unwrap()).unwrap();
    assert_eq!(flags.0.into_iter().collect::<Vec<_>>(), [("acme.queue", "orders".to_owned())]);
    let none = command().get_matches_from(["program", "serve"]);
    let none = SettingFlags::from_arg_matches(none.subcommand_matches("serve").unwrap()).unwrap();
    assert!(none.0.is_empty());
}

#[test]
fn secrets_and_commands_without_settings_have_no_flags() {
    for arguments in [["serve", "--acme-token"], ["other", "--acme-queue"]] {
        assert!(command().try_get_matches_from(["program", arguments[0], arguments[1], "x"]).is_err());
    }
}
