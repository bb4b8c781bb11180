use std::io::{self, ErrorKind};

use ecs_scheduler_core::{FaultKind, LaunchError, StoreError};

use super::CommandError;

#[test]
fn error_with_a_refused_path_among_its_causes_is_one_of_the_configuration() {
    let code = |error: &CommandError| match error {
        CommandError::Config(_) => 3,
        CommandError::Failed { .. } => 1,
        CommandError::Unreachable { .. } | CommandError::Refused { .. } => 0,
    };
    for (kind, expected) in [
        (ErrorKind::PermissionDenied, 3),
        (ErrorKind::ReadOnlyFilesystem, 3),
        (ErrorKind::NotADirectory, 3),
        (ErrorKind::IsADirectory, 3),
        (ErrorKind::InvalidFilename, 3),
        (ErrorKind::NotFound, 1),
        (ErrorKind::StorageFull, 1),
        (ErrorKind::WouldBlock, 1),
    ] {
        let launcher = LaunchError::new(FaultKind::Config, "no folder").with_source(io::Error::from(kind));
        let store = StoreError::with_source(FaultKind::Unavailable, "no file", io::Error::from(kind));
        let errors = [
            CommandError::opening("could not open", io::Error::from(kind)),
            CommandError::opening("could not open", launcher),
            CommandError::opening("could not open", store),
        ];
        for error in errors {
            assert_eq!(code(&error), expected, "{kind:?}");
            let lines = error.lines().join("\n");
            assert!(lines.starts_with("could not open: ") && lines.ends_with(&kind.to_string()), "{lines}");
        }
    }
}
