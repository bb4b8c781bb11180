//! Every combination of policies: in the end of each story every firing has ended, and every notification that the journal asks for is
//! delivered, each once by its id.

use std::collections::HashSet;
use std::time::Duration;

use ecs_scheduler_core::notify::read_deliveries;
use ecs_scheduler_core::{Clock as _, FiringState, Notification, NotificationKind, TickOutcome};
use ecs_scheduler_testing::{ChaosPlan, Fate, Schedulers, StoreFaults};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{Event, LENGTH, Scene, Story, document, seconds, stories};
use crate::engine::notify::DeliveryFault;

/// How long something may take when there are no faults any more: the longest waits are those of an open breaker and of deliveries.
const LIMIT: i64 = 3_600;

/// One combination of policies.
#[derive(Debug, Clone, Copy)]
struct Policies {
    overlap: &'static str,
    catch_up: &'static str,
    retries: u32,
    breaker: Option<u32>,
    notify: bool,
}

impl Policies {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for overlap in ["replace", "topUp", "allow", "skip"] {
            for catch_up in ["latest", "all", "none"] {
                for (retries, breaker) in [(0, None), (2, None), (0, Some(3)), (3, Some(3))] {
                    let policies = |notify| Self { overlap, catch_up, retries, breaker, notify };
                    all.extend([false, true].map(policies));
                }
            }
        }
        all
    }
}

/// A story with these policies, in which tasks fail, do not start and succeed, and channels fail.
fn stories_of(policies: Policies, shared: bool) -> impl Strategy<Value = Story> {
    let code = prop::sample::select(&[0, 1][..]);
    let fate = prop_oneof![
        2 => Just(Fate::NeverStarts),
        1 => (seconds(&[1, 15]), code).prop_map(|(after, code)| Fate::Exits { after, code }),
    ];
    let faults = [DeliveryFault::Fails, DeliveryFault::Hangs, DeliveryFault::LosesAnswers];
    let event = prop_oneof![
        fate.prop_map(|fate| Event::Tasks { fate }),
        prop::option::of(prop::sample::select(faults.to_vec())).prop_map(|fault| Event::Channel { fault }),
    ];
    // Tasks end soon enough for the end of the story.
    let times = (seconds(&[0, 5, 75]), seconds(&[3, 20, 90]), seconds(&[86_400, 86_400, 30]));
    let more =
        (prop::collection::vec((1..LENGTH, event), 0..6), prop::sample::select(&[0.4, 1.0][..]), times);
    (stories(), more).prop_map(move |(story, (more, exit_badly, (stop, run, token_life)))| {
        let Policies { overlap, catch_up, retries, breaker, notify } = policies;
        let plan = ChaosPlan { exit_badly, stop, run, token_life, ..story.plan };
        let mut events: Vec<_> = story.events.into_iter().chain(more).collect();
        events.sort_by_key(|(second, _)| *second);
        Story { overlap, catch_up, retries, breaker, notify, shared, plan, events, ..story }
    })
}

impl Scene {
    /// Ends all faults, lets the job fail and recover, suspends it, and waits until every firing has ended and every notification is
    /// delivered.
    pub(super) async fn finish(&mut self, story: &Story, mut schedulers: Schedulers) {
        self.launcher.faults(ChaosPlan {
            run: story.plan.run,
            pending: story.plan.pending,
            stop: story.plan.stop,
            observe_every: story.plan.observe_every,
            token_life: story.plan.token_life,
            ..ChaosPlan::default()
        });
        self.recorder.set_fault("ops", None);
        schedulers.stop_one(0, Duration::from_secs(30)).await;
        self.start(&Story { store: StoreFaults::default(), ..story.clone() }, &mut schedulers).await;
        if story.notify {
            for (code, kind) in [(1, NotificationKind::Failing), (0, NotificationKind::Recovered)] {
                // At once, so that no later tick replaces them.
                self.launcher.define("work", Fate::Exits { after: Duration::ZERO, code });
                self.until_true(&format!("the channel knows that the job is {kind}"), async |scene| {
                    scene.newest_state() == Some(kind) || scene.is_suspended().await
                })
                .await;
            }
        }
        if !self.is_suspended().await {
            let mut suspended = document(story, self.caps.last().unwrap().1);
            suspended["suspended"] = true.into();
            suspended["suspension"] = json!({"reason": "the end"});
            self.world.edit("job", &suspended).await.unwrap();
            schedulers.nudge(&self.job);
        }
        // Events are gathered for two seconds, and a write of the outbox that fails is repeated after ten.
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.until_true("every firing ends and every notification is delivered", async |scene| {
            let is_told = !story.notify || scene.told(NotificationKind::Suspended).len() == 1;
            let waiting = read_deliveries(&*scene.world.store).await.unwrap().pending;
            is_told && waiting.is_empty() && scene.world.store.open_firings().await.unwrap().is_empty()
        })
        .await;
        schedulers.stop(Duration::from_secs(60)).await;
    }

    async fn until_true(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let deadline = self.world.clock.now() + SignedDuration::from_secs(LIMIT);
        while !condition(self).await {
            assert!(self.world.clock.now() < deadline, "not in {LIMIT} s: {what}");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    async fn is_suspended(&self) -> bool {
        let stored = self.world.store.get(std::slice::from_ref(&self.job)).await.unwrap().remove(0);
        let document: Value = serde_json::from_str(stored.document.get()).unwrap();
        document["suspended"] == true
    }

    /// Returns the delivered notifications, in the order of their first delivery: a receiver ignores an id that it knows.
    fn distinct(&self) -> Vec<Notification> {
        let mut known = HashSet::new();
        let delivered = self.recorder.delivered().into_iter().map(|(_, _, one)| one);
        delivered.filter(|one| known.insert(one.id.clone())).collect()
    }

    fn told(&self, kind: NotificationKind) -> Vec<Notification> {
        self.distinct().into_iter().filter(|one| one.kind == kind).collect()
    }

    /// Returns the last message of the channel about the state of the job: that it fails, or that it works again.
    fn newest_state(&self) -> Option<NotificationKind> {
        let states = [NotificationKind::Failing, NotificationKind::Recovered];
        self.distinct().iter().rev().map(|one| one.kind).find(|kind| states.contains(kind))
    }

    /// Checks that no firing is left open.
    pub(super) async fn check_ends(&self) {
        for firing in self.world.firings().await {
            assert!(!firing.state.is_open(), "{firing:#?}");
        }
    }

    /// Checks that the journal's events were reported: each series of missed ticks and each firing with an unknown result once, the
    /// suspension, and no recovery without a failure before it.
    pub(super) async fn check_notifications(&self, story: &Story) {
        if !story.notify {
            return assert_eq!(self.recorder.delivered(), []);
        }
        let decisions = self.world.decisions().await;
        let told = self.told(NotificationKind::Missed);
        for row in decisions.iter().filter(|row| row.draft.outcome == TickOutcome::Missed) {
            let span = row.draft.span;
            let of_row = told.iter().filter(|one| one.jobs[0].since == Some(span.first));
            assert_eq!(of_row.count(), 1, "{span:?} in {told:#?}");
        }
        let firings = self.world.firings().await;
        let unknown = firings.iter().filter(|firing| firing.state == FiringState::Unknown);
        let mut unknown: Vec<_> = unknown.map(|firing| firing.id.to_string()).collect();
        let told = self.told(NotificationKind::Unknown);
        let mut told: Vec<_> =
            told.iter().map(|one| one.jobs[0].firing.clone().unwrap().to_string()).collect();
        unknown.sort();
        told.sort();
        assert_eq!(told, unknown);
        assert_eq!(self.told(NotificationKind::Suspended).len(), 1);
        let mut fails = false;
        for notification in self.distinct() {
            if notification.kind == NotificationKind::Recovered {
                assert!(fails, "it recovers from nothing: {notification:#?}");
                fails = false;
            } else if notification.kind == NotificationKind::Failing {
                fails = true;
            }
        }
    }
}

/// Does the same, then lets all firings end and all notifications be delivered.
fn tell_to_the_end(story: &Story) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut scene = Scene::set(story).await;
        let schedulers = scene.play(story).await;
        scene.finish(story, schedulers).await;
        scene.check(story).await;
        scene.check_ends().await;
        scene.check_notifications(story).await;
    });
}

/// Tells a story of each of these combinations.
fn tell_of_each(combinations: impl IntoIterator<Item = Policies>, shared: bool) {
    for policies in combinations {
        let config = ProptestConfig { cases: 1, failure_persistence: None, ..ProptestConfig::default() };
        let told = TestRunner::new(config).run(&stories_of(policies, shared), |story| {
            tell_to_the_end(&story);
            Ok(())
        });
        told.unwrap_or_else(|error| panic!("{policies:?}: {error}"));
    }
}

#[test]
fn every_combination_of_policies_loses_and_doubles_nothing() {
    tell_of_each(Policies::all(), false);
}

#[test]
fn every_combination_of_policies_loses_and_doubles_nothing_whichever_of_two_replicas_falls() {
    tell_of_each(Policies::all(), true);
}
