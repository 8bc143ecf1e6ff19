//! Everything that a binary of this checkout declares, running, for as long as a command needs it.

use std::path::PathBuf;

use serde::Serialize;
use underlay_local::{Checkout, Options, Provisioned, provision};
use underlay_model::{Model, check::check};

use crate::{
    access::Access,
    arguments::Selection,
    command::{check::has_errors, db::migrate, model},
    declared::Databases,
    environment::{Environment, Place, holds_a_server},
    failure::Failure,
    file,
    output::{Output, pretty},
    progress::{further_progress, progress},
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
    /// The connection URI, with the password.
    #[serde(skip)]
    pub(crate) uri: String,
}

/// What becomes of a binary that does not compile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncompiled {
    /// Nothing is started.
    Refuse,
    /// The databases that its source declares are started, and nothing else.
    DatabasesOnly,
}

impl Session {
    /// Starts the databases that the source declares and applies their migrations, so that queries can be checked
    /// against them; then builds the binary, reads what it declares, and starts that.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built or read, what it declares is not right, or something does not start.
    pub(crate) async fn start(
        selection: &Selection,
        namespace: Option<String>,
        uncompiled: Uncompiled,
        output: &Output,
    ) -> Result<Self, Failure> {
        let mut workspace = Workspace::load(selection)?;
        let source = Databases::find(&workspace, selection, output)?;
        let mut environment = None;
        if !source.all.is_empty() {
            let place = Place {
                namespace: namespace.clone(),
                ..Place::default()
            };
            let opened = Environment::open(&place, &workspace, &source).await?;
            migrate(&opened, &source.all).await?;
            workspace = workspace.with_variables(opened.variables(&source.all)?);
            environment = Some(opened);
        }
        let checkout = Checkout::find(&workspace.root())?;
        let built = model::build(&workspace, selection, false, &[]);
        let (model, provisioned) = match (built, environment) {
            (
                Err(_),
                Some(Environment {
                    provisioned: Some(provisioned),
                    ..
                }),
            ) if uncompiled == Uncompiled::DatabasesOnly => {
                output.note(
                    "the binary does not compile, so only the databases that its source declares are started",
                );
                (source.model(), provisioned)
            }
            (Err(failure), _) => return Err(failure),
            (Ok(binary), environment) => {
                let model = model::read(&binary)?;
                let problems = check(&model);
                if has_errors(&problems) {
                    return Err(Failure::in_source(problems, workspace.root()));
                }
                output.problems(&problems, &workspace.root());
                let options = Options {
                    namespace,
                    ..Options::default()
                };
                let reporter = match environment {
                    Some(_) => further_progress(),
                    None => progress(),
                };
                let provisioned = provision(&model, &checkout, &options, &reporter).await?;
                // Until here, so that a server does not stop in between.
                drop(environment);
                (model, provisioned)
            }
        };
        let infra = checkout
            .state
            .join(&provisioned.namespace)
            .join("infra.json");
        file::write(&infra, &pretty(&provisioned.config), file::Access::Owner)?;
        if !provisioned.missing_secrets.is_empty() {
            output.note(&missing_secrets(&provisioned.missing_secrets));
        }
        let databases = databases(&model, &provisioned)?;
        Ok(Self {
            provisioned,
            infra,
            databases,
        })
    }

    /// Whether something stops when this process ends.
    pub(crate) fn holds_a_server(&self) -> bool {
        holds_a_server(&self.provisioned)
    }
}

fn missing_secrets(names: &[String]) -> String {
    let file = underlay_local::SECRETS_FILE;
    format!(
        "not set: the secrets {}; put them into .underlay/{file} (Name = \"value\")",
        names.join(", ")
    )
}

fn databases(model: &Model, provisioned: &Provisioned) -> Result<Vec<Database>, Failure> {
    let servers = &provisioned.config.sql_servers;
    let databases = model.databases.iter().filter_map(|declared| {
        let server = servers
            .iter()
            .find(|it| it.databases.contains_key(&declared.name))?;
        let database = &server.databases[&declared.name];
        let access = Access::of_service(server, &declared.name, database);
        Some(access.map_err(Failure::error).map(|access| {
            Database {
                name: declared.name.clone(),
                database: database
                    .name
                    .clone()
                    .unwrap_or_else(|| declared.name.clone()),
                host: server.host.clone(),
                user: database.username.clone(),
                uri: access.uri(),
            }
        }))
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
