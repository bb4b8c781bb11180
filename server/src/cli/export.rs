//! `ecs-scheduler export`: writes the content of a store to a file.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::flags::SettingFlags;
use super::progress::Bar;
use crate::config::setting::NAME;
use crate::config::values::Values;
use crate::error::CommandError;
use crate::output::{json_text, print, print_error};
use crate::server::ServerBuilder;
use crate::transfer::copy::compute_checksum;
use crate::transfer::dump::{FORMAT, Header};
use crate::transfer::new_file::NewFile;
use crate::transfer::store_uri::{self, OpenStore, Role};
use crate::transfer::{Checksum, DumpWriter, StoreReader, StoreUri, TransferSource as _};

/// The store to export and the target file.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The store: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, `dynamodb:TABLE`, `s3:BUCKET/PREFIX` or
    /// `elasticsearch:INDEX@URL`; the configured one by default. A scheduler may be using a SQLite file, which is
    /// exported as of one moment, but no other store
    #[arg(long, value_name = "STORE")]
    from: Option<StoreUri>,
    /// New file, which must not exist; `-`, the default, is standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Print a summary as JSON; on standard error when the dump goes to standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// Writes the dump.
///
/// # Errors
///
/// Fails when the store cannot be read or is changed meanwhile, and when the file exists or cannot be written.
pub(crate) async fn run(
    args: &ExportArgs,
    builder: &ServerBuilder,
    values: &Values,
) -> Result<(), CommandError> {
    let config = store_uri::resolve(args.from.as_ref(), values)?;
    let to_file = args.file.as_os_str() != "-";
    let file = if to_file { Some(NewFile::beside(&args.file)?) } else { None };
    let opened = store_uri::open(args.from.as_ref(), &config, Role::TransferSource, builder).await?;
    let header = Header {
        format: FORMAT,
        store: opened.store.kind().to_owned(),
        name: values.text_or_default(&NAME).to_owned(),
        at: builder.clock().now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let output: Box<dyn Write + Send> = match &file {
        None => Box::new(std::io::stdout()),
        Some(file) => {
            let open = OpenOptions::new().write(true).open(file.path());
            let message = format!("could not write {}", args.file.display());
            Box::new(open.map_err(|error| CommandError::caused(message, error))?)
        }
    };
    let checksum = write_dump(&opened, &header, BufWriter::new(output)).await?;
    let name = opened.name.clone();
    opened.close().await?;
    file.map(NewFile::publish).transpose()?;
    let summary = if args.json {
        let counts = checksum.counts();
        json_text(&json!({ "from": name, "exported": counts, "sha256": checksum.sha256() }))
    } else {
        format!("exported {} from {name}\n", checksum.counts())
    };
    if to_file {
        print(&summary);
    } else {
        print_error(&summary);
    }
    Ok(())
}

/// Writes all items, and the trailer only when a second reading finds them unchanged.
async fn write_dump(
    opened: &OpenStore,
    header: &Header,
    output: impl Write,
) -> Result<Checksum, CommandError> {
    let mut reader = StoreReader::open(&*opened.store).await?;
    let bar = Bar::new("exporting", reader.expected());
    let mut writer = DumpWriter::new(output, header)?;
    while let Some(item) = reader.next().await? {
        writer.add(&item)?;
        bar.advance(1);
    }
    bar.start_phase("verifying");
    let mut again = StoreReader::open(&*opened.store).await?;
    let second = compute_checksum(&mut again, &|| bar.advance(1)).await?;
    if second.sha256() != writer.checksum().sha256() {
        return Err(crate::transfer::reader::changed_while_read(&*opened.store));
    }
    writer.finish()
}
