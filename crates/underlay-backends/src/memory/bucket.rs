//! Buckets inside the process, for tests: what a bucket on disk does, without the disk.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use sha2::{Digest as _, Sha256};

use crate::{
    Result,
    bucket::{Bucket, ByteStream, GetOptions, ListOptions, Object, PutOptions, SignedMethod},
    memory::PROVIDER,
    object_history::{Checks, History, Version},
    object_url::{self, BucketOptions},
};

/// How many bytes of an object come in one piece.
const PIECE: usize = 256 << 10;

#[derive(Default)]
struct Entry {
    history: History,
    /// By version.
    bytes: HashMap<String, Bytes>,
}

/// A bucket inside the process, which forgets everything when it is dropped.
pub struct MemoryBucket {
    checks: Checks,
    options: BucketOptions,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl MemoryBucket {
    /// An empty bucket.
    pub fn new(name: impl Into<String>, options: BucketOptions) -> Self {
        let checks = Checks {
            provider: PROVIDER,
            bucket: name.into(),
        };
        Self {
            checks,
            options,
            entries: Mutex::default(),
        }
    }

    /// A panic under the lock would be a defect of ours; the map stays usable, so it is not spread to every caller.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, name: &str, version: Option<&str>) -> Result<(Version, Bytes)> {
        self.checks.name(name)?;
        self.checks.version(version, self.options.versioned)?;
        let entries = self.lock();
        let found = entries.get(name).and_then(|entry| {
            let version = entry.history.find(version)?;
            Some((version.clone(), entry.bytes.get(&version.id)?.clone()))
        });
        found.ok_or_else(|| self.checks.missing(name, version))
    }

    fn write(&self, name: &str, bytes: Bytes, options: &PutOptions) -> Result<Object> {
        let etag = hex::encode(&Sha256::digest(&bytes)[..16]);
        let version = Version::new(bytes.len() as u64, etag, options.content_type.clone());
        let object = version.object(name, self.options.versioned);
        let mut entries = self.lock();
        let current = entries.get(name).and_then(|entry| entry.history.find(None));
        self.checks
            .precondition(name, options.precondition.as_ref(), current)?;
        let entry = entries.entry(name.to_owned()).or_default();
        entry.bytes.insert(version.id.clone(), bytes);
        if let Some(replaced) = entry.history.put(version, self.options.versioned) {
            entry.bytes.remove(&replaced.id);
        }
        Ok(object)
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    async fn put(&self, name: &str, mut body: ByteStream, options: PutOptions) -> Result<Object> {
        self.checks.name(name)?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        self.write(name, bytes.freeze(), &options)
    }

    async fn get(&self, name: &str, options: GetOptions) -> Result<(Object, ByteStream)> {
        let (version, bytes) = self.read(name, options.version.as_deref())?;
        let range = self.checks.range(name, options.range, version.size)?;
        let cut = |index: u64| usize::try_from(index).unwrap_or(bytes.len());
        let mut bytes = bytes.slice(cut(range.start)..cut(range.end));
        let pieces = std::iter::from_fn(move || {
            (!bytes.is_empty()).then(|| Ok(bytes.split_to(bytes.len().min(PIECE))))
        });
        Ok((
            version.object(name, self.options.versioned),
            stream::iter(pieces).boxed(),
        ))
    }

    async fn head(&self, name: &str, version: Option<&str>) -> Result<Object> {
        let (version, _) = self.read(name, version)?;
        Ok(version.object(name, self.options.versioned))
    }

    async fn list(&self, options: ListOptions) -> Result<BoxStream<'static, Result<Object>>> {
        let after = options.start_after.filter(|name| *name >= options.prefix);
        let start = match after {
            Some(name) => Bound::Excluded(name),
            None => Bound::Included(options.prefix.clone()),
        };
        let entries = self.lock();
        let objects: Vec<Result<Object>> = entries
            .range((start, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(&options.prefix))
            .filter_map(|(name, entry)| {
                Some(Ok(entry
                    .history
                    .find(None)?
                    .object(name, self.options.versioned)))
            })
            .take(options.limit.unwrap_or(usize::MAX))
            .collect();
        Ok(stream::iter(objects).boxed())
    }

    async fn delete(&self, name: &str, version: Option<&str>) -> Result<()> {
        self.checks.name(name)?;
        self.checks.version(version, self.options.versioned)?;
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(name) {
            if let Some(removed) = entry.history.delete(version, self.options.versioned) {
                entry.bytes.remove(&removed.id);
            }
            if entry.history.is_empty() {
                entries.remove(name);
            }
        }
        Ok(())
    }

    async fn copy(&self, from: &str, to: &str) -> Result<Object> {
        self.checks.name(to)?;
        let (version, bytes) = self.read(from, None)?;
        let options = PutOptions {
            content_type: version.content_type,
            precondition: None,
        };
        self.write(to, bytes, &options)
    }

    async fn sign(&self, name: &str, method: SignedMethod, expires_in: Duration) -> Result<String> {
        self.checks.name(name)?;
        object_url::sign(
            PROVIDER,
            &self.checks.bucket,
            &self.options,
            name,
            method,
            expires_in,
        )
    }

    fn public_url(&self, name: &str) -> Result<String> {
        self.checks.name(name)?;
        object_url::public_url(PROVIDER, &self.checks.bucket, &self.options, name)
    }
}
