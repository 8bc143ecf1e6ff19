//! A local run: the provisioner starts what the model needs, and what it tells is logged.

use underlay_model::{InfraConfig, Model};

use crate::Result;

#[cfg(feature = "local")]
mod linked;

#[cfg(feature = "local")]
pub(crate) use provisioned::{Guard, Log, checkout, provision};

/// Without the feature there is nothing to keep alive.
#[cfg(not(feature = "local"))]
pub(crate) enum Guard {}

#[cfg(all(feature = "postgres", not(feature = "local")))]
impl Guard {
    pub(crate) fn root(&self) -> Option<&std::path::Path> {
        match *self {}
    }
}

#[cfg(not(feature = "local"))]
impl Guard {
    pub(crate) fn announce(&mut self, _config: &InfraConfig, _address: std::net::SocketAddr) {
        match *self {}
    }

    pub(crate) fn withdraw(&mut self) {
        match *self {}
    }
}

/// Refuses: this binary cannot provision.
#[cfg(not(feature = "local"))]
pub(crate) async fn provision(_model: &Model, _whole: &Model) -> Result<(InfraConfig, Guard)> {
    Err(crate::config::configuration(vec![
        "UNDERLAY_INFRA is not set, and this binary was built without the feature `local` of underlay: set it to the \
         path of the infra config, or to its text"
            .to_owned(),
    ]))
}

#[cfg(feature = "local")]
mod provisioned {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    use underlay_local::{Announcement, Checkout, Event, Options, Provisioned, Reporter};

    use super::{InfraConfig, Model, Result};
    use crate::config::configuration;

    /// What the provisioner holds for as long as the application runs.
    pub(crate) struct Guard {
        _provisioned: Provisioned,
        /// Where others reach this application, which has its messages open.
        announced: Vec<Announcement>,
        #[cfg(feature = "postgres")]
        root: PathBuf,
    }

    impl Guard {
        /// Tells others on this machine where the application is reached that has the files of messages open.
        pub(crate) fn announce(&mut self, config: &InfraConfig, address: SocketAddr) {
            for file in config.pubsub.iter().filter_map(|it| it.file()) {
                match Announcement::new(Path::new(file), address) {
                    Ok(announcement) => self.announced.extend(announcement),
                    Err(error) => tracing::warn!(
                        target: "underlay",
                        "`cargo underlay topic` will not find this application while it runs: {error}",
                    ),
                }
            }
        }

        /// Lets nobody come any more.
        pub(crate) fn withdraw(&mut self) {
            self.announced.clear();
        }
    }

    #[cfg(feature = "postgres")]
    impl Guard {
        /// The checkout that the binary was built from.
        pub(crate) fn root(&self) -> Option<&Path> {
            Some(&self.root)
        }
    }

    /// Starts what the model needs on this machine, and says where it is. `whole` is all that the binary declares.
    pub(crate) async fn provision(model: &Model, whole: &Model) -> Result<(InfraConfig, Guard)> {
        let checkout = checkout()?;
        #[cfg(feature = "progress")]
        let reporter = underlay_local::Bars::new(Log);
        #[cfg(not(feature = "progress"))]
        let reporter = Log;
        let mut provisioned =
            underlay_local::provision(model, &checkout, &Options::default(), &reporter)
                .await
                .map_err(|errors| {
                    configuration(errors.0.iter().map(ToString::to_string).collect())
                })?;
        if !provisioned.missing_secrets.is_empty() {
            tracing::warn!(
                target: "underlay",
                "not set: the secrets {}; put them into .underlay/secrets.local.toml (Name = \"value\") \
                 or the environment",
                provisioned.missing_secrets.join(", "),
            );
        }
        // Reading source files must not delay the start.
        let (seen, root) = (whole.clone(), checkout.root.clone());
        tokio::task::spawn_blocking(move || {
            super::linked::warn(&seen, &root);
            if let Err(error) = write_model(&seen) {
                tracing::debug!(target: "underlay", error, "the model was not written beside the binary");
            }
        });
        Ok((
            std::mem::take(&mut provisioned.config),
            Guard {
                _provisioned: provisioned,
                announced: Vec::new(),
                #[cfg(feature = "postgres")]
                root: checkout.root,
            },
        ))
    }

    /// The checkout that this binary was built from: where it lies, else where it runs.
    pub(crate) fn checkout() -> Result<Checkout> {
        let start = std::env::current_dir()?;
        Checkout::find(&start).map_err(|error| configuration(vec![error.to_string()]))
    }

    /// Writes `underlay/model.json` into the target folder that the binary lies in.
    fn write_model(model: &Model) -> std::result::Result<(), String> {
        let binary = std::env::current_exe().map_err(|error| error.to_string())?;
        let Some(target) = target_folder(&binary) else {
            return Err("not in a target folder".to_owned());
        };
        let folder = target.join("underlay");
        let json = serde_json::to_string_pretty(model).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join("model.json"), json + "\n"))
            .map_err(|error| error.to_string())
    }

    /// The nearest folder upwards that cargo has marked as its target folder.
    fn target_folder(binary: &Path) -> Option<PathBuf> {
        binary
            .ancestors()
            .skip(1)
            .find(|folder| folder.join("CACHEDIR.TAG").is_file())
            .map(Path::to_owned)
    }

    /// The provisioner's events as log lines.
    pub(crate) struct Log;

    /// How many quarters of what is being fetched have been told.
    static TOLD: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

    impl Log {
        /// One line when something begins, and one for each quarter of it.
        fn progress(what: &str, done: u64, total: Option<u64>) {
            let quarters = total
                .filter(|total| *total > 0)
                .map_or(0, |total| done.min(total) * 4 / total);
            let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            if told.get(what).is_none_or(|before| *before < quarters) {
                told.insert(what.to_owned(), quarters);
                tracing::info!(target: "underlay", "{what}: {} %", quarters * 25);
            }
        }
    }

    impl Reporter for Log {
        fn report(&self, event: Event<'_>) {
            match event {
                Event::Chosen { line } => tracing::info!(target: "underlay", "{line}"),
                Event::Waiting { cause, elapsed } => {
                    tracing::info!(target: "underlay", "waiting for {:.0?}: {cause}", elapsed);
                }
                Event::Notice { message } => tracing::warn!(target: "underlay", "{message}"),
                Event::Debug { message } => tracing::debug!(target: "underlay", "{message}"),
                Event::Progress { what, done, total } => Self::progress(what, done, total),
                Event::ProgressEnd { what } => {
                    TOLD.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(what);
                }
                _ => {}
            }
        }
    }
}
