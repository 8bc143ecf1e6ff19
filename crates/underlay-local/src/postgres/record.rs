//! What we remember of a namespace's server between two starts: `postgres.json` and `postgres-test.json`.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Address, Rung};
use crate::{
    Kind,
    checkout::{Checkout, write_private},
    error::Error,
};

/// How a namespace's server was got and is reached. Holds a password: the file is its owner's only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The checkout's id: a copied folder must not use the original's server.
    pub(crate) checkout: String,
    pub(crate) rung: Rung,
    /// The rung's detail: the folder of the binaries, or the image.
    pub(crate) detail: String,
    pub(crate) version: String,
    /// The reasons why each rung above was not taken.
    pub(crate) why_not_above: Vec<String>,
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) password: String,
}

pub(crate) fn path(checkout: &Checkout, namespace: &str, kind: Kind) -> PathBuf {
    checkout
        .state
        .join(namespace)
        .join(format!("{}.json", kind.stem()))
}

/// `None` when there is none of this checkout, or it is of another shape: then the ladder finds out anew.
pub(crate) fn read(
    checkout: &Checkout,
    namespace: &str,
    kind: Kind,
) -> Result<Option<Record>, Error> {
    let path = path(checkout, namespace, kind);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::state("read", &path, &error)),
    };
    Ok(serde_json::from_slice::<Record>(&text)
        .ok()
        .filter(|record| record.checkout == checkout.id))
}

pub(crate) fn write(
    checkout: &Checkout,
    namespace: &str,
    kind: Kind,
    record: &Record,
) -> Result<(), Error> {
    let path = path(checkout, namespace, kind);
    let text = serde_json::to_vec_pretty(record).map_err(|error| {
        Error::state(
            "write",
            &path,
            &io::Error::new(io::ErrorKind::InvalidData, error),
        )
    })?;
    write_private(&path, &text)
}
