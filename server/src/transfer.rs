//! Transfers the content of a store: to a dump, from a dump, to another store.
//!
//! ```text
//!   store ──StoreReader──▶ items ──▶ DumpWriter ──▶ file ──DumpReader──▶ items ──▶ copy_items() ──adopt──▶ store
//!                            └──────────────────────────────────────────────────────────▲
//! ```
//!
//! An [`TransferItem`] is a job, an entry of the journal or a register, and has one line of text wherever it comes
//! from. Two stores have the same content exactly if they give the same lines. So the same lines are the dump, show
//! where an interrupted transfer continues, and are compared at the end.

pub mod checksum;
pub mod copy;
pub mod dump;
pub mod new_file;
pub mod reader;
pub mod record;
pub mod store_uri;

pub use checksum::Checksum;
pub use copy::{TransferReport, copy_items};
pub use dump::{DumpReader, DumpWriter};
pub use reader::{StoreReader, TransferSource};
pub use record::TransferItem;
pub use store_uri::StoreUri;
