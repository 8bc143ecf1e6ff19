//! Everything that a binary of this checkout declares, running, for as long as a command needs it.

use std::path::PathBuf;

use serde::Serialize;
use underlay_local::{Checkout, Options, Provisioned, Rung, provision};
use underlay_model::{Model, check::check};

use crate::{
    arguments::Selection,
    command::{check::has_errors, model},
    failure::Failure,
    file::{self, Access},
    output::{Output, pretty},
    progress::progress,
    workspace::Workspace,
};

/// What runs, and where the infra config that says so lies.
pub(crate) struct Session {
    pub(crate) provisioned: Provisioned,
    /// The infra config's file, which only its owner can read.
    pub(crate) infra: PathBuf,
    pub(crate) databases: Vec<Database>,
}

/// Where one declared database is, without its password.
#[derive(Serialize)]
pub(crate) struct Database {
    /// The declared name.
    pub(crate) name: String,
    /// The name on the server.
    pub(crate) database: String,
    /// `host:port`, or a socket's folder.
    pub(crate) host: String,
    pub(crate) user: String,
}

impl Session {
    /// Builds the binary, reads what it declares, and starts that.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built or read, what it declares is not right, or something does not start.
    pub(crate) async fn start(
        selection: &Selection,
        namespace: Option<String>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let workspace = Workspace::load(selection)?;
        let model = model::read(&model::build(&workspace, selection, false, &[])?)?;
        let problems = check(&model);
        if has_errors(&problems) {
            return Err(Failure::in_source(problems, workspace.root()));
        }
        output.problems(&problems, &workspace.root());
        let checkout = Checkout::find(&workspace.root())?;
        let options = Options {
            namespace,
            ..Options::default()
        };
        let provisioned = provision(&model, &checkout, &options, &progress()).await?;
        let infra = checkout
            .state
            .join(&provisioned.namespace)
            .join("infra.json");
        file::write(&infra, &pretty(&provisioned.config), Access::Owner)?;
        if !provisioned.missing_secrets.is_empty() {
            output.note(&missing_secrets(&provisioned.missing_secrets));
        }
        let databases = databases(&model, &provisioned);
        Ok(Self {
            provisioned,
            infra,
            databases,
        })
    }

    /// Whether something stops when this process ends.
    pub(crate) fn holds_a_server(&self) -> bool {
        self.provisioned
            .postgres
            .as_ref()
            .is_some_and(|it| matches!(it.rung, Rung::Native | Rung::Managed))
    }
}

fn missing_secrets(names: &[String]) -> String {
    let file = underlay_local::SECRETS_FILE;
    format!(
        "not set: the secrets {}; put them into .underlay/{file} (Name = \"value\")",
        names.join(", ")
    )
}

fn databases(model: &Model, provisioned: &Provisioned) -> Vec<Database> {
    let servers = &provisioned.config.sql_servers;
    let databases = model.databases.iter().filter_map(|declared| {
        let server = servers
            .iter()
            .find(|it| it.databases.contains_key(&declared.name))?;
        let database = &server.databases[&declared.name];
        Some(Database {
            name: declared.name.clone(),
            database: database
                .name
                .clone()
                .unwrap_or_else(|| declared.name.clone()),
            host: server.host.clone(),
            user: database.username.clone(),
        })
    });
    databases.collect()
}

/// Runs a future of the provisioner to its end.
///
/// # Errors
///
/// The future's own, or that no runtime can be started.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::error(format!("cannot start an async runtime: {error}")))?;
    runtime.block_on(future)
}
