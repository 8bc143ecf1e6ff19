//! Logs on standard error, for applications that set up no subscriber of their own.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::Result;
use crate::config::configuration;

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Installs a subscriber, unless there is one: at `info`, or as `RUST_LOG` says (levels by target: `info,sqlx=debug`).
pub(crate) fn install() {
    install_with(defaults());
}

/// As [`install`], without the warnings of slow statements: many tests at once make every statement slow.
pub(crate) fn install_for_tests() {
    install_with(defaults().with_target("sqlx::query", LevelFilter::ERROR));
}

fn install_with(default: Targets) {
    let wanted = std::env::var("RUST_LOG").map(|directives| (directives.parse(), directives));
    let (filter, wrong) = match wanted {
        Ok((Ok(filter), _)) => (filter, None),
        Ok((Err(_), directives)) => (default, Some(directives)),
        Err(_) => (default, None),
    };
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
        if let Some(directives) = wrong {
            tracing::warn!(
                target: "underlay",
                "RUST_LOG is `{directives}`, which is not a filter and is not used; write levels by target, \
                 such as `info,sqlx=debug`",
            );
        }
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
        let notices = if directives.contains("sqlx") {
            None
        } else {
            Some(LevelFilter::WARN)
        };
        let filter = filter.with_targets(notices.map(|level| ("sqlx::postgres::notice", level)));
        // It fails only when the subscriber is gone, and then nothing is logged anyway.
        let _ = handle.reload(filter);
    }
    Ok(())
}
