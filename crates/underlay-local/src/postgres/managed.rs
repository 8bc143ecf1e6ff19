//! Server binaries that are downloaded once into the user's cache, for machines that have neither Docker nor
//! PostgreSQL. It knows where they come from and when they can be trusted; [`super::native`] runs them.
//!
//! The publisher is theseus-rs/postgresql-binaries, whose archives are named after version and target and have their
//! SHA-256 beside them. Downloading and unpacking is left to the system's `curl` and `tar`, so that no HTTP or TLS
//! client is compiled into every application.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::binaries::Binaries;
use crate::{
    error::{Error, ErrorKind, os_text},
    lock,
    report::{Event, Reporter, waiting},
};

/// The release that is taken when nobody says; of the same major version as the container.
const RELEASE: &str = "17.11.0";
/// Where the releases are; `UNDERLAY_POSTGRES_URL` takes its place.
const PUBLISHER: &str = "https://github.com/theseus-rs/postgresql-binaries/releases/download";

/// Downloads PostgreSQL's server binaries into the user's cache, unless they are there; gives their folder.
///
/// Afterwards a start needs no network.
///
/// # Errors
///
/// When they cannot be downloaded, or are not what their publisher says.
pub async fn install_postgres(reporter: &dyn Reporter) -> Result<PathBuf, Error> {
    Ok(provide(None, reporter).await?.folder)
}

/// The folder of the binaries in the cache, if they are there.
pub(crate) async fn cached() -> Result<Option<PathBuf>, Error> {
    let folder = cache_folder()
        .await?
        .join("postgres")
        .join(format!("{RELEASE}-{}", target()?));
    Ok(installed(&folder).await?.map(|binaries| binaries.folder))
}

/// The binaries, from the cache or downloaded.
pub(crate) async fn provide(
    wanted: Option<&str>,
    reporter: &dyn Reporter,
) -> Result<Binaries, Error> {
    let release = release(wanted)?;
    let target = target()?;
    let cache = cache_folder().await?.join("postgres");
    let folder = cache.join(format!("{release}-{target}"));
    if let Some(binaries) = installed(&folder).await? {
        return Ok(binaries);
    }
    create_folder(&cache)?;
    let cause = "another process that is downloading PostgreSQL";
    let lock = lock::take(&cache.join(format!("{release}.lock")), cause, reporter).await?;
    let binaries = match installed(&folder).await? {
        Some(binaries) => binaries,
        None => {
            // What an earlier attempt has left is of no use; nobody else is at it while we hold the lock.
            let temporary = cache.join(format!("{release}.new"));
            remove_folder(&temporary)?;
            create_folder(&temporary)?;
            let outcome = install(&release, &target, &temporary, &folder, reporter).await;
            let removed = remove_folder(&temporary);
            outcome?;
            removed?;
            installed(&folder)
                .await?
                .ok_or_else(|| failure(format!("{} is gone again", folder.display())))?
        }
    };
    drop(lock);
    Ok(binaries)
}

fn failure(message: String) -> Error {
    Error::new(ErrorKind::Download, message)
}

/// The publisher's name of a version: `17.5.0` for `17.5`.
fn release(wanted: Option<&str>) -> Result<String, Error> {
    match wanted {
        None => Ok(RELEASE.to_owned()),
        Some(version) if super::binaries::matches(RELEASE, Some(version)) => Ok(RELEASE.to_owned()),
        Some(version) => match version.split('.').count() {
            2 => Ok(format!("{version}.0")),
            3 => Ok(version.to_owned()),
            _ => Err(failure(format!(
                "which PostgreSQL {version} to download is not known: write the whole version, such as \
                 `version = \"{version}.1\"`, under [postgres] in underlay.toml"
            ))),
        },
    }
}

/// The target triple of the binaries that run here.
fn target() -> Result<String, Error> {
    let arch = env::consts::ARCH;
    match (env::consts::OS, arch) {
        ("linux", "x86_64" | "aarch64") => {
            // What counts is the C library of this machine, not that of the application.
            let loader = if arch == "x86_64" {
                "/lib64/ld-linux-x86-64.so.2"
            } else {
                "/lib/ld-linux-aarch64.so.1"
            };
            let musl = Path::new("/lib")
                .join(format!("ld-musl-{arch}.so.1"))
                .exists()
                && !Path::new(loader).exists();
            Ok(format!(
                "{arch}-unknown-linux-{}",
                if musl { "musl" } else { "gnu" }
            ))
        }
        ("macos", "x86_64" | "aarch64") => Ok(format!("{arch}-apple-darwin")),
        (os, arch) => Err(failure(format!(
            "there are no PostgreSQL binaries to download for {os} on {arch}"
        ))),
    }
}

/// The user's cache: `UNDERLAY_CACHE`, else the platform's place for caches.
async fn cache_folder() -> Result<PathBuf, Error> {
    if let Some(folder) = env::var_os("UNDERLAY_CACHE").filter(|it| !it.is_empty()) {
        return std::path::absolute(&folder)
            .map_err(|error| Error::state("find", Path::new(&folder), &error));
    }
    let usual = if cfg!(target_os = "macos") {
        env::home_dir().map(|home| home.join("Library/Caches/underlay"))
    } else {
        let folder = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|it| it.is_absolute());
        folder
            .or_else(|| Some(env::home_dir()?.join(".cache")))
            .map(|it| it.join("underlay"))
    };
    let usual = usual.ok_or_else(|| {
        failure("there is no home folder to keep downloads in; set UNDERLAY_CACHE".to_owned())
    })?;
    // Root's home is closed to the account that runs the server for root.
    #[cfg(unix)]
    if super::account::own_uid().await? == 0 {
        let account = super::account::for_root().await?;
        if super::account::barrier(&usual, &account).is_some() {
            return Ok(PathBuf::from("/var/cache/underlay"));
        }
    }
    Ok(usual)
}

/// The binaries in a folder of the cache; `None` when there is none.
async fn installed(folder: &Path) -> Result<Option<Binaries>, Error> {
    let bin = folder.join("bin");
    if !bin.exists() {
        return Ok(None);
    }
    match Binaries::open(&bin).await {
        Ok(binaries) => Ok(Some(binaries)),
        Err(reason) => Err(failure(format!(
            "the downloaded PostgreSQL in {} cannot be used: {reason}",
            bin.display()
        ))),
    }
}

/// Downloads into `temporary`, checks, unpacks, and moves the result to `folder`: whole or not at all.
async fn install(
    release: &str,
    target: &str,
    temporary: &Path,
    folder: &Path,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let base = env::var("UNDERLAY_POSTGRES_URL")
        .ok()
        .filter(|it| !it.is_empty());
    let base = base.as_deref().unwrap_or(PUBLISHER).trim_end_matches('/');
    let name = format!("postgresql-{release}-{target}");
    let url = format!("{base}/{release}/{name}.tar.gz");
    let archive = temporary.join("archive.tar.gz");
    let sum = temporary.join("archive.sha256");
    download(&format!("{url}.sha256"), &sum, None, reporter).await?;
    let what = format!("downloading PostgreSQL {release}");
    let downloaded = download(&url, &archive, Some(&what), reporter).await;
    reporter.report(Event::ProgressEnd { what: &what });
    downloaded?;
    check_sum(&url, &archive, &sum, reporter).await?;

    let unpacked = temporary.join("unpacked");
    create_folder(&unpacked)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&unpacked)
        .arg("--no-same-owner");
    let output = run(tar, "tar", "unpack", reporter).await?;
    if !output.status.success() {
        return Err(failure(format!(
            "cannot unpack {}: {}",
            shown(&url),
            last_line(&output.stderr)
        )));
    }
    let top = top_folder(&unpacked, &name)
        .ok_or_else(|| failure(format!("{} holds no folder with bin/postgres", shown(&url))))?;
    // The account that runs the server for root must be able to read it, whatever root's umask is.
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "a+rX"]).arg(&top);
    let output = run(chmod, "chmod", "open", reporter).await?;
    if !output.status.success() {
        return Err(failure(format!(
            "cannot open {} for reading: {}",
            top.display(),
            last_line(&output.stderr)
        )));
    }
    fs::rename(&top, folder).map_err(|error| Error::state("create", folder, &error))
}

fn top_folder(unpacked: &Path, name: &str) -> Option<PathBuf> {
    let expected = unpacked.join(name);
    if expected.join("bin/postgres").is_file() {
        return Some(expected);
    }
    let mut folders = fs::read_dir(unpacked)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    folders.find(|folder| folder.join("bin/postgres").is_file())
}

/// Downloads with `curl`; with `what`, tells how far it is.
async fn download(
    url: &str,
    to: &Path,
    what: Option<&str>,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let headers = to.with_extension("headers");
    let mut curl = Command::new("curl");
    curl.args([
        "--fail",
        "--location",
        "--silent",
        "--show-error",
        "--proto",
        // What comes over TLS must not be redirected to where it does not.
        if url.starts_with("https://") {
            "=https"
        } else {
            "=https,http,file"
        },
    ]);
    // Slow is fine, standing still is not.
    curl.args([
        "--connect-timeout",
        "20",
        "--speed-limit",
        "1",
        "--speed-time",
        "30",
    ]);
    curl.arg("--dump-header")
        .arg(&headers)
        .arg("--output")
        .arg(to)
        .arg(url);
    let (purpose, cause) = ("download", format!("curl to download {}", shown(url)));
    let running = run_with_cause(curl, "curl", purpose, &cause, reporter);
    let output = match what {
        None => running.await?,
        Some(what) => {
            let mut running = std::pin::pin!(running);
            loop {
                if let Ok(output) =
                    tokio::time::timeout(Duration::from_millis(200), &mut running).await
                {
                    break output?;
                }
                let done = fs::metadata(to).map_or(0, |metadata| metadata.len());
                reporter.report(Event::Progress {
                    what,
                    done,
                    total: content_length(&headers),
                });
            }
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let text = last_line(&output.stderr);
    // `curl: (6) Could not resolve host: …`
    let reason = text
        .split_once(") ")
        .map_or(text.as_str(), |(_, reason)| reason);
    let hint = match output.status.code() {
        Some(5..=7 | 28) => {
            "; is there a network? a mirror can be given with UNDERLAY_POSTGRES_URL"
        }
        Some(22) => "; does UNDERLAY_POSTGRES_URL name a mirror that has this version?",
        _ => "",
    };
    Err(failure(format!(
        "cannot download {}: {}{hint}",
        shown(url),
        reason.trim().trim_end_matches('.')
    )))
}

fn content_length(headers: &Path) -> Option<u64> {
    let text = fs::read_to_string(headers).ok()?;
    // The last one: those before belong to redirections.
    let line = text
        .lines()
        .rfind(|line| line.to_ascii_lowercase().starts_with("content-length:"))?;
    line.split_once(':')?
        .1
        .trim()
        .parse()
        .ok()
        .filter(|length| *length > 0)
}

async fn check_sum(
    url: &str,
    archive: &Path,
    sum: &Path,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let text = fs::read_to_string(sum).map_err(|error| Error::state("read", sum, &error))?;
    let published = text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if published.len() != 64 || !published.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(failure(format!(
            "{}.sha256 holds no SHA-256; nothing was installed",
            shown(url)
        )));
    }
    let path = archive.to_owned();
    let hashing = tokio::task::spawn_blocking(move || sum_of(&path));
    let actual = waiting(reporter, "the check of the downloaded archive", hashing).await;
    let actual = actual
        .map_err(|_| failure("the check of the downloaded archive was given up".to_owned()))?
        .map_err(|error| Error::state("read", archive, &error))?;
    if actual == published {
        return Ok(());
    }
    Err(failure(format!(
        "{} has the SHA-256 {actual}, and its publisher says {published}; nothing was installed; try again, and if it \
         stays so, do not trust this source",
        shown(url)
    )))
}

fn sum_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

async fn run(
    command: Command,
    program: &str,
    purpose: &str,
    reporter: &dyn Reporter,
) -> Result<Output, Error> {
    run_with_cause(
        command,
        program,
        purpose,
        &format!("{program} to {purpose} PostgreSQL"),
        reporter,
    )
    .await
}

async fn run_with_cause(
    mut command: Command,
    program: &str,
    purpose: &str,
    cause: &str,
    reporter: &dyn Reporter,
) -> Result<Output, Error> {
    // Whoever gives up waiting must not leave a download behind.
    command.kill_on_drop(true);
    waiting(reporter, cause, command.output()).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            failure(format!("`{program}` is not installed, and it is needed to {purpose} PostgreSQL; install {program}"))
        }
        _ => failure(format!("cannot run `{program}` to {purpose} PostgreSQL: {}", os_text(&error))),
    })
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it does not say why")
        .trim()
        .to_owned()
}

/// A URL without the password that a mirror's may have.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => url.to_owned(),
    }
}

fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|error| Error::state("create", path, &error))
}

fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::state("remove", path, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for (wanted, expected) in [
            (None, Some(RELEASE)),
            (Some("17"), Some(RELEASE)),
            (Some("17.11"), Some(RELEASE)),
            (Some("16.9"), Some("16.9.0")),
            (Some("16.9.1"), Some("16.9.1")),
            (Some("16"), None),
        ] {
            assert_eq!(release(wanted).ok().as_deref(), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_mirrors_password_is_not_shown() {
        for (url, expected) in [
            ("https://host/a/b", "https://host/a/b"),
            ("https://user:p@ss@host:1/a@b", "https://host:1/a@b"),
            ("file:///a/b", "file:///a/b"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
