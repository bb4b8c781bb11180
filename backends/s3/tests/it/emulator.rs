//! Emulators of S3: moto for everything, ministack as a second opinion.

use ecs_scheduler_test_support::{Emulator, EmulatorKind};
use tokio::sync::OnceCell;

/// Returns the address of moto, which all tests of a run share. Each test uses a bucket of its own.
pub(crate) async fn moto() -> &'static str {
    static MOTO: OnceCell<Emulator> = OnceCell::const_new();
    MOTO.get_or_init(|| Emulator::shared(EmulatorKind::Moto)).await.address()
}

/// Returns the address of ministack.
pub(crate) async fn ministack() -> &'static str {
    static MINISTACK: OnceCell<Emulator> = OnceCell::const_new();
    MINISTACK.get_or_init(|| Emulator::shared(EmulatorKind::Ministack)).await.address()
}
