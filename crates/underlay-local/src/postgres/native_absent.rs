//! The native rung where there is none: PostgreSQL as a child without orphans needs FIFOs and process groups.

use std::path::PathBuf;

use sqlx::postgres::PgConnection;

use super::{Refusal, Rung, Scope, Server, binaries::Binaries, record::Record};
use crate::{checkout::Checkout, error::Error, manage::ServerStatus};

/// Whether this platform has what the rung needs.
pub(crate) const IS_SUPPORTED: bool = false;

pub(crate) async fn join(
    _scope: &Scope<'_>,
    _record: &Record,
) -> Result<Option<(Server, PgConnection)>, Error> {
    Ok(None)
}

pub(crate) async fn take(
    _scope: &Scope<'_>,
    _rung: Rung,
    _candidates: &[Binaries],
) -> Result<(Server, PgConnection), Refusal> {
    Err(Refusal::Unavailable(
        "running PostgreSQL from binaries is not supported on this platform yet".to_owned(),
    ))
}

pub(crate) async fn running_natives() -> Result<Vec<ServerStatus>, Error> {
    Ok(Vec::new())
}

pub(crate) async fn stop_natives(
    _checkout: &Checkout,
    _namespace: &str,
) -> Result<Vec<String>, Error> {
    Ok(Vec::new())
}

pub(crate) async fn data_folders(
    _checkout: &Checkout,
    _namespace: &str,
) -> Result<Vec<PathBuf>, Error> {
    Ok(Vec::new())
}
