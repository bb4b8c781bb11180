//! The storage of the log: objects in a folder of the bucket.

use ecs_scheduler_backend_log_store::{CreateResult, ObjectLog};
use ecs_scheduler_core::{StoreError, async_trait};

use crate::bucket::{Precondition, S3Bucket, WriteResult};

/// The log's folder in a bucket.
#[derive(Debug)]
pub(crate) struct S3Log {
    pub(crate) bucket: S3Bucket,
    /// The prefix of the keys.
    pub(crate) folder: String,
}

impl S3Log {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

#[async_trait]
impl ObjectLog for S3Log {
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<CreateResult, StoreError> {
        match self.bucket.put(&self.key(name), bytes, Precondition::Absent).await? {
            WriteResult::Done(_) => Ok(CreateResult::Created),
            WriteResult::Refused => Ok(CreateResult::Exists),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.bucket.get(&self.key(name)).await?.map(|(bytes, _)| bytes))
    }

    async fn names(&self, after: &str) -> Result<Vec<String>, StoreError> {
        let listed = self.bucket.list(&self.folder, &self.key(after)).await?;
        let name = |(key, _): (String, String)| key.strip_prefix(&self.folder).map(str::to_owned);
        Ok(listed.into_iter().filter_map(name).collect())
    }

    async fn remove(&self, names: &[String]) -> Result<(), StoreError> {
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        Ok(self.bucket.delete_all(&keys).await?)
    }
}
