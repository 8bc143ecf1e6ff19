//! A bucket on disk as a [`Bucket`]: streams to files and back.
//!
//! How the files lie and change is in `directory.rs`.

use std::{
    collections::VecDeque,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};

use crate::{
    ErrorKind, Result,
    bucket::{Bucket, ByteStream, GetOptions, ListOptions, Object, PutOptions, SignedMethod},
    disk::{PROVIDER, blocking, directory::Directory},
    object_url::{self, BucketOptions},
};

/// How many bytes are read at once.
const READ: usize = 256 << 10;
/// How many bytes are gathered before they are written.
const WRITE: usize = 1 << 20;
/// How many objects of a list are read at once.
const LIST: usize = 64;

pub(super) struct DiskBucket {
    name: String,
    directory: Arc<Directory>,
    options: BucketOptions,
}

impl DiskBucket {
    pub(super) fn new(name: String, directory: Arc<Directory>, options: BucketOptions) -> Self {
        Self {
            name,
            directory,
            options,
        }
    }

    /// The name in the store.
    fn stored(&self, name: &str) -> Result<String> {
        self.directory.checks.name(name)?;
        Ok(format!("{}{name}", self.options.key_prefix))
    }

    /// Runs file operations of the directory.
    async fn files<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let directory = Arc::clone(&self.directory);
        blocking(&self.name, move || work(&directory)).await
    }

    /// The object under the name that callers know.
    fn named(object: Object, name: &str) -> Object {
        Object {
            name: name.to_owned(),
            ..object
        }
    }
}

#[async_trait]
impl Bucket for DiskBucket {
    async fn put(&self, name: &str, mut body: ByteStream, options: PutOptions) -> Result<Object> {
        let stored = self.stored(name)?;
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        let mut upload = None;
        while let Some(piece) = body.try_next().await? {
            gathered += piece.len();
            pieces.push(piece);
            if gathered >= WRITE {
                let full = std::mem::take(&mut pieces);
                gathered = 0;
                upload = Some(
                    self.files(move |directory| {
                        let mut upload = upload.map_or_else(|| directory.upload(), Ok)?;
                        full.iter()
                            .try_for_each(|piece| directory.write(&mut upload, piece))?;
                        Ok(upload)
                    })
                    .await?,
                );
            }
        }
        let finish = move |directory: &Directory| {
            let mut upload = upload.map_or_else(|| directory.upload(), Ok)?;
            pieces
                .iter()
                .try_for_each(|piece| directory.write(&mut upload, piece))?;
            directory.finish(upload, &stored, &options)
        };
        let object = self.files(finish).await?;
        Ok(Self::named(object, name))
    }

    async fn get(&self, name: &str, options: GetOptions) -> Result<(Object, ByteStream)> {
        let stored = self.stored(name)?;
        self.directory
            .checks
            .version(options.version.as_deref(), self.options.versioned)?;
        let (version, range, file) = self
            .files(move |directory| {
                let (version, mut file) =
                    directory.open_object(&stored, options.version.as_deref())?;
                let range = directory
                    .checks
                    .range(&stored, options.range, version.size)?;
                file.seek(SeekFrom::Start(range.start)).map_err(|error| {
                    let text = format!("get object `{stored}`: {error}");
                    directory
                        .checks
                        .error(ErrorKind::Other, text)
                        .with_source(error)
                })?;
                Ok((version, range, file))
            })
            .await?;
        let object = version.object(name, self.options.versioned);
        let state = (Arc::clone(&self.directory), file, range.end - range.start);
        let pieces = stream::try_unfold(state, |(directory, file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let bucket = directory.checks.bucket.clone();
            blocking(&bucket, move || {
                let (piece, file) = read_piece(&directory, file, left)?;
                let left = left - piece.len() as u64;
                Ok(Some((piece, (directory, file, left))))
            })
            .await
        });
        Ok((object, pieces.boxed()))
    }

    async fn head(&self, name: &str, version: Option<&str>) -> Result<Object> {
        let stored = self.stored(name)?;
        self.directory
            .checks
            .version(version, self.options.versioned)?;
        let version = version.map(str::to_owned);
        let version = self
            .files(move |directory| directory.head(&stored, version.as_deref()))
            .await?;
        Ok(version.object(name, self.options.versioned))
    }

    async fn list(&self, options: ListOptions) -> Result<BoxStream<'static, Result<Object>>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        let prefix = self.options.key_prefix.clone();
        let names = self
            .files(move |directory| directory.names(&prefix, &options))
            .await?;
        let state = Listing {
            directory: Arc::clone(&self.directory),
            names: names.into_iter(),
            read: VecDeque::new(),
            prefix_len: self.options.key_prefix.len(),
            versioned: self.options.versioned,
        };
        let objects = stream::try_unfold(state, |state| async move {
            let bucket = state.directory.checks.bucket.clone();
            let mut state = state;
            if state.read.is_empty() {
                state = blocking(&bucket, move || state.read_on()).await?;
            }
            Ok(state.read.pop_front().map(|object| (object, state)))
        });
        Ok(objects.take(limit).boxed())
    }

    async fn delete(&self, name: &str, version: Option<&str>) -> Result<()> {
        let stored = self.stored(name)?;
        self.directory
            .checks
            .version(version, self.options.versioned)?;
        let version = version.map(str::to_owned);
        self.files(move |directory| directory.delete(&stored, version.as_deref()))
            .await
    }

    async fn copy(&self, from: &str, to: &str) -> Result<Object> {
        let (source, target) = (self.stored(from)?, self.stored(to)?);
        let object = self
            .files(move |directory| directory.copy(&source, &target))
            .await?;
        Ok(Self::named(object, to))
    }

    async fn sign(&self, name: &str, method: SignedMethod, expires_in: Duration) -> Result<String> {
        self.directory.checks.name(name)?;
        object_url::sign(
            PROVIDER,
            &self.name,
            &self.options,
            name,
            method,
            expires_in,
        )
    }

    fn public_url(&self, name: &str) -> Result<String> {
        self.directory.checks.name(name)?;
        object_url::public_url(PROVIDER, &self.name, &self.options, name)
    }
}

/// A list under way.
struct Listing {
    directory: Arc<Directory>,
    /// The names in the store that have not been read.
    names: std::vec::IntoIter<String>,
    read: VecDeque<Object>,
    prefix_len: usize,
    versioned: bool,
}

impl Listing {
    /// Reads the next objects; none are left when it reads none.
    fn read_on(mut self) -> Result<Self> {
        while self.read.is_empty() && self.names.len() > 0 {
            for name in self.names.by_ref().take(LIST) {
                match self.directory.head(&name, None) {
                    Ok(version) => self
                        .read
                        .push_back(version.object(&name[self.prefix_len..], self.versioned)),
                    // Deleted, with older versions or since the names were read.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(self)
    }
}

/// At most [`READ`] of the `left` bytes that a file still has to give.
fn read_piece(directory: &Directory, mut file: File, left: u64) -> Result<(Bytes, File)> {
    let want = usize::try_from(left).unwrap_or(READ).min(READ);
    let mut piece = vec![0; want];
    file.read_exact(&mut piece).map_err(|error| {
        let text = format!("read an object's bytes: {error}");
        directory
            .checks
            .error(ErrorKind::Other, text)
            .with_source(error)
    })?;
    Ok((Bytes::from(piece), file))
}
