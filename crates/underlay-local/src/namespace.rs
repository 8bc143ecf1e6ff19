//! Infrastructure namespaces: separate sets of data in one checkout, by name.

use std::{fs, io};

use crate::{
    checkout::{Checkout, write_private},
    error::{Error, ErrorKind},
};

/// The namespace of those who never chose one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The file in the state folder that holds the active namespace's name, so no namespace may have this name.
const ACTIVE_FILE: &str = "namespace";

/// The namespace that a start in this checkout uses: `explicit`, else `UNDERLAY_NAMESPACE`, else what
/// `cargo underlay namespace switch` wrote, else [`DEFAULT_NAMESPACE`].
///
/// # Errors
///
/// When the name is not valid, or the file that holds it cannot be read.
pub fn active(checkout: &Checkout, explicit: Option<&str>) -> Result<String, Error> {
    if let Some(name) = explicit {
        return check(name, "the namespace").map(|()| name.to_owned());
    }
    if let Ok(name) = std::env::var("UNDERLAY_NAMESPACE") {
        return check(&name, "UNDERLAY_NAMESPACE").map(|()| name);
    }
    let path = checkout.state.join(ACTIVE_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            check(text.trim(), &path.display().to_string()).map(|()| text.trim().to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DEFAULT_NAMESPACE.to_owned()),
        Err(error) => Err(Error::state("read", &path, &error)),
    }
}

/// Makes a namespace the active one of this checkout.
///
/// # Errors
///
/// When there is no such namespace, or the state folder cannot be written.
pub fn switch(checkout: &Checkout, name: &str) -> Result<(), Error> {
    require(checkout, name)?;
    checkout.prepare()?;
    write_private(
        &checkout.state.join(ACTIVE_FILE),
        format!("{name}\n").as_bytes(),
    )
}

/// That a namespace exists; else an error that names the nearest.
pub(crate) fn require(checkout: &Checkout, name: &str) -> Result<(), Error> {
    check(name, "the namespace")?;
    let names = list(checkout)?;
    if !names.iter().any(|it| it == name) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = crate::settings::nearest(name, &known).map_or_else(
            || format!("there are {}", names.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!(
            "there is no namespace `{name}`; {hint} (to create it: cargo underlay namespace create {name})"
        );
        return Err(Error::new(ErrorKind::Namespace, message));
    }
    Ok(())
}

/// All namespaces of this checkout, sorted; [`DEFAULT_NAMESPACE`] is always one of them.
///
/// # Errors
///
/// When the state folder cannot be read.
pub fn list(checkout: &Checkout) -> Result<Vec<String>, Error> {
    let mut names = vec![DEFAULT_NAMESPACE.to_owned()];
    let entries = match fs::read_dir(&checkout.state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(error) => return Err(Error::state("read", &checkout.state, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| Error::state("read", &checkout.state, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && is_valid(&name) {
            names.push(name);
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Creates a namespace; its servers start when an application first uses it.
///
/// # Errors
///
/// When the name is not valid or taken, or the state folder cannot be written.
pub fn create(checkout: &Checkout, name: &str) -> Result<(), Error> {
    check(name, "the namespace")?;
    if list(checkout)?.iter().any(|it| it == name) {
        let message = format!(
            "the namespace `{name}` exists already; use it: cargo underlay namespace switch {name}"
        );
        return Err(Error::new(ErrorKind::Namespace, message));
    }
    checkout.prepare()?;
    let path = checkout.state.join(name);
    fs::create_dir(&path).map_err(|error| Error::state("create", &path, &error))
}

/// Whether a name can be a namespace's: 1 to 40 characters, kebab-case, starting with a letter.
///
/// It becomes part of containers', volumes', folders' and databases' names, hence the shorter limit.
fn is_valid(name: &str) -> bool {
    name.len() <= 40
        && name != ACTIVE_FILE
        && name.starts_with(|it: char| it.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
}

fn check(name: &str, origin: &str) -> Result<(), Error> {
    if is_valid(name) {
        return Ok(());
    }
    let message = if name == ACTIVE_FILE {
        format!("{origin}: a namespace cannot be named `{name}`; choose another name")
    } else {
        format!(
            "{origin}: `{}` is not a namespace's name; use 1 to 40 lower-case letters, digits and single hyphens, \
             starting with a letter",
            name.escape_debug()
        )
    };
    Err(Error::new(ErrorKind::Namespace, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["default", "pr-12", "a", "feature-x2"] {
            assert!(is_valid(name), "{name}");
        }
        let long = "a".repeat(41);
        for name in [
            "",
            "Default",
            "1a",
            "a_b",
            "a-",
            "a--b",
            "../x",
            "namespace",
            ".x",
            long.as_str(),
        ] {
            assert!(!is_valid(name), "{name}");
        }
    }
}
