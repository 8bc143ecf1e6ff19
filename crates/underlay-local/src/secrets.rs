//! The values of declared secrets on this machine: the environment first, then `.underlay/secrets.local.toml`.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde_json::{Map, Value};
use underlay_model::{Model, infra::SecretText};

use crate::{
    checkout::Checkout,
    error::{Error, ErrorKind, os_text},
    report::{Event, Reporter},
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
