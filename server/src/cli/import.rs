//! `ecs-scheduler import`: a dump into a store, and jobs of other schedulers.

pub mod foreign;

use std::path::PathBuf;

use clap::Args;

use super::flags::SettingFlags;
use super::migrate::{TransferArgs, into_store};
use crate::config::values::Values;
use crate::error::CommandError;
use crate::server::ServerBuilder;
use crate::transfer::store_uri;
use crate::transfer::{DumpReader, StoreUri};

/// The dump to import and the target store.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ImportArgs {
    #[command(subcommand)]
    foreign: Option<foreign::ForeignSource>,
    /// The store to fill, made when it is missing: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, `dynamodb:TABLE`,
    /// `s3:BUCKET/PREFIX` or `elasticsearch:INDEX@URL`; the configured one by default. It must be empty, or contain
    /// the first part of an interrupted run of this command
    #[arg(long, value_name = "STORE")]
    to: Option<StoreUri>,
    /// The dump that `export` made; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    #[command(flatten)]
    how: TransferArgs,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// Imports a dump, or jobs of another scheduler.
///
/// # Errors
///
/// Fails if the dump is incomplete, if the store has other content or cannot be written, and if the verification finds
/// a difference.
pub(crate) async fn run(
    args: &ImportArgs,
    builder: &ServerBuilder,
    values: &Values,
) -> Result<String, CommandError> {
    if let Some(foreign) = &args.foreign {
        return foreign::run(foreign, builder, values).await;
    }
    let file = args.file.as_deref().filter(|file| file.as_os_str() != "-");
    let mut dump = DumpReader::open(file)?;
    let to = store_uri::resolve(args.to.as_ref(), values)?;
    let from = file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let (text, _) = into_store(&mut dump, &from, args.to.as_ref(), &to, &args.how, builder).await?;
    Ok(text)
}
