//! Finds PostgreSQL server binaries on this machine. It starts nothing but `postgres --version`.

use std::{
    cmp::Reverse,
    env, fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::error::os_text;

/// The oldest major version whose `initdb` understands what we tell it.
const OLDEST: u32 = 14;

/// A folder with `postgres` and `initdb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// The version, such as `17.6`.
    pub(crate) version: String,
}

impl Binaries {
    /// The major version: 17 of `17.6`.
    #[cfg(unix)]
    pub(crate) fn major(&self) -> u32 {
        major(&self.version)
    }

    /// The path of one program.
    #[cfg(unix)]
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(program_name(name))
    }

    /// Looks into one folder.
    ///
    /// The error is the reason why it cannot be used, without the folder's name.
    pub(crate) async fn open(folder: &Path) -> Result<Self, String> {
        for name in ["postgres", "initdb"] {
            if !folder.join(program_name(name)).is_file() {
                return Err(format!("it has no `{name}`"));
            }
        }
        let output = Command::new(folder.join(program_name("postgres")))
            .arg("--version")
            .env("LC_ALL", "C")
            .output()
            .await
            .map_err(|error| format!("its `postgres` cannot be run: {}", os_text(&error)))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(version) = parse_version(&text).filter(|_| output.status.success()) else {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "`postgres --version` fails: {}",
                text.lines().next().unwrap_or("it says nothing")
            ));
        };
        if major(&version) < OLDEST {
            return Err(format!(
                "PostgreSQL {version} is too old, {OLDEST} is the oldest that works"
            ));
        }
        Ok(Self {
            folder: folder.to_owned(),
            version,
        })
    }
}

/// All usable binaries: `UNDERLAY_POSTGRES_BIN` alone when it is set, else the usual places, newest first within each.
///
/// The error is one sentence that says where was looked.
pub(crate) async fn find(wanted: Option<&str>) -> Result<Vec<Binaries>, String> {
    if let Some(folder) = env::var_os("UNDERLAY_POSTGRES_BIN") {
        let folder = PathBuf::from(folder);
        let unusable = |reason| {
            format!(
                "UNDERLAY_POSTGRES_BIN ({}) cannot be used: {reason}",
                folder.display()
            )
        };
        let binaries = Binaries::open(&folder).await.map_err(unusable)?;
        if !matches(&binaries.version, wanted) {
            return Err(unusable(wrong_version(&binaries.version, wanted)));
        }
        return Ok(vec![binaries]);
    }
    let mut found: Vec<Binaries> = Vec::new();
    let mut reasons = Vec::new();
    for folder in usual_places() {
        match Binaries::open(&folder).await {
            Ok(binaries) if !matches(&binaries.version, wanted) => {
                reasons.push(format!(
                    "{}: {}",
                    folder.display(),
                    wrong_version(&binaries.version, wanted)
                ));
            }
            Ok(binaries) => found.push(binaries),
            Err(reason) => reasons.push(format!("{}: {reason}", folder.display())),
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    if reasons.is_empty() {
        return Err("no PostgreSQL server was found (looked into UNDERLAY_POSTGRES_BIN, /usr/lib/postgresql, Homebrew, \
                    Postgres.app and PATH)"
            .to_owned());
    }
    Err(format!(
        "no usable PostgreSQL server was found ({})",
        reasons.join("; ")
    ))
}

fn wrong_version(version: &str, wanted: Option<&str>) -> String {
    format!(
        "it is PostgreSQL {version} and underlay.toml wants {}",
        wanted.unwrap_or_default()
    )
}

/// Whether `17.6` is what `17` or `17.6` asks for.
pub(crate) fn matches(version: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        version
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The folders that hold server binaries on the systems we know, without duplicates.
fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/usr", "pgsql-", "bin"),
    ] {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        let mut versions: Vec<(u32, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let number = name.to_str()?.strip_prefix(prefix)?.parse::<f64>().ok()?;
                Some((number as u32, entry.path().join(below)))
            })
            .collect();
        versions.sort_by_key(|(number, _)| Reverse(*number));
        places.extend(versions.into_iter().map(|(_, folder)| folder));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    places.extend(env::split_paths(&path));
    let mut seen = Vec::new();
    places.retain(|folder| {
        let is_new = folder.join(program_name("postgres")).is_file() && !seen.contains(folder);
        seen.push(folder.clone());
        is_new
    });
    places
}

fn program_name(name: &str) -> String {
    format!("{name}{}", env::consts::EXE_SUFFIX)
}

/// `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; `18` of `… 18beta1`.
fn parse_version(text: &str) -> Option<String> {
    let rest = text.split("(PostgreSQL) ").nth(1)?;
    let end = rest
        .find(|it: char| !it.is_ascii_digit() && it != '.')
        .unwrap_or(rest.len());
    let version = rest[..end].trim_end_matches('.');
    (!version.is_empty()).then(|| version.to_owned())
}

/// 17 of `17.6`; 0 of what is no version.
pub(crate) fn major(version: &str) -> u32 {
    version
        .split('.')
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some("15.18"),
            ),
            ("postgres (PostgreSQL) 17.6\n", Some("17.6")),
            ("postgres (PostgreSQL) 18beta1\n", Some("18")),
            ("something else", None),
        ] {
            assert_eq!(parse_version(text).as_deref(), expected);
        }
        assert!(
            matches("17.6", Some("17")) && matches("17.6", Some("17.6")) && matches("17.6", None)
        );
        assert!(!matches("17.6", Some("1")) && !matches("17.6", Some("17.60")));
        assert_eq!(major("17.6"), 17);
    }
}
