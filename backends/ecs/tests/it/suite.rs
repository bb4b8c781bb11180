//! The conformance suite of launchers.

use std::sync::Arc;

use ecs_scheduler_core::{Clock, Launcher, SystemClock, async_trait};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, TaskLifecycle};
use ecs_scheduler_testing::launcher_suite::{LauncherFixture, Sample};
use jiff::SignedDuration;
use tokio::sync::OnceCell;

use crate::help::{launcher, register};

/// A fake whose tasks come and go within moments.
struct Ecs(OnceCell<Fake>);

impl Ecs {
    const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    async fn fake() -> Fake {
        let fake = Fake::start(FakeOptions::default()).await.expect("a port is free");
        fake.ecs().create_cluster("batch");
        let moment = SignedDuration::from_millis(30);
        let brief = TaskLifecycle {
            provisioning: moment,
            pending: moment,
            run: Some(moment),
            ..TaskLifecycle::default()
        };
        let lives = [
            ("succeeds", brief.clone()),
            ("fails", TaskLifecycle { exit_codes: [("main".to_owned(), 3)].into(), ..brief.clone() }),
            ("lasts", TaskLifecycle { run: None, ..brief.clone() }),
            (
                "unstartable",
                TaskLifecycle {
                    fails_to_start: Some("CannotPullContainerError: no such image".to_owned()),
                    ..brief
                },
            ),
        ];
        for (family, life) in lives {
            register(&fake, family);
            fake.configure(|settings| {
                settings.ecs.definition_lives.insert(family.to_owned(), life);
            });
        }
        fake
    }
}

#[async_trait]
impl LauncherFixture for Ecs {
    async fn open(&self) -> Arc<dyn Launcher> {
        let fake = self.0.get_or_init(Self::fake).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Arc::new(launcher(&fake.url(), "launcher-suite", clock))
    }

    fn definition(&self, sample: Sample) -> String {
        format!("{sample:?}").to_lowercase()
    }
}

ecs_scheduler_testing::launcher_suite!(
    #[tokio::test]
    Ecs::new()
);
