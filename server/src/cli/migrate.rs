//! `ecs-scheduler migrate`: copies the content of a store to another store.

use clap::Args;
use serde_json::json;

use super::flags::SettingFlags;
use super::progress::Bar;
use crate::config::values::Values;
use crate::error::CommandError;
use crate::output::json_text;
use crate::server::ServerBuilder;
use crate::transfer::copy::{Stage, TransferOptions, compute_checksum};
use crate::transfer::reader::changed_while_read;
use crate::transfer::store_uri::{self, Role};
use crate::transfer::{StoreReader, StoreUri, TransferReport, TransferSource, copy_items};
use crate::wiring::{self, sqlite_backup};

/// The source and the target of a migration.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// The store to read: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, `dynamodb:TABLE`, `s3:BUCKET/PREFIX` or
    /// `elasticsearch:INDEX@URL`; the configured one by default. No scheduler may be using it
    #[arg(long, value_name = "STORE")]
    from: Option<StoreUri>,
    /// The store to fill, made when it is missing; the configured one by default. It must be empty, or contain
    /// the first part of an interrupted run of this command
    #[arg(long, value_name = "STORE", required_unless_present = "from")]
    to: Option<StoreUri>,
    #[command(flatten)]
    pub(super) how: TransferArgs,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// Options of a transfer.
#[derive(Debug, Clone, Args)]
pub struct TransferArgs {
    /// Compare, report what would be added, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Copies everything; the source does not change.
///
/// # Errors
///
/// Fails if a store cannot be opened, if the target has other content, if the source changes meanwhile, and if the
/// verification finds a difference.
pub(crate) async fn run(
    args: &MigrateArgs,
    builder: &ServerBuilder,
    values: &Values,
) -> Result<String, CommandError> {
    let from = store_uri::resolve(args.from.as_ref(), values)?;
    let to = store_uri::resolve(args.to.as_ref(), values)?;
    if from.is_same_store(&to) {
        return Err(CommandError::failed("could not migrate: --from and --to name the same store"));
    }
    // A scheduler would go on with the old store, and what it writes there after the copy would be lost.
    let file = wiring::store_file(&from).filter(|file| file.exists());
    let locked = file.map(|file| sqlite_backup::lock(&file)).transpose();
    let _lock = locked.map_err(|error| CommandError::caused("could not open the store", error))?;
    let source = store_uri::open(args.from.as_ref(), &from, Role::TransferSource, builder).await?;
    let mut reader = StoreReader::open(&*source.store).await?;
    let (text, moved) =
        into_store(&mut reader, &source.name, args.to.as_ref(), &to, &args.how, builder).await?;
    let mut again = StoreReader::open(&*source.store).await?;
    if compute_checksum(&mut again, &|| ()).await?.sha256() != moved.sha256 {
        return Err(changed_while_read(&*source.store));
    }
    source.close().await?;
    Ok(text)
}

/// Fills a store from a source; returns the summary, also as text.
pub(super) async fn into_store(
    source: &mut dyn TransferSource,
    from: &str,
    to: Option<&StoreUri>,
    config: &crate::config::StoreConfig,
    how: &TransferArgs,
    builder: &ServerBuilder,
) -> Result<(String, TransferReport), CommandError> {
    let role = if how.dry_run { Role::Inspected } else { Role::Target };
    let target = store_uri::open(to, config, role, builder).await?;
    let bar = Bar::new("moving", source.expected());
    let verifying = std::cell::Cell::new(false);
    let progress = |stage, steps| {
        if stage == Stage::Verifying && !verifying.replace(true) {
            bar.start_phase("verifying");
        }
        bar.advance(steps);
    };
    let options = TransferOptions { target: &target.name, dry_run: how.dry_run, progress: &progress };
    let moved = copy_items(source, &*target.store, &options).await?;
    let to = target.name.clone();
    target.close().await?;
    drop(bar);
    Ok((summary(from, &to, how, &moved), moved))
}

fn summary(from: &str, to: &str, how: &TransferArgs, moved: &TransferReport) -> String {
    if how.json {
        return json_text(&json!({ "from": from, "to": to, "dryRun": how.dry_run, "moved": moved }));
    }
    let verb = if how.dry_run { "would move" } else { "moved" };
    let mut text = format!("{verb} {} from {from} to {to}\n", moved.added);
    if moved.present.items() > 0 {
        text.push_str(&format!("already present: {}\n", moved.present));
    }
    if moved.verified {
        text.push_str(&format!("verified: {to} has the same content, SHA-256 {}\n", moved.sha256));
    }
    text
}
