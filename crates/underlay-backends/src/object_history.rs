//! What is known of one object's name: its versions and which one is current.
//!
//! The rules that buckets in memory and on disk share. Knows nothing of where the bytes are.

use std::{
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, ErrorKind, Result,
    bucket::{Object, Precondition},
    id,
};

/// One version of an object. Its bytes never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) modified: u64,
}

impl Version {
    /// A version that is written now.
    pub(crate) fn new(size: u64, etag: String, content_type: Option<String>) -> Self {
        let now = SystemTime::now();
        let id = id::text(id::fresh(now));
        Self {
            id,
            size,
            etag,
            content_type,
            modified: id::millis(now),
        }
    }

    pub(crate) fn object(&self, name: &str, versioned: bool) -> Object {
        Object {
            name: name.to_owned(),
            size: self.size,
            etag: self.etag.clone(),
            content_type: self.content_type.clone(),
            version: versioned.then(|| self.id.clone()),
            modified: UNIX_EPOCH + Duration::from_millis(self.modified),
        }
    }
}

/// The versions under one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) name: String,
    /// The object was deleted; what is left are older versions.
    #[serde(default)]
    deleted: bool,
    /// The newest first.
    versions: Vec<Version>,
}

impl History {
    #[cfg(feature = "disk")]
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Whether nothing is left to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// The current version, or the one that is asked for.
    pub(crate) fn find(&self, version: Option<&str>) -> Option<&Version> {
        match version {
            None => self.versions.first().filter(|_| !self.deleted),
            Some(id) => self.versions.iter().find(|version| version.id == id),
        }
    }

    /// Whether a version's bytes are needed.
    #[cfg(feature = "disk")]
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.find(Some(id)).is_some()
    }

    /// Makes a version the current one and returns the one whose bytes are not needed any more.
    pub(crate) fn put(&mut self, version: Version, versioned: bool) -> Option<Version> {
        let replaced = !versioned && !self.deleted && !self.versions.is_empty();
        self.deleted = false;
        let replaced = replaced.then(|| self.versions.remove(0));
        self.versions.insert(0, version);
        replaced
    }

    /// Deletes the object, or one version, and returns the version whose bytes are not needed any more.
    pub(crate) fn delete(&mut self, version: Option<&str>, versioned: bool) -> Option<Version> {
        if let Some(id) = version {
            let index = self.versions.iter().position(|version| version.id == id)?;
            return Some(self.versions.remove(index));
        }
        let removed = !versioned && !self.deleted && !self.versions.is_empty();
        let removed = removed.then(|| self.versions.remove(0));
        self.deleted = true;
        removed
    }
}

/// The checks that every bucket makes, with its provider and name for the errors.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    pub(crate) provider: &'static str,
    pub(crate) bucket: String,
}

impl Checks {
    pub(crate) fn error(&self, kind: ErrorKind, text: impl Into<String>) -> Error {
        Error::new(kind, self.provider, &self.bucket, text.into())
    }

    pub(crate) fn name(&self, name: &str) -> Result<()> {
        if (1..=1024).contains(&name.len()) && !name.contains('\0') {
            return Ok(());
        }
        let text = "use an object's name: it has 1 to 1024 bytes, none of them NUL";
        Err(self.error(ErrorKind::InvalidArgument, text))
    }

    pub(crate) fn version(&self, version: Option<&str>, versioned: bool) -> Result<()> {
        if version.is_none() || versioned {
            return Ok(());
        }
        let text = "use a version: the bucket is not versioned";
        Err(self.error(ErrorKind::InvalidArgument, text))
    }

    pub(crate) fn missing(&self, name: &str, version: Option<&str>) -> Error {
        let text = match version {
            None => format!("find object `{name}`"),
            Some(version) => format!("find object `{name}` in version `{version}`"),
        };
        self.error(ErrorKind::NotFound, text)
    }

    pub(crate) fn precondition(
        &self,
        name: &str,
        precondition: Option<&Precondition>,
        current: Option<&Version>,
    ) -> Result<()> {
        let text = match (precondition, current) {
            (None, _) | (Some(Precondition::NotExists), None) => return Ok(()),
            (Some(Precondition::IfMatch(etag)), Some(version)) if *etag == version.etag => {
                return Ok(());
            }
            (Some(Precondition::NotExists), Some(_)) => {
                format!("put object `{name}`: it exists already")
            }
            (Some(Precondition::IfMatch(_)), Some(_)) => {
                format!("put object `{name}`: it has another ETag")
            }
            (Some(Precondition::IfMatch(_)), None) => {
                format!("put object `{name}`: there is none to replace")
            }
        };
        Err(self.error(ErrorKind::PreconditionFailed, text))
    }

    /// The part of an object of `size` bytes that is asked for.
    pub(crate) fn range(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        size: u64,
    ) -> Result<Range<u64>> {
        match range {
            None => Ok(0..size),
            Some(range) if range.start < range.end && range.start < size => {
                Ok(range.start..range.end.min(size))
            }
            Some(range) => {
                let (start, end) = (range.start, range.end);
                let text = format!("get bytes {start}..{end} of object `{name}`: it has {size}");
                Err(self.error(ErrorKind::InvalidArgument, text))
            }
        }
    }
}
