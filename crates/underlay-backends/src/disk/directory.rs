//! The files of one bucket: how an object is written so that no crash shows half of it.
//!
//! Everything here blocks, and is called where it may. Knows nothing of streams and URLs.

use std::{
    fs::{self, File},
    io::{ErrorKind as Io, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};

use crate::{
    ErrorKind, Result,
    bucket::{ListOptions, Object, PutOptions},
    disk::{PROVIDER, failed, file_name},
    id,
    object_history::{Checks, History, Version},
};

/// How old an upload is that nobody will finish.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// What comes between a stem and what follows; it is in no stem.
const MARK: char = '@';
/// What the name of a note begins with; it is in no stem.
const NOTE: char = '=';

pub(super) struct Directory {
    pub(super) checks: Checks,
    meta: PathBuf,
    data: PathBuf,
    tmp: PathBuf,
    /// Locked while an object changes: by the mutex against this process, by the file against others.
    lock: Mutex<File>,
    versioned: bool,
    sync: bool,
}

/// An upload, which disappears with this value.
pub(super) struct Upload {
    file: File,
    path: PathBuf,
    hash: Sha256,
    size: u64,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Nothing to do about a failure; the next start removes what is old.
        let _ = fs::remove_file(&self.path);
    }
}

impl Directory {
    pub(super) fn open(root: PathBuf, bucket: String, versioned: bool, sync: bool) -> Result<Self> {
        let [meta, data, tmp] = ["meta", "data", "tmp"].map(|name| root.join(name));
        for path in [&meta, &data, &tmp] {
            fs::create_dir_all(path).map_err(|error| failed(error, &bucket, "create", path))?;
        }
        let path = root.join("lock");
        let mut options = File::options();
        let lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let lock = Mutex::new(lock.map_err(|error| failed(error, &bucket, "open", &path))?);
        let checks = Checks {
            provider: PROVIDER,
            bucket,
        };
        let directory = Self {
            checks,
            meta,
            data,
            tmp,
            lock,
            versioned,
            sync,
        };
        directory.recover()?;
        Ok(directory)
    }

    fn failed(&self, error: std::io::Error, action: &str, path: &Path) -> crate::Error {
        failed(error, &self.checks.bucket, action, path)
    }

    /// Runs a change of objects while no other happens, in this process or another.
    fn exclusively<R>(&self, change: impl FnOnce() -> Result<R>) -> Result<R> {
        let file = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = |error| self.failed(error, "lock", &self.meta.with_file_name("lock"));
        file.lock().map_err(lock)?;
        let result = change();
        file.unlock().map_err(lock)?;
        result
    }

    fn meta_path(&self, stem: &str) -> PathBuf {
        self.meta.join(format!("{stem}{MARK}.json"))
    }

    fn data_path(&self, stem: &str, version: &str) -> PathBuf {
        self.data.join(format!("{stem}{MARK}{version}"))
    }

    fn history(&self, stem: &str) -> Result<Option<History>> {
        let path = self.meta_path(stem);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == Io::NotFound => return Ok(None),
            text => text.map_err(|error| self.failed(error, "read", &path))?,
        };
        let history = serde_json::from_slice(&text).map_err(|error| {
            let path = path.display();
            let text =
                format!("read `{path}`: the file is damaged; delete it, which deletes the object");
            self.checks.error(ErrorKind::Other, text).with_source(error)
        })?;
        Ok(Some(history))
    }

    /// An object's current version, or the one that is asked for.
    pub(super) fn head(&self, name: &str, version: Option<&str>) -> Result<Version> {
        let history = self.history(&file_name::stem(name))?;
        let found = history.as_ref().and_then(|history| history.find(version));
        found
            .cloned()
            .ok_or_else(|| self.checks.missing(name, version))
    }

    /// The same with its bytes.
    pub(super) fn open_object(&self, name: &str, version: Option<&str>) -> Result<(Version, File)> {
        let stem = file_name::stem(name);
        loop {
            let found = self.head(name, version)?;
            let path = self.data_path(&stem, &found.id);
            match File::open(&path) {
                Ok(file) => return Ok((found, file)),
                // Replaced in between: the next look finds the new one.
                Err(error) if error.kind() == Io::NotFound => {
                    if self.head(name, version)? == found {
                        let text = format!(
                            "get object `{name}`: `{}` is missing; put the object again",
                            path.display()
                        );
                        return Err(self.checks.error(ErrorKind::Other, text));
                    }
                }
                Err(error) => return Err(self.failed(error, "open", &path)),
            }
        }
    }

    pub(super) fn upload(&self) -> Result<Upload> {
        let path = self.tmp.join(id::text(id::fresh(SystemTime::now())));
        let file = File::create_new(&path).map_err(|error| self.failed(error, "create", &path))?;
        Ok(Upload {
            file,
            path,
            hash: Sha256::new(),
            size: 0,
        })
    }

    pub(super) fn write(&self, upload: &mut Upload, bytes: &[u8]) -> Result<()> {
        upload.hash.update(bytes);
        upload.size += bytes.len() as u64;
        upload
            .file
            .write_all(bytes)
            .map_err(|error| self.failed(error, "write", &upload.path))
    }

    /// Makes an upload the object of a name.
    pub(super) fn finish(
        &self,
        upload: Upload,
        name: &str,
        options: &PutOptions,
    ) -> Result<Object> {
        let etag = hex::encode(&upload.hash.clone().finalize()[..16]);
        self.finish_as(upload, name, options, etag)
    }

    fn finish_as(
        &self,
        upload: Upload,
        name: &str,
        options: &PutOptions,
        etag: String,
    ) -> Result<Object> {
        if self.sync {
            upload
                .file
                .sync_all()
                .map_err(|error| self.failed(error, "write", &upload.path))?;
        }
        let version = Version::new(upload.size, etag, options.content_type.clone());
        let object = version.object(name, self.versioned);
        let stem = file_name::stem(name);
        self.exclusively(|| {
            let mut history = self.history(&stem)?.unwrap_or_else(|| History::new(name));
            self.checks
                .precondition(name, options.precondition.as_ref(), history.find(None))?;
            let data = self.data_path(&stem, &version.id);
            let replaced = history.put(version, self.versioned);
            let note = self.note(&stem)?;
            fs::rename(&upload.path, &data).map_err(|error| self.failed(error, "create", &data))?;
            self.sync_directory(&self.data)?;
            self.commit(&stem, &history)?;
            self.forget(&stem, replaced)?;
            self.remove(&note)
        })?;
        Ok(object)
    }

    /// Copies an object's bytes into an upload.
    pub(super) fn copy(&self, from: &str, to: &str) -> Result<Object> {
        let (version, mut source) = self.open_object(from, None)?;
        let mut upload = self.upload()?;
        upload.size = std::io::copy(&mut source, &mut upload.file)
            .map_err(|error| self.failed(error, "write", &upload.path))?;
        if upload.size != version.size {
            let text = format!(
                "copy object `{from}`: it has {} bytes instead of {}",
                upload.size, version.size
            );
            return Err(self.checks.error(ErrorKind::Other, text));
        }
        let options = PutOptions {
            content_type: version.content_type,
            precondition: None,
        };
        self.finish_as(upload, to, &options, version.etag)
    }

    pub(super) fn delete(&self, name: &str, version: Option<&str>) -> Result<()> {
        let stem = file_name::stem(name);
        self.exclusively(|| {
            let Some(mut history) = self.history(&stem)? else {
                return Ok(());
            };
            let removed = history.delete(version, self.versioned);
            let note = self.note(&stem)?;
            if history.is_empty() {
                self.remove(&self.meta_path(&stem))?;
                self.sync_directory(&self.meta)?;
            } else {
                self.commit(&stem, &history)?;
            }
            self.forget(&stem, removed)?;
            self.remove(&note)
        })
    }

    /// The stems of the objects that may be listed, in the order of their names. Only files whose names do not tell
    /// the object's are read.
    pub(super) fn names(&self, prefix: &str, options: &ListOptions) -> Result<Vec<String>> {
        let wanted_prefix = format!("{prefix}{}", options.prefix);
        let after = options
            .start_after
            .as_ref()
            .map(|after| format!("{prefix}{after}"));
        let mut names = Vec::new();
        for stem in self.stems(&self.meta)? {
            let name = match file_name::name(&stem) {
                Some(name) => name,
                None => match self.history(&stem)? {
                    Some(history) => history.name,
                    None => continue,
                },
            };
            if name.starts_with(&wanted_prefix) && after.as_ref().is_none_or(|after| name > *after)
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The stems of the files in a directory that are ours.
    fn stems(&self, path: &Path) -> Result<Vec<String>> {
        let failed = |error| self.failed(error, "list", path);
        let mut stems = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            let stem = file
                .to_str()
                .and_then(|file| file.strip_suffix(".json")?.strip_suffix(MARK));
            stems.extend(stem.map(str::to_owned));
        }
        Ok(stems)
    }

    /// Replaces what is known of an object: the moment at which a change happens.
    fn commit(&self, stem: &str, history: &History) -> Result<()> {
        let path = self.meta_path(stem);
        let mut upload = self.upload()?;
        let text = serde_json::to_vec_pretty(history).map_err(|error| {
            self.checks
                .error(ErrorKind::Other, "describe an object as JSON")
                .with_source(error)
        })?;
        self.write(&mut upload, &text)?;
        if self.sync {
            upload
                .file
                .sync_all()
                .map_err(|error| self.failed(error, "write", &upload.path))?;
        }
        fs::rename(&upload.path, &path).map_err(|error| self.failed(error, "replace", &path))?;
        self.sync_directory(&self.meta)
    }

    /// Removes the bytes of a version that nobody knows any more.
    fn forget(&self, stem: &str, version: Option<Version>) -> Result<()> {
        version.map_or(Ok(()), |version| {
            self.remove(&self.data_path(stem, &version.id))
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != Io::NotFound => Err(self.failed(error, "remove", path)),
            _ => Ok(()),
        }
    }

    /// Notes that an object is being changed, for the case that we do not get to the end.
    fn note(&self, stem: &str) -> Result<PathBuf> {
        let path = self.tmp.join(format!("{NOTE}{stem}"));
        File::create(&path).map_err(|error| self.failed(error, "create", &path))?;
        Ok(path)
    }

    /// Removes what a crash left: bytes without an object, and old uploads.
    fn recover(&self) -> Result<()> {
        self.exclusively(|| {
            let failed = |error| self.failed(error, "list", &self.tmp);
            for entry in fs::read_dir(&self.tmp).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let file = entry.file_name();
                if let Some(stem) = file.to_str().and_then(|file| file.strip_prefix(NOTE)) {
                    // Under the lock nobody is changing an object, so the note is a leftover.
                    self.remove_unknown(stem)?;
                    self.remove(&entry.path())?;
                    continue;
                }
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                let age = modified.ok().and_then(|modified| modified.elapsed().ok());
                if age.is_some_and(|age| age > ABANDONED) {
                    self.remove(&entry.path())?;
                }
            }
            Ok(())
        })
    }

    /// Removes the bytes of an object's versions that its history does not hold.
    fn remove_unknown(&self, stem: &str) -> Result<()> {
        let history = self.history(stem)?;
        let failed = |error| self.failed(error, "list", &self.data);
        for entry in fs::read_dir(&self.data).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file = entry.file_name();
            let parts = file.to_str().and_then(|file| file.split_once(MARK));
            let Some((_, version)) = parts.filter(|(other, _)| *other == stem) else {
                continue;
            };
            if !history
                .as_ref()
                .is_some_and(|history| history.holds(version))
            {
                self.remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Makes renames in a directory survive a power failure, where the platform can.
    fn sync_directory(&self, path: &Path) -> Result<()> {
        if self.sync && cfg!(unix) {
            let synced = File::open(path).and_then(|directory| directory.sync_all());
            synced.map_err(|error| self.failed(error, "write", path))?;
        }
        Ok(())
    }
}
