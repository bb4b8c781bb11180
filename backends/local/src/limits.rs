//! Limits of launch calls.

use std::num::NonZeroU32;
use std::time::Duration;

/// Maximum number of tasks that one call starts, as on ECS.
pub(crate) const MAX_TASKS_PER_CALL: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// How long a token is valid after its first use.
pub(crate) const TOKEN_TTL: Duration = Duration::from_hours(24);
