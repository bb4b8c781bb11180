use ecs_scheduler_core::{JobId, JobUid, LaunchToken, TaskPhase, Timestamp};
use ecs_scheduler_testing::{SimRng, sample};

use super::*;

/// A row, and the items beside it.
#[derive(Debug, Default)]
struct Stored {
    row: Attributes,
    items: HashMap<ItemKey, Attributes>,
    version: u64,
}

fn row_key() -> ItemKey {
    ItemKey::row(&JobId::new("job").unwrap(), ecs_scheduler_core::DecisionId(7))
}

impl Stored {
    fn parts(&self) -> StoredParts {
        StoredFiring::read(ItemReader::new("t", &self.row)).unwrap().parts()
    }

    fn read(&self) -> Option<Firing> {
        let reader = ItemReader::new("t", &self.row);
        let joined = StoredFiring::read(reader).unwrap().join(&row_key(), reader, &self.items);
        joined.unwrap().expect("no part is missing")
    }

    /// Writes the next version, and returns the keys of the items that it puts.
    fn write(&mut self, firing: &Firing) -> Vec<ItemKey> {
        self.version += 1;
        let encoded = EncodedFiring::new(firing, &row_key(), self.version, &self.parts()).unwrap();
        self.row = encoded.attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.row.insert("version".to_owned(), number(self.version));
        let mut put_keys = Vec::new();
        for write in encoded.parts {
            let key = write.key().clone();
            match write.into_item("t").unwrap().put {
                Some(put) => {
                    self.items.insert(key.clone(), put.item);
                    put_keys.push(key);
                }
                None => assert!(self.items.remove(&key).is_some(), "{key:?} is not there"),
            }
        }
        let mut keys = self.parts().keys(&row_key());
        assert!(keys.len() <= 85 && keys.iter().all(|key| self.items.contains_key(key)));
        keys.sort_by(|a, b| a.range.cmp(&b.range));
        keys.dedup();
        assert_eq!(keys.len(), self.items.len(), "no item is left behind");
        put_keys
    }
}

fn planned() -> Firing {
    let job = JobId::new("job").unwrap();
    sample::firing(&job, JobUid::derived("test", &job), Timestamp::UNIX_EPOCH)
}

fn add_call(firing: &mut Firing, tasks: usize) {
    let batch = u32::try_from(firing.attempts.len()).unwrap();
    let token = LaunchToken::derive("test", &firing.uid, &firing.id, batch, 1);
    let (count, sent_at) = (10, Timestamp::UNIX_EPOCH);
    firing.attempts.push(Attempt { batch, number: 1, count, token, sent_at, answer: None });
    for _ in 0..tasks {
        let id =
            TaskId::new(format!("arn:aws:ecs:eu-central-1:123456789012:task/main/{}", firing.tasks.len()));
        firing.tasks.push(TaskState::pending(id, None));
    }
}

fn with_calls(calls: usize) -> Firing {
    let mut firing = planned();
    (0..calls).for_each(|_| add_call(&mut firing, 10));
    firing
}

fn ranges(keys: &[ItemKey]) -> Vec<&str> {
    keys.iter().map(|key| key.range.as_str()).collect()
}

#[test]
fn each_move_writes_only_the_parts_that_change() {
    let mut stored = Stored::default();
    let mut firing = with_calls(110);
    let all = stored.write(&firing);
    assert_eq!(ranges(&all), ["a00", "a01", "a02", "a03", "a04", "t00", "t01", "t02", "t03", "t04"]);
    add_call(&mut firing, 10);
    assert_eq!(ranges(&stored.write(&firing)), ["a04", "t04"]);
    firing.state = ecs_scheduler_core::FiringState::Launched;
    assert_eq!(stored.write(&firing), [], "the state is in the row");
    firing.tasks[300].phase = TaskPhase::Stopped;
    assert_eq!(ranges(&stored.write(&firing)), ["t01"]);
    assert!(stored.read() == Some(firing));
}

#[test]
fn parts_of_a_list_grow_instead_of_becoming_too_many() {
    let mut stored = Stored::default();
    for calls in [1_000, 1_001, 2_500, 999] {
        let firing = with_calls(calls);
        stored.write(&firing);
        assert!(stored.read() == Some(firing), "{calls}");
    }
}

#[test]
fn part_of_another_version_is_not_joined() {
    let (mut stored, mut earlier) = (Stored::default(), Stored::default());
    let mut firing = with_calls(110);
    stored.write(&firing);
    earlier.write(&firing);
    add_call(&mut firing, 10);
    stored.write(&firing);
    let key = row_key().firing_part("t04");
    for part in [earlier.items.remove(&key), None] {
        stored.items.remove(&key);
        stored.items.extend(part.map(|part| (key.clone(), part)));
        let reader = ItemReader::new("t", &stored.row);
        let joined = StoredFiring::read(reader).unwrap().join(&row_key(), reader, &stored.items);
        assert_eq!(joined.unwrap(), None);
    }
}

#[test]
fn any_sequence_of_moves_reads_as_the_last_one() {
    for seed in 0..4 {
        let (mut rng, mut stored, mut firing) = (SimRng::new(seed), Stored::default(), planned());
        for step in 0..15 {
            let mut index = |len: usize| usize::try_from(rng.below(len as u64)).unwrap();
            match index(8) {
                0..3 => (0..index(60)).for_each(|_| add_call(&mut firing, 10)),
                3 if !firing.tasks.is_empty() => {
                    let task = index(firing.tasks.len());
                    firing.tasks[task].reason = Some(format!("step {step}"));
                }
                4 if firing.attempts.len() > 1 => {
                    let attempt = index(firing.attempts.len());
                    firing.attempts.remove(attempt);
                }
                5 => firing.note = Some(format!("step {step}")),
                6 => {
                    firing.replaces =
                        (0..index(9_000)).map(|task| TaskId::new(format!("task-{task}"))).collect()
                }
                7 => {
                    let tasks = index(firing.tasks.len() + 1);
                    firing.tasks.truncate(tasks);
                }
                _ => {}
            }
            stored.write(&firing);
            assert!(stored.read().as_ref() == Some(&firing), "seed {seed}, step {step}");
        }
    }
}
