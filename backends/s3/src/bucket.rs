//! The calls to a bucket, with their retries.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{Backoff, FaultKind};

use crate::error::{NOT_IMPLEMENTED, condition_failed, is_status, is_write_race, to_fault};

/// The maximum number of keys of one DeleteObjects call.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
const MAX_DELETED_KEYS: usize = 1_000;

/// The region that must not be named when a bucket is created.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
const DEFAULT_REGION: &str = "us-east-1";

/// The delays between the attempts at a call that may be repeated, of which there are four. The SDK makes 3 requests for
/// each.
const CALL_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_millis(400)).with_max_attempts(4);

/// A bucket and its client.
#[derive(Debug, Clone)]
pub(crate) struct S3Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) region: String,
}

/// The precondition of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Precondition<'a> {
    /// The key has no object.
    Absent,
    /// The object has this entity tag.
    Tag(&'a str),
}

/// The result of a conditional write.
#[derive(Debug)]
pub(crate) enum WriteResult {
    /// The write is durable; the entity tag of the new object, empty after a removal.
    Done(String),
    /// The precondition did not hold.
    Refused,
}

/// The content of an object, with its entity tag.
pub(crate) type Object = (Vec<u8>, String);

impl S3Bucket {
    /// Reads an object, if it exists.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Object>, Fault> {
        retry(|| self.try_get(key)).await
    }

    async fn try_get(&self, key: &str) -> Result<Option<Object>, Fault> {
        let attempted = format!("could not read \"{key}\" in bucket \"{}\"", self.name);
        let answer = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            Err(error) => return Err(to_fault(error, &attempted, "s3:GetObject and s3:ListBucket")),
        };
        let tag = answer.e_tag.unwrap_or_default();
        let body = answer.body.collect().await.map_err(|error| {
            Fault::new(FaultKind::Unavailable, format!("{attempted}: the answer was cut off"))
                .with_source(error)
        })?;
        Ok(Some((body.to_vec(), tag)))
    }

    /// Writes an object if the precondition holds. Transient failures are retried only by the SDK, because the store
    /// distinguishes a lost answer from a failure.
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        condition: Precondition<'_>,
    ) -> Result<WriteResult, Fault> {
        let attempted = format!("could not write \"{key}\" in bucket \"{}\"", self.name);
        let mut backoff = CALL_BACKOFF;
        loop {
            let body = ByteStream::from(bytes.clone());
            let call = self.client.put_object().bucket(&self.name).key(key).body(body);
            let call = match condition {
                Precondition::Absent => call.if_none_match("*"),
                Precondition::Tag(tag) => call.if_match(tag),
            };
            match call.send().await {
                Ok(answer) => return Ok(WriteResult::Done(answer.e_tag.unwrap_or_default())),
                Err(error) if condition_failed(&error) => return Ok(WriteResult::Refused),
                Err(error) if is_write_race(&error) => {
                    if !backoff.wait().await {
                        return Err(race_error(&attempted));
                    }
                }
                Err(error) => return Err(to_fault(error, &attempted, "s3:PutObject")),
            }
        }
    }

    /// Removes an object if it has this entity tag. An object that does not exist counts as removed. Where the server
    /// does not support conditional removals, the tag is read and compared first.
    pub(crate) async fn delete(&self, key: &str, tag: &str) -> Result<WriteResult, Fault> {
        let attempted = format!("could not remove \"{key}\" in bucket \"{}\"", self.name);
        let mut backoff = CALL_BACKOFF;
        loop {
            let call = self.client.delete_object().bucket(&self.name).key(key).if_match(tag);
            match call.send().await {
                Ok(_) => return Ok(WriteResult::Done(String::new())),
                Err(error) if is_status(&error, 404) => return Ok(WriteResult::Done(String::new())),
                Err(error) if condition_failed(&error) => return Ok(WriteResult::Refused),
                Err(error) if is_write_race(&error) => {
                    if !backoff.wait().await {
                        return Err(race_error(&attempted));
                    }
                }
                Err(error) if is_status(&error, NOT_IMPLEMENTED) => {
                    return self.check_and_delete(key, tag).await;
                }
                Err(error) => return Err(to_fault(error, &attempted, "s3:DeleteObject")),
            }
        }
    }

    /// Reads an object, and removes it if it has this entity tag.
    async fn check_and_delete(&self, key: &str, tag: &str) -> Result<WriteResult, Fault> {
        match self.get(key).await? {
            None => Ok(WriteResult::Done(String::new())),
            Some((_, found)) if found != tag => Ok(WriteResult::Refused),
            Some(_) => self.delete_all(&[key.to_owned()]).await.map(|()| WriteResult::Done(String::new())),
        }
    }

    /// Removes objects unconditionally. An object that does not exist is not an error.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> Result<(), Fault> {
        for keys in keys.chunks(MAX_DELETED_KEYS) {
            retry(|| self.delete_batch(keys)).await?;
        }
        Ok(())
    }

    async fn delete_batch(&self, keys: &[String]) -> Result<(), Fault> {
        let attempted = format!("could not remove {} objects in bucket \"{}\"", keys.len(), self.name);
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<Result<Vec<_>, _>>();
        let delete =
            objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let delete = delete.expect("objects have keys, and there are some");
        let answer = self.client.delete_objects().bucket(&self.name).delete(delete).send().await;
        let answer = answer.map_err(|error| to_fault(error, &attempted, "s3:DeleteObject"))?;
        let Some(error) = answer.errors().first() else { return Ok(()) };
        let (code, key) = (error.code().unwrap_or("no code"), error.key().unwrap_or_default());
        let words = format!("{code} (\"{key}\"): {}", error.message().unwrap_or("no explanation"));
        if code == "AccessDenied" {
            let remedy = "allow s3:DeleteObject in the policy of the scheduler's role";
            return Err(Fault::new(FaultKind::Denied, format!("{attempted}; {remedy}")).with_source(words));
        }
        Err(Fault::new(FaultKind::Unavailable, attempted).with_source(words))
    }

    /// Lists all keys that start with `prefix` and are greater than `after`, ascending, with their entity tags. Keys
    /// with a slash after the prefix are skipped.
    pub(crate) async fn list(&self, prefix: &str, after: &str) -> Result<Vec<(String, String)>, Fault> {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let list_page = retry(|| self.list_page(prefix, after, token.clone())).await?;
            found.extend(list_page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let key = object.key.filter(|key| key.as_str() > after)?;
                Some((key, object.e_tag.unwrap_or_default()))
            }));
            token = list_page.next_continuation_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        token: Option<String>,
    ) -> Result<ListObjectsV2Output, Fault> {
        let call = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
        let call = if after.is_empty() { call } else { call.start_after(after) };
        call.set_continuation_token(token).send().await.map_err(|error| {
            let attempted = format!("could not list \"{prefix}\" in bucket \"{}\"", self.name);
            to_fault(error, &attempted, "s3:ListBucket")
        })
    }

    /// Creates the bucket if it does not exist; returns whether it created it.
    pub(crate) async fn ensure_exists(&self) -> Result<bool, Fault> {
        if retry(|| self.exists()).await? { Ok(false) } else { self.create().await.map(|()| true) }
    }

    async fn exists(&self) -> Result<bool, Fault> {
        match self.client.list_objects_v2().bucket(&self.name).max_keys(1).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(ListObjectsV2Error::is_no_such_bucket) => {
                Ok(false)
            }
            Err(error) => {
                let attempted = format!("could not list bucket \"{}\"", self.name);
                Err(to_fault(error, &attempted, "s3:ListBucket"))
            }
        }
    }

    async fn create(&self) -> Result<(), Fault> {
        let configuration = (self.region != DEFAULT_REGION).then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let call =
            self.client.create_bucket().bucket(&self.name).set_create_bucket_configuration(configuration);
        match call.send().await {
            Ok(_) => Ok(()),
            // An earlier attempt has created it, and its answer was lost.
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
                Err(to_fault(error, &attempted, "s3:CreateBucket"))
            }
        }
    }
}

fn race_error(attempted: &str) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("{attempted}: other writers kept changing it"))
}

/// Makes a call, and repeats it after a transient fault.
async fn retry<T, F: Future<Output = Result<T, Fault>>>(call: impl Fn() -> F) -> Result<T, Fault> {
    let mut backoff = CALL_BACKOFF;
    loop {
        let answer = call().await;
        let is_passing = answer.as_ref().is_err_and(|fault| fault.kind().is_transient());
        if !is_passing || !backoff.wait().await {
            return answer;
        }
    }
}
