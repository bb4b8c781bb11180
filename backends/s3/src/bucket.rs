//! A bucket: the few calls that the store makes of it.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::FaultKind;

use crate::error::{condition_failed, fault, is_race, is_status};

/// The most keys of one DeleteObjects call.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
const DELETED_AT_ONCE: usize = 1_000;

/// The region that is not named when a bucket is created.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
const UNNAMED: &str = "us-east-1";

/// Attempts at a call that may be repeated, beyond those that the SDK makes by itself: 3 each.
const ATTEMPTS: u32 = 4;

/// The wait before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The status of an answer of a server that does not know what a header asks for.
pub(crate) const NOT_IMPLEMENTED: u16 = 501;

/// A bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) region: String,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition<'a> {
    /// There is no object of this key.
    Absent,
    /// The object has this entity tag.
    Tag(&'a str),
}

/// What came of a conditional write.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It happened; the entity tag of what is there now, where there is something.
    Done(String),
    /// The condition did not hold.
    Refused,
}

/// An object as it was read, with its entity tag.
pub(crate) type Object = (Vec<u8>, String);

impl Bucket {
    /// Reads an object, if there is one.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Object>, Fault> {
        let mut attempts = Attempts::default();
        loop {
            match self.get_once(key).await {
                Err(fault) if attempts.may_repeat(&fault) => attempts.pause().await,
                answer => return answer,
            }
        }
    }

    async fn get_once(&self, key: &str) -> Result<Option<Object>, Fault> {
        let attempted = format!("could not read \"{key}\" in bucket \"{}\"", self.name);
        let answer = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            Err(error) => return Err(fault(error, &attempted, "s3:GetObject and s3:ListBucket")),
        };
        let tag = answer.e_tag.unwrap_or_default();
        let body = answer.body.collect().await.map_err(|error| {
            Fault::new(FaultKind::Unavailable, format!("{attempted}: the answer was cut off")).because(error)
        })?;
        Ok(Some((body.to_vec(), tag)))
    }

    /// Writes an object if the condition holds. One that fails for a reason that passes is not made again here, beyond what
    /// the SDK does: the store tells a lost answer from a failure.
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
    ) -> Result<Outcome, Fault> {
        let attempted = format!("could not write \"{key}\" in bucket \"{}\"", self.name);
        let mut attempts = Attempts::default();
        loop {
            let body = ByteStream::from(bytes.clone());
            let call = self.client.put_object().bucket(&self.name).key(key).body(body);
            let call = match condition {
                Condition::Absent => call.if_none_match("*"),
                Condition::Tag(tag) => call.if_match(tag),
            };
            match call.send().await {
                Ok(answer) => return Ok(Outcome::Done(answer.e_tag.unwrap_or_default())),
                Err(error) if condition_failed(&error) => return Ok(Outcome::Refused),
                Err(error) if is_race(&error) && attempts.are_left() => attempts.pause().await,
                Err(error) if is_race(&error) => return Err(racing(&attempted)),
                Err(error) => return Err(fault(error, &attempted, "s3:PutObject")),
            }
        }
    }

    /// Removes an object if it has this entity tag; one that is gone already counts as removed. A server that knows no conditional
    /// removal is asked for the tag first.
    pub(crate) async fn delete(&self, key: &str, tag: &str) -> Result<Outcome, Fault> {
        let attempted = format!("could not remove \"{key}\" in bucket \"{}\"", self.name);
        let mut attempts = Attempts::default();
        loop {
            let call = self.client.delete_object().bucket(&self.name).key(key).if_match(tag);
            match call.send().await {
                Ok(_) => return Ok(Outcome::Done(String::new())),
                Err(error) if is_status(&error, 404) => return Ok(Outcome::Done(String::new())),
                Err(error) if condition_failed(&error) => return Ok(Outcome::Refused),
                Err(error) if is_race(&error) && attempts.are_left() => attempts.pause().await,
                Err(error) if is_race(&error) => return Err(racing(&attempted)),
                Err(error) if is_status(&error, NOT_IMPLEMENTED) => {
                    return self.look_and_delete(key, tag).await;
                }
                Err(error) => return Err(fault(error, &attempted, "s3:DeleteObject")),
            }
        }
    }

    /// Removes an object that has this entity tag when it is read.
    async fn look_and_delete(&self, key: &str, tag: &str) -> Result<Outcome, Fault> {
        match self.get(key).await? {
            None => Ok(Outcome::Done(String::new())),
            Some((_, found)) if found != tag => Ok(Outcome::Refused),
            Some(_) => self.delete_all(&[key.to_owned()]).await.map(|()| Outcome::Done(String::new())),
        }
    }

    /// Removes objects, whatever they hold; those that are gone already are no error.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> Result<(), Fault> {
        for keys in keys.chunks(DELETED_AT_ONCE) {
            let mut attempts = Attempts::default();
            loop {
                match self.delete_some(keys).await {
                    Err(fault) if attempts.may_repeat(&fault) => attempts.pause().await,
                    Err(fault) => return Err(fault),
                    Ok(()) => break,
                }
            }
        }
        Ok(())
    }

    async fn delete_some(&self, keys: &[String]) -> Result<(), Fault> {
        let attempted = format!("could not remove {} objects in bucket \"{}\"", keys.len(), self.name);
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<Result<Vec<_>, _>>();
        let delete =
            objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let delete = delete.expect("objects have keys, and there are some");
        let answer = self.client.delete_objects().bucket(&self.name).delete(delete).send().await;
        let answer = answer.map_err(|error| fault(error, &attempted, "s3:DeleteObject"))?;
        let Some(error) = answer.errors().first() else { return Ok(()) };
        let (code, key) = (error.code().unwrap_or("no code"), error.key().unwrap_or_default());
        let words = format!("{code} (\"{key}\"): {}", error.message().unwrap_or("no explanation"));
        if code == "AccessDenied" {
            let remedy = "allow s3:DeleteObject in the policy of the scheduler's role";
            return Err(Fault::new(FaultKind::Denied, format!("{attempted}; {remedy}")).because(words));
        }
        Err(Fault::new(FaultKind::Unavailable, attempted).because(words))
    }

    /// Lists keys that begin with `prefix` and are greater than `after`, ascending, with their entity tags, all pages; without
    /// those that have a slash behind the prefix.
    pub(crate) async fn list(&self, prefix: &str, after: &str) -> Result<Vec<(String, String)>, Fault> {
        let (mut found, mut token, mut attempts) = (Vec::new(), None, Attempts::default());
        loop {
            let page = match self.page(prefix, after, token.clone()).await {
                Ok(page) => page,
                Err(fault) if attempts.may_repeat(&fault) => {
                    attempts.pause().await;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            found.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let key = object.key.filter(|key| key.as_str() > after)?;
                Some((key, object.e_tag.unwrap_or_default()))
            }));
            (token, attempts) = (page.next_continuation_token, Attempts::default());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn page(
        &self,
        prefix: &str,
        after: &str,
        token: Option<String>,
    ) -> Result<ListObjectsV2Output, Fault> {
        let call = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
        let call = if after.is_empty() { call } else { call.start_after(after) };
        call.set_continuation_token(token).send().await.map_err(|error| {
            let attempted = format!("could not list \"{prefix}\" in bucket \"{}\"", self.name);
            fault(error, &attempted, "s3:ListBucket")
        })
    }

    /// Creates the bucket if there is none; tells whether it did.
    pub(crate) async fn ensure(&self) -> Result<bool, Fault> {
        let mut attempts = Attempts::default();
        loop {
            match self.is_there().await {
                Ok(true) => return Ok(false),
                Ok(false) => return self.create().await.map(|()| true),
                Err(fault) if attempts.may_repeat(&fault) => attempts.pause().await,
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn is_there(&self) -> Result<bool, Fault> {
        match self.client.list_objects_v2().bucket(&self.name).max_keys(1).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(ListObjectsV2Error::is_no_such_bucket) => {
                Ok(false)
            }
            Err(error) => {
                let attempted = format!("could not look into bucket \"{}\"", self.name);
                Err(fault(error, &attempted, "s3:ListBucket"))
            }
        }
    }

    async fn create(&self) -> Result<(), Fault> {
        let place = (self.region != UNNAMED).then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let call = self.client.create_bucket().bucket(&self.name).set_create_bucket_configuration(place);
        match call.send().await {
            Ok(_) => Ok(()),
            // The answer to an attempt before this one was lost.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateBucketError::is_bucket_already_owned_by_you) =>
            {
                Ok(())
            }
            Err(error) => {
                let attempted =
                    format!("could not create the missing bucket \"{}\" in {}", self.name, self.region);
                Err(fault(error, &attempted, "s3:CreateBucket"))
            }
        }
    }
}

fn racing(attempted: &str) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("{attempted}: others keep writing it"))
}

/// Attempts at one call, with longer and longer waits between them.
#[derive(Debug)]
struct Attempts {
    left: u32,
    wait: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { left: ATTEMPTS - 1, wait: PAUSE }
    }
}

impl Attempts {
    fn are_left(&self) -> bool {
        self.left > 0
    }

    /// Tells whether a call that may be repeated is made again after this fault.
    fn may_repeat(&self, fault: &Fault) -> bool {
        fault.kind().is_transient() && self.are_left()
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.wait).await;
        self.left -= 1;
        self.wait *= 2;
    }
}
