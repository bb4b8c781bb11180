//! `ecs-scheduler backup` and `restore`: copies of a SQLite store.

use std::path::PathBuf;

use clap::Args;
use ecs_scheduler_core::{Clock, StoreError};
use serde_json::json;

use super::flags::SettingFlags;
use super::progress::Bar;
use crate::config::values::Values;
use crate::error::CommandError;
use crate::output::json_text;
use crate::transfer::new_file::NewFile;
use crate::transfer::{StoreUri, store_uri};
use crate::wiring::sqlite_backup::{self, BackupContents};
use crate::wiring::store_file;

/// The store to back up and the target file.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// New file, which must not exist. It appears only when the backup is complete, durable and verified
    file: PathBuf,
    /// The store, as `sqlite:FILE`; the configured one by default. A scheduler may be using it
    #[arg(long, value_name = "STORE")]
    from: Option<StoreUri>,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// The backup to restore and the target store.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// Only verify the backup, from its first page to its last
    #[arg(long)]
    verify: bool,
    /// The store, as `sqlite:FILE`; the configured one by default. No scheduler may be using it
    #[arg(long, value_name = "STORE", conflicts_with = "verify")]
    to: Option<StoreUri>,
    /// Rename an existing file first, and print its new name; without this flag a restore over an existing file is
    /// refused
    #[arg(long, conflicts_with = "verify")]
    move_aside: bool,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// Makes a backup.
///
/// # Errors
///
/// Fails if the store is not a SQLite file or cannot be read, if the target exists or cannot be written, and if the
/// copy is invalid.
pub(crate) async fn run(args: BackupArgs, values: &Values) -> Result<String, CommandError> {
    if args.file.as_os_str() == "-" {
        let remedy = "name a file, or print a dump with `ecs-scheduler export`";
        return Err(CommandError::failed(format!("could not back up to standard output; {remedy}")));
    }
    let source = file_of(args.from.as_ref(), values)?;
    let target = args.file.clone();
    let of = source.clone();
    let contents = blocking(move || {
        let copy = NewFile::beside(&target)?;
        let bar = Bar::new("copying", 0);
        let contents = sqlite_backup::backup(&of, copy.path(), &|done, all| bar.set(done, all))
            .map_err(command_error)?;
        copy.publish()?;
        Ok(contents)
    })
    .await?;
    let (from, to) = (source.display().to_string(), args.file.display().to_string());
    Ok(if args.json {
        json_text(&json!({ "from": from, "to": to, "contents": summary(&contents) }))
    } else {
        format!("backed up {from} to {to}: {}\n", describe(&contents))
    })
}

/// Restores a backup, or only verifies it.
///
/// # Errors
///
/// Fails if the backup is invalid, if a scheduler uses the store, if the target exists without `--move-aside`, and if
/// it cannot be written.
pub(crate) async fn restore(
    args: RestoreArgs,
    values: &Values,
    clock: &dyn Clock,
) -> Result<String, CommandError> {
    let backup = args.file.clone();
    let name = backup.display().to_string();
    if args.verify {
        let contents = blocking(move || sqlite_backup::verify(&backup).map_err(command_error)).await?;
        return Ok(if args.json {
            json_text(&json!({ "file": name, "sound": true, "contents": summary(&contents) }))
        } else {
            format!("{name} is valid: {}\n", describe(&contents))
        });
    }
    let target = file_of(args.to.as_ref(), values)?;
    let aside = args.move_aside.then(|| {
        let mut name = target.clone().into_os_string();
        name.push(clock.now().strftime(".aside-%Y%m%dT%H%M%SZ").to_string());
        PathBuf::from(name)
    });
    let moved = aside.clone().filter(|_| target.exists());
    let to = target.clone();
    let contents =
        blocking(move || sqlite_backup::restore(&backup, &to, aside.as_deref()).map_err(command_error))
            .await?;
    let (target, moved) = (target.display().to_string(), moved.map(|moved| moved.display().to_string()));
    Ok(if args.json {
        let contents = summary(&contents);
        json_text(&json!({ "from": name, "to": target, "movedAside": moved, "contents": contents }))
    } else {
        let before = moved.map(|moved| format!("renamed the existing file to {moved}\n")).unwrap_or_default();
        format!("{before}restored {target} from {name}: {}\n", describe(&contents))
    })
}

fn file_of(uri: Option<&StoreUri>, values: &Values) -> Result<PathBuf, CommandError> {
    store_file(&store_uri::resolve(uri, values)?).ok_or_else(|| {
        let remedy = "`ecs-scheduler export` makes a dump of any store";
        CommandError::failed(format!("only a SQLite store can be copied as a file; {remedy}"))
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panicked| CommandError::caused("copying panicked", panicked))?
}

fn command_error(error: StoreError) -> CommandError {
    if let StoreError::Fault { message, cause: Some(cause), .. } = error {
        return CommandError::caused(message, cause);
    }
    CommandError::failed(error.to_string())
}

fn describe(contents: &BackupContents) -> String {
    let BackupContents { format, jobs, decisions, firings } = contents;
    let format =
        if *format == 0 { "the Python version's format".to_owned() } else { format!("format {format}") };
    format!("{jobs} jobs, {decisions} decisions, {firings} firings, {format}")
}

fn summary(contents: &BackupContents) -> serde_json::Value {
    let BackupContents { format, jobs, decisions, firings } = contents;
    json!({ "format": format, "jobs": jobs, "decisions": decisions, "firings": firings })
}
