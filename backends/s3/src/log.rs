//! The log: objects in a folder of their own.

use ecs_scheduler_backend_segments::{Created, Log};
use ecs_scheduler_core::{StoreError, async_trait};

use crate::bucket::{Bucket, Condition, Outcome};

/// The log's folder.
#[derive(Debug)]
pub(crate) struct S3Log {
    pub(crate) bucket: Bucket,
    /// What the keys begin with.
    pub(crate) folder: String,
}

impl S3Log {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

#[async_trait]
impl Log for S3Log {
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Created, StoreError> {
        match self.bucket.put(&self.key(name), bytes, Condition::Absent).await? {
            Outcome::Done(_) => Ok(Created::New),
            Outcome::Refused => Ok(Created::Exists),
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
