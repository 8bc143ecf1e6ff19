//! The values of declared secrets on this machine: the environment first, then `.underlay/secrets.local.toml`.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde_json::{Map, Value};
use underlay_model::{Model, infra::SecretText};

use crate::{
    checkout::Checkout,
    error::{Error, ErrorKind},
    report::Reporter,
};

/// The name of the file with local secrets in the checkout's state folder.
pub const SECRETS_FILE: &str = "secrets.local.toml";

/// The values that were found, and the declared names without one.
pub(crate) struct Found {
    pub(crate) values: BTreeMap<String, SecretText>,
    pub(crate) missing: Vec<String>,
}

/// Looks up every secret that the model declares.
pub(crate) fn find(
    model: &Model,
    checkout: &Checkout,
    reporter: &dyn Reporter,
) -> Result<Found, Vec<Error>> {
    let mut found = Found {
        values: BTreeMap::new(),
        missing: Vec::new(),
    };
    if model.secrets.is_empty() {
        return Ok(found);
    }
    let path = checkout.state.join(SECRETS_FILE);
    let file = read(&path, reporter)?;
    let mut problems = Vec::new();
    for secret in &model.secrets {
        let name = &secret.name;
        if found.values.contains_key(name) || found.missing.contains(name) {
            continue;
        }
        if let Ok(value) = std::env::var(name) {
            found.values.insert(name.clone(), SecretText(value));
            continue;
        }
        match file.get(name) {
            Some(Value::String(value)) => {
                found.values.insert(name.clone(), SecretText(value.clone()));
            }
            Some(_) => problems.push(Error::new(
                ErrorKind::Secrets,
                format!(
                    "the secret `{name}` in {} must be a text: write {name} = \"…\"",
                    path.display()
                ),
            )),
            None => found.missing.push(name.clone()),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

fn read(path: &Path, reporter: &dyn Reporter) -> Result<Map<String, Value>, Vec<Error>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(vec![Error::state("read", path, &error)]),
    };
    close_to_others(path, reporter).map_err(|error| vec![error])?;
    basic_toml::from_str(&text).map_err(|error| {
        // The parser's message names tokens, not values, and the line.
        vec![Error::new(
            ErrorKind::Secrets,
            format!("{} is not valid TOML: {error}", path.display()),
        )]
    })
}

/// Takes the file away from group and others, and says so, where they can read it.
#[cfg(unix)]
fn close_to_others(path: &Path, reporter: &dyn Reporter) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;

    use crate::{error::os_text, report::Event};

    let mode = fs::metadata(path)
        .map_err(|error| Error::state("read", path, &error))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|error| {
        let message = format!(
            "{} can be read by other users (mode {:03o}) and that cannot be changed: {}; run `chmod 600` on it",
            path.display(),
            mode & 0o777,
            os_text(&error),
        );
        Error::new(ErrorKind::Secrets, message)
    })?;
    let message = format!(
        "{} could be read by other users (mode {:03o}); it is 600 now, and secrets that were exposed should be replaced",
        path.display(),
        mode & 0o777,
    );
    reporter.report(Event::Notice { message: &message });
    Ok(())
}

#[cfg(not(unix))]
fn close_to_others(_path: &Path, _reporter: &dyn Reporter) -> Result<(), Error> {
    // Files in a user's profile are closed to others by their folder's access list.
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt,
        path::PathBuf,
        sync::{
            Mutex,
            atomic::{AtomicU32, Ordering},
        },
    };

    use underlay_model::model::{Application, Secret, Source};

    use super::*;
    use crate::report::Event;

    #[derive(Default)]
    struct Notices(Mutex<Vec<String>>);

    impl Reporter for Notices {
        fn report(&self, event: Event<'_>) {
            if let Event::Notice { message } = event {
                self.0.lock().unwrap().push(message.to_owned());
            }
        }
    }

    /// Looks up `names` with a secrets file; gives what was found, or the problems, and the notices.
    fn check(
        names: &[&str],
        file: Option<(&str, u32)>,
    ) -> (Result<Found, Vec<String>>, Vec<String>, PathBuf) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("underlay-secrets-{}-{number}", std::process::id()));
        let checkout = Checkout {
            state: root.join(".underlay"),
            id: "0123abcd".to_owned(),
            root: root.clone(),
        };
        fs::create_dir_all(&root).unwrap();
        checkout.prepare().unwrap();
        let path = checkout.state.join(SECRETS_FILE);
        if let Some((text, mode)) = file {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut model = Model::empty(Application {
            name: "shop".to_owned(),
            version: "0.1.0".to_owned(),
        });
        model.secrets = names
            .iter()
            .map(|name| Secret {
                name: (*name).to_owned(),
                service: String::new(),
                doc: String::new(),
                source: Source::default(),
            })
            .collect();
        let notices = Notices::default();
        let found = find(&model, &checkout, &notices).map_err(|problems| {
            problems
                .iter()
                .map(|it| it.to_string().replace(&path.display().to_string(), "FILE"))
                .collect()
        });
        let notices = notices.0.into_inner().unwrap();
        (found, notices, root)
    }

    #[test]
    fn values_come_from_the_file_and_the_rest_is_missing() {
        let (found, notices, root) = check(
            &["KeyOne", "KeyTwo"],
            Some(("KeyOne = \"one\"\nOther = \"x\"\n", 0o600)),
        );
        let found = found.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(found.values.len(), 1);
        assert_eq!(found.values["KeyOne"].expose(), "one");
        assert_eq!(found.missing, ["KeyTwo"]);
        assert!(notices.is_empty());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_environment_comes_first() {
        // A variable that every process has stands for a secret of that name.
        let (found, _, root) = check(&["PATH"], Some(("PATH = \"from the file\"", 0o600)));
        let found = found.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(
            found.values["PATH"].expose(),
            std::env::var("PATH").unwrap()
        );
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_open_file_is_closed_and_that_is_said() {
        let (found, notices, root) = check(&["KeyOne"], Some(("KeyOne = \"one\"", 0o644)));
        assert!(found.is_ok());
        assert_eq!(notices.len(), 1);
        assert!(
            notices[0].contains("could be read by other users (mode 644); it is 600 now"),
            "{}",
            notices[0]
        );
        let mode = fs::metadata(root.join(".underlay").join(SECRETS_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn wrong_values_are_all_named_without_their_content() {
        let (found, _, root) = check(
            &["KeyOne", "KeyTwo"],
            Some(("KeyOne = 4711\nKeyTwo = [\"hidden\"]\n", 0o600)),
        );
        assert_eq!(
            found.err().unwrap(),
            [
                "the secret `KeyOne` in FILE must be a text: write KeyOne = \"…\"",
                "the secret `KeyTwo` in FILE must be a text: write KeyTwo = \"…\"",
            ]
        );
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_broken_file_shows_no_value() {
        let (found, _, root) = check(
            &["KeyOne"],
            Some(("KeyOne = \"hidden\nKeyTwo = \"x\"\n", 0o600)),
        );
        let problems = found.err().unwrap();
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("FILE is not valid TOML: "),
            "{problems:?}"
        );
        assert!(!problems[0].contains("hidden"), "{problems:?}");
        fs::remove_dir_all(root).unwrap();
    }
}
