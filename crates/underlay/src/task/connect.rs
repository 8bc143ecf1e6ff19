//! What a job connects to: only what it needs, by the same path as a start. What the job does there, it does not know.

use underlay_model::infra::{Migrations, PubSub};
use underlay_model::{InfraConfig, Model};

use crate::Result;
use crate::config::{self, configuration};
use crate::inventory;
use crate::start::{Connected, located};
use crate::task::Task;

/// What a job needs of a start: its part of everything connected and migrated, without a server.
///
/// # Errors
///
/// Everything that keeps it from being done.
pub(super) async fn connect(task: &Task) -> Result<Connected> {
    let entries = inventory::entries().map_err(configuration)?;
    let model = inventory::model(&entries);
    config::check(&model)?;
    let (needed, configured, mode) = needs(task, model.clone(), config::read()?)?;
    let (config, guard) = located(configured, &needed, &model).await?;
    let mut connected = Connected::connect(entries, needed, config, guard, None).await?;
    if let Some(mode) = mode {
        connected.migrate(mode).await?;
    }
    Ok(connected)
}

/// What of the declarations and the infra config a job needs, and what it does with migrations, if anything.
fn needs(
    task: &Task,
    model: Model,
    configured: Option<InfraConfig>,
) -> Result<(Model, Option<InfraConfig>, Option<Migrations>)> {
    let mode = configured
        .as_ref()
        .map(|it| it.migrations)
        .unwrap_or_default();
    match task {
        Task::Seed => Ok((model, configured, Some(mode))),
        Task::DeadLetters(_) => {
            let mut brokers = configured.iter().flat_map(|it| &it.pubsub);
            if let Some(index) = brokers.position(PubSub::is_of_one_process) {
                return Err(configuration(vec![format!(
                    "infra config: pubsub[{index}]: a broker of the type `memory` without a `path` is in the application's \
                     own process, where no job sees its dead letters; give it a `path`"
                )]));
            }
            let brokers = Model {
                topics: model.topics,
                subscriptions: model.subscriptions,
                ..Model::empty(model.application)
            };
            let configured = configured.map(|config| InfraConfig {
                pubsub: config.pubsub,
                log_config: config.log_config,
                ..InfraConfig::default()
            });
            Ok((brokers, configured, None))
        }
        #[cfg(feature = "postgres")]
        Task::Migrate if mode == Migrations::Off && !has_outbox(&model) => Err(configuration(vec![
            "infra config: migrations: `off` says that this binary applies none; say `job`, or leave \
             UNDERLAY_TASK=migrate away"
                .to_owned(),
        ])),
        // The job touches databases alone: another process may have the rest open.
        #[cfg(feature = "postgres")]
        Task::Migrate => {
            let databases = Model {
                databases: model.databases,
                ..Model::empty(model.application)
            };
            let configured = configured.map(|config| InfraConfig {
                sql_servers: config.sql_servers,
                log_config: config.log_config,
                migrations: config.migrations,
                ..InfraConfig::default()
            });
            Ok((databases, configured, Some(Migrations::OnStart)))
        }
    }
}

/// Whether some database needs Underlay's own tables.
#[cfg(feature = "postgres")]
fn has_outbox(model: &Model) -> bool {
    let subscriptions = &model.subscriptions;
    let records = subscriptions.iter().any(|it| it.idempotent_in.is_some());
    records || model.databases.iter().any(|it| it.outbox)
}
