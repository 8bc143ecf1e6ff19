//! `underlay.toml` and the environment variables that override it: what the user pins instead of leaving it to us.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    checkout::Checkout,
    error::{Error, ErrorKind, Errors},
};

/// What the user has pinned for this checkout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How PostgreSQL is provided.
    pub postgres: PostgresSettings,
    /// Whether scheduled jobs run locally: `[cron] enabled`. Default: they do not.
    pub cron: bool,
}

/// The table `[postgres]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PostgresSettings {
    /// The rung that is taken, whatever the others offer: `use`, `url`, or `UNDERLAY_POSTGRES`.
    pub pinned: Option<Pin>,
    /// The Docker image: `image`. Default: `postgres:` with the version.
    pub image: Option<String>,
    /// The PostgreSQL version: `version`, such as `17` or `17.6`.
    pub version: Option<String>,
    /// The port on 127.0.0.1 that a container is bound to: `port`. Default: any free one.
    pub port: Option<u16>,
}

/// A rung of the ladder that the user insists on.
#[derive(Clone, PartialEq, Eq)]
pub enum Pin {
    /// A server that exists already.
    Url {
        /// Where it is, with the password.
        url: String,
        /// Where the URL was written, for messages.
        origin: String,
    },
    /// A container.
    Docker,
    /// Binaries on this machine.
    Native,
    /// Binaries that we download.
    Managed,
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Url { .. } => "Url(***)",
            Self::Docker => "Docker",
            Self::Native => "Native",
            Self::Managed => "Managed",
        })
    }
}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("pinned", &self.pinned)
            .field("image", &self.image)
            .field("version", &self.version)
            .field("port", &self.port)
            .finish()
    }
}

const POSTGRES_KEYS: [&str; 5] = ["url", "use", "image", "version", "port"];
const CRON_KEYS: [&str; 1] = ["enabled"];
const TABLES: [&str; 2] = ["postgres", "cron"];
const RUNGS: [&str; 3] = ["docker", "native", "managed"];

impl Settings {
    /// Reads `underlay.toml` at the checkout's root, if there is one, and the environment.
    ///
    /// # Errors
    ///
    /// Every key that is unknown and every value that is wrong, each with the file, the line and what is right.
    pub fn read(checkout: &Checkout) -> Result<Self, Errors> {
        let path = checkout.root.join("underlay.toml");
        let (mut settings, mut problems) = match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Self::default(), Vec::new()),
            Err(error) => (Self::default(), vec![Error::state("read", &path, &error)]),
        };
        if let Ok(text) = std::env::var("UNDERLAY_POSTGRES") {
            match pin_from_environment(&text) {
                Ok(pin) => settings.postgres.pinned = Some(pin),
                Err(error) => problems.push(error),
            }
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Errors(problems))
        }
    }

    fn parse(path: &Path, text: &str) -> (Self, Vec<Error>) {
        let mut reader = Reader {
            path: path.to_owned(),
            text,
            problems: Vec::new(),
        };
        let mut settings = Self::default();
        let root: Map<String, Value> = match basic_toml::from_str(text) {
            Ok(root) => root,
            Err(error) => {
                let message = format!("{} is not valid TOML: {error}", path.display());
                return (settings, vec![Error::new(ErrorKind::Settings, message)]);
            }
        };
        for (key, value) in &root {
            match (key.as_str(), value) {
                ("postgres", Value::Object(table)) => settings.postgres = reader.postgres(table),
                ("cron", Value::Object(table)) => settings.cron = reader.cron(table),
                ("postgres" | "cron", _) => {
                    reader.problem(key, &format!("`{key}` must be a table: write `[{key}]`"))
                }
                _ => reader.unknown("", key, &TABLES),
            }
        }
        (settings, reader.problems)
    }
}

struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
    problems: Vec<Error>,
}

impl Reader<'_> {
    /// Records a problem with the line that `key` stands on, when a line starts with it.
    fn problem(&mut self, key: &str, message: &str) {
        let line = self.text.lines().position(|line| {
            let line = line.trim_start().trim_start_matches('[');
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(['=', '.', ']']))
        });
        let line = line
            .map(|line| format!(":{}", line + 1))
            .unwrap_or_default();
        let message = format!("{}{line}: {message}", self.path.display());
        self.problems.push(Error::new(ErrorKind::Settings, message));
    }

    fn unknown(&mut self, table: &str, key: &str, known: &[&str]) {
        let dot = if table.is_empty() { "" } else { "." };
        let hint = match nearest(key, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", list(known)),
        };
        self.problem(key, &format!("unknown key `{table}{dot}{key}`; {hint}"));
    }

    fn postgres(&mut self, table: &Map<String, Value>) -> PostgresSettings {
        let mut settings = PostgresSettings::default();
        let mut rung = None;
        let mut url = None;
        for (key, value) in table {
            match (key.as_str(), value) {
                ("url", Value::String(text)) if is_postgres_url(text) => url = Some(text.clone()),
                ("url", _) => self.problem(
                    key,
                    "`postgres.url` must be a text that starts with `postgres://`",
                ),
                ("use", Value::String(text)) if RUNGS.contains(&text.as_str()) => rung = pin(text),
                ("use", Value::String(text)) => {
                    let hint = nearest(text, &RUNGS)
                        .map(|near| format!(", did you mean `{near}`?"))
                        .unwrap_or_default();
                    self.problem(
                        key,
                        &format!("`postgres.use` must be one of {}{hint}", list(&RUNGS)),
                    );
                }
                ("use", _) => self.problem(
                    key,
                    &format!("`postgres.use` must be one of {}", list(&RUNGS)),
                ),
                ("image", Value::String(text)) if !text.is_empty() => {
                    settings.image = Some(text.clone())
                }
                ("image", _) => self.problem(
                    key,
                    "`postgres.image` must be an image's name, such as `\"postgres:17\"`",
                ),
                ("version", Value::String(text)) if is_version(text) => {
                    settings.version = Some(text.clone())
                }
                ("version", Value::Number(number)) if number.as_u64().is_some() => {
                    settings.version = Some(number.to_string());
                }
                ("version", _) => self.problem(
                    key,
                    "`postgres.version` must be a text such as `\"17\"` or `\"17.6\"`",
                ),
                ("port", Value::Number(number)) => {
                    match number.as_u64().and_then(|it| u16::try_from(it).ok()) {
                        Some(port) if port > 0 => settings.port = Some(port),
                        _ => self.problem(key, "`postgres.port` must be a port from 1 to 65535"),
                    }
                }
                ("port", _) => self.problem(key, "`postgres.port` must be a port from 1 to 65535"),
                _ => self.unknown("postgres", key, &POSTGRES_KEYS),
            }
        }
        if url.is_some() && rung.is_some() {
            self.problem(
                "url",
                "`postgres.url` and `postgres.use` exclude each other: remove one",
            );
        }
        let origin = || format!("`postgres.url` in {}", self.path.display());
        settings.pinned = url
            .map(|url| Pin::Url {
                url,
                origin: origin(),
            })
            .or(rung);
        settings
    }

    fn cron(&mut self, table: &Map<String, Value>) -> bool {
        let mut enabled = false;
        for (key, value) in table {
            match (key.as_str(), value) {
                ("enabled", Value::Bool(value)) => enabled = *value,
                ("enabled", _) => self.problem(key, "`cron.enabled` must be `true` or `false`"),
                _ => self.unknown("cron", key, &CRON_KEYS),
            }
        }
        enabled
    }
}

fn pin_from_environment(text: &str) -> Result<Pin, Error> {
    if is_postgres_url(text) {
        return Ok(Pin::Url {
            url: text.to_owned(),
            origin: "UNDERLAY_POSTGRES".to_owned(),
        });
    }
    pin(text).ok_or_else(|| {
        let message = format!(
            "UNDERLAY_POSTGRES must be one of {} or a URL that starts with postgres://",
            list(&RUNGS)
        );
        Error::new(ErrorKind::Settings, message)
    })
}

fn pin(text: &str) -> Option<Pin> {
    match text {
        "docker" => Some(Pin::Docker),
        "native" => Some(Pin::Native),
        "managed" => Some(Pin::Managed),
        _ => None,
    }
}

fn is_postgres_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Whether a text is `17` or `17.6`: it becomes part of an image's name and of a URL.
fn is_version(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()))
}

/// The known name that `name` is probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(name, candidate);
    known
        .iter()
        .copied()
        .filter(|it| distance(it) <= 1 + it.len() / 4)
        .min_by_key(|it| distance(it))
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) -> Settings {
        let (settings, problems) = Settings::parse(Path::new("underlay.toml"), text);
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, expected);
        settings
    }

    #[test]
    fn what_is_right_is_read() {
        assert_eq!(check("", &[]), Settings::default());
        let text = "[postgres]\nuse = \"native\"\nversion = 17\nport = 5555\nimage = \"postgres:16\"\n[cron]\nenabled = true";
        let settings = check(text, &[]);
        assert_eq!(settings.postgres.pinned, Some(Pin::Native));
        assert_eq!(settings.postgres.version.as_deref(), Some("17"));
        assert_eq!(settings.postgres.image.as_deref(), Some("postgres:16"));
        assert_eq!(settings.postgres.port, Some(5555));
        assert!(settings.cron);
        let settings = check("postgres.url = \"postgres://a:secret@b/c\"", &[]);
        assert!(
            matches!(&settings.postgres.pinned, Some(Pin::Url { url, .. }) if url == "postgres://a:secret@b/c")
        );
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        check(
            "[postgres]\nuse = \"doker\"\nverison = \"17\"\nport = 70000\n\n[postgrs]\nx = 1\n",
            &[
                "underlay.toml:4: `postgres.port` must be a port from 1 to 65535",
                "underlay.toml:2: `postgres.use` must be one of `docker`, `native`, `managed`, did you mean `docker`?",
                "underlay.toml:3: unknown key `postgres.verison`; did you mean `version`?",
                "underlay.toml:6: unknown key `postgrs`; did you mean `postgres`?",
            ],
        );
        check(
            "[postgres]\nurl = \"postgres://a\"\nuse = \"docker\"\nversion = \"17; rm\"\n[cron]\nenabled = 1\nwhen = 2",
            &[
                "underlay.toml:6: `cron.enabled` must be `true` or `false`",
                "underlay.toml:7: unknown key `cron.when`; known are `enabled`",
                "underlay.toml:4: `postgres.version` must be a text such as `\"17\"` or `\"17.6\"`",
                "underlay.toml:2: `postgres.url` and `postgres.use` exclude each other: remove one",
            ],
        );
        check(
            "postgres = 1",
            &["underlay.toml:1: `postgres` must be a table: write `[postgres]`"],
        );
    }

    #[test]
    fn a_broken_file_is_one_error() {
        let (_, problems) = Settings::parse(Path::new("underlay.toml"), "[postgres\n");
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0]
                .to_string()
                .starts_with("underlay.toml is not valid TOML: "),
            "{}",
            problems[0]
        );
    }

    #[test]
    fn the_environment_pins() {
        assert_eq!(pin_from_environment("docker").unwrap(), Pin::Docker);
        assert!(matches!(
            pin_from_environment("postgres://x").unwrap(),
            Pin::Url { .. }
        ));
        assert!(
            pin_from_environment("mysql://x")
                .unwrap_err()
                .to_string()
                .contains("`docker`, `native`, `managed`")
        );
    }
}
