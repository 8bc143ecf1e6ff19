//! Logs on standard error, for applications that set up no subscriber of their own.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::Result;
use crate::start::configuration;

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Installs a subscriber, unless there is one: at `info`, or as `RUST_LOG` says (levels by target: `info,sqlx=debug`).
pub(crate) fn install() {
    let wanted = std::env::var("RUST_LOG")
        .ok()
        .and_then(|directives| directives.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(defaults);
    let (filter, handle) = reload::Layer::new(filter);
    let is_colourful = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = fmt::layer()
        .with_ansi(is_colourful)
        .with_writer(std::io::stderr)
        .with_target(false);
    if tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .is_ok()
    {
        let _ = FILTER.set(handle);
    }
}

/// `info`, without PostgreSQL's notices of what `IF NOT EXISTS` skipped.
fn defaults() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("sqlx::postgres::notice", LevelFilter::WARN)
}

/// Applies the infra config's filter to the subscriber that [`install`] installed; `RUST_LOG` wins over it.
pub(crate) fn filter(directives: &str) -> Result<()> {
    let filter: Targets = directives.parse().map_err(|error| {
        configuration(vec![format!(
            "infra config: log_config: `{directives}` is not a filter for logs: {error}"
        )])
    })?;
    if std::env::var_os("RUST_LOG").is_none()
        && let Some(handle) = FILTER.get()
    {
        // It fails only when the subscriber is gone, and then nothing is logged anyway.
        let _ = handle.reload(filter);
    }
    Ok(())
}
