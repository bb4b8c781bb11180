//! Settings that are paths: finds those that a server cannot use, before anything is created.

use std::io;
use std::path::Path;

use ecs_scheduler_core::{PathKind, ProviderDescriptor, SettingDefault, SettingValues};
use rustix::fs::{Access, access};

use super::setting::{DATA_DIR, LOG_FOLDER, Setting};
use super::types::{Config, LOG_FILES};
use super::values::Values;

#[cfg(test)]
mod tests;

/// Returns one problem for each path that a server cannot use: a folder where a file is required, a file on the way, or a
/// place where this user can create nothing. Without a configuration, the settings of store and launcher are not checked.
pub(super) fn wrong_paths(values: &Values, config: Option<&Config>) -> Vec<String> {
    let chosen: Vec<(ProviderDescriptor, &SettingValues)> = config.map_or_else(Vec::new, |config| {
        let Config { store, launcher, .. } = config;
        vec![
            (store.provider.descriptor(), &store.settings),
            (launcher.provider.descriptor(), &launcher.settings),
        ]
    });
    let is_in_data_dir = |setting: &Setting| {
        values.get(setting).is_none() && matches!(setting.default, SettingDefault::InDataDir(_))
    };
    let uses_data_dir = values.get(&DATA_DIR).is_some()
        || chosen.iter().any(|(descriptor, _)| descriptor.settings.iter().any(is_in_data_dir));
    let data_dir = uses_data_dir.then(|| problem(&DATA_DIR, values.text_or_default(&DATA_DIR))).flatten();
    let log_folder = values.get(&LOG_FOLDER).and_then(|folder| {
        let of_file =
            |name| problem_within(&LOG_FOLDER, &folder.text, name, &|path| usable(PathKind::File, path));
        problem(&LOG_FOLDER, &folder.text).or_else(|| LOG_FILES.into_iter().find_map(of_file))
    });
    let launcher_folder =
        config.filter(|config| config.launcher.provider.is_exclusive()).and_then(|config| {
            problem_within(
                &DATA_DIR,
                values.text_or_default(&DATA_DIR),
                config.launcher.kind,
                &can_write_below,
            )
        });
    let data_dir = data_dir.or(launcher_folder);
    let settings = chosen.iter().flat_map(|(descriptor, values)| {
        descriptor.settings.iter().filter_map(move |setting| Some((setting, values.get(setting)?)))
    });
    let of_providers = settings
        .filter(|(setting, _)| data_dir.is_none() || !is_in_data_dir(setting))
        .filter_map(|(setting, text)| problem(setting, text));
    let of_providers: Vec<String> = of_providers.collect();
    data_dir.into_iter().chain(log_folder).chain(of_providers).collect()
}

fn problem(setting: &Setting, text: &str) -> Option<String> {
    let kind = setting.path?;
    let why = usable(kind, Path::new(text)).err()?;
    let remedy = match kind {
        PathKind::Folder => "name a folder",
        PathKind::File => "name a file",
    };
    let name = setting.name();
    Some(format!("{name} is \"{text}\"; {why}; {remedy}, or a path at which this user can create one"))
}

/// Returns the problem of an object in the folder of a setting.
fn problem_within(
    setting: &Setting,
    folder: &str,
    name: &str,
    check: &dyn Fn(&Path) -> Result<(), String>,
) -> Option<String> {
    let path = Path::new(folder).join(name);
    let why = check(&path).err()?;
    Some(format!(
        "{} is \"{folder}\"; \"{}\" cannot be used: {why}; name a folder in which this user can write it",
        setting.name(),
        path.display()
    ))
}

/// Checks that a path leads to an object of its kind, or that this user can create one there.
fn usable(kind: PathKind, path: &Path) -> Result<(), String> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return can_create(path),
        Err(error) => return Err(format!("could not read it: {error}")),
    };
    let required = match kind {
        PathKind::Folder if !found.is_dir() => return Err("it is not a folder".to_owned()),
        PathKind::Folder => Access::READ_OK | Access::EXEC_OK,
        PathKind::File if found.is_dir() => return Err("it is a folder".to_owned()),
        PathKind::File if !found.is_file() => return Err("it is not a file".to_owned()),
        PathKind::File => Access::READ_OK | Access::WRITE_OK,
    };
    access(path, required).map_err(|error| format!("this user cannot use it: {}", io::Error::from(error)))?;
    // Programs write other files beside it: a log, a lock, a backup.
    let folder = path.canonicalize().ok().filter(|_| kind == PathKind::File);
    folder.as_deref().and_then(Path::parent).map_or(Ok(()), can_write_below)
}

/// Checks that this user can create a missing object, and the folders on the way to it.
fn can_create(path: &Path) -> Result<(), String> {
    if path.symlink_metadata().is_ok() {
        return Err("it is a link whose target is missing".to_owned());
    }
    can_write_below(path.parent().unwrap_or(path))
}

/// Checks that this user can create objects in a folder, or a missing folder and those on the way to it.
fn can_write_below(folder: &Path) -> Result<(), String> {
    let here = |folder| if folder == Path::new("") { Path::new(".") } else { folder };
    for folder in folder.ancestors().map(here) {
        let place = folder.display();
        match folder.metadata() {
            Ok(found) if !found.is_dir() => return Err(format!("\"{place}\" is not a folder")),
            #[cfg(target_os = "linux")]
            Ok(_) if is_of_kernel(folder) => {
                return Err(format!(
                    "this user cannot write to \"{place}\": the kernel makes all files of that file system"
                ));
            }
            Ok(_) => {
                return access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
                    format!("this user cannot write to \"{place}\": {}", io::Error::from(error))
                });
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(format!("could not read \"{place}\": {error}")),
        }
    }
    Ok(())
}

/// Tells whether a folder belongs to procfs or sysfs, where nobody can create a file, whatever the access rights are.
#[cfg(target_os = "linux")]
fn is_of_kernel(folder: &Path) -> bool {
    // The second number is that of sysfs.
    rustix::fs::statfs(folder)
        .is_ok_and(|found| matches!(found.f_type, rustix::fs::PROC_SUPER_MAGIC | 0x6265_6572))
}

/// Tells whether there is no object at a path; a file on the way to it counts as well.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
