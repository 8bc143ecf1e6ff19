//! `cargo underlay db shell`: psql in a database, from this machine or from the server's container.

use std::{
    ffi::OsString,
    fs, io,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::process::Command;
use underlay_local::{Checkout, Rung};

use crate::{
    access::{Access, ssl_mode},
    child,
    command::db::{no_json, source},
    environment::{Environment, Place, Role},
    failure::Failure,
    file::{self, Access as FileAccess},
    output::Output,
    session::block_on,
    workspace::Workspace,
};

/// The variables of libpq that would lead elsewhere if they were inherited.
const STRAY: [&str; 9] = [
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGREQUIRESSL",
];

/// Open psql in a database; it only reads, unless told otherwise.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; may be left away where one is declared.
    name: Option<String>,
    /// Let it write, as the application's role.
    #[arg(long)]
    write: bool,
    /// Let it write, as the superuser; with --env, as the role that applies migrations.
    #[arg(long, conflicts_with = "write")]
    admin: bool,
    #[command(flatten)]
    place: Place,
    /// What psql is told besides, such as `-c "SELECT 1"`.
    #[arg(last = true, value_name = "PSQL ARGUMENTS")]
    psql: Vec<OsString>,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    no_json("db shell", output)?;
    let (workspace, databases) = source(&arguments.place, output)?;
    let declared = databases.one(arguments.name.as_deref())?;
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let role = if arguments.admin {
            Role::Admin
        } else {
            Role::Service
        };
        let access = environment.access(declared, role)?;
        let reads_only = !arguments.write && !arguments.admin;
        if reads_only && access.pooled {
            return Err(access.failure(
                "a pooler stands before this server and would not pass on that the shell only reads; add --write",
            ));
        }
        let files = Certificates::write(&access, &workspace)?;
        let mut command = match psql(&environment) {
            Some(program) => on_this_machine(&program, &access, &files),
            None => in_the_container(&environment, &access, &workspace).await?,
        };
        if reads_only {
            let mut options = std::env::var("PGOPTIONS").unwrap_or_default();
            options.push_str(" -c default_transaction_read_only=on");
            command.env("PGOPTIONS", options.trim_start());
        }
        command.args(&arguments.psql);
        child::run(command).await
    })
}

/// psql on the path, or beside the server's own binaries.
fn psql(environment: &Environment) -> Option<PathBuf> {
    let name = format!("psql{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let provisioned = environment.provisioned.as_ref();
    let beside = provisioned
        .and_then(|it| it.postgres.as_ref())
        .filter(|it| matches!(it.rung, Rung::Native | Rung::Managed))
        .map(|it| PathBuf::from(&it.detail));
    std::env::split_paths(&path)
        .chain(beside)
        .map(|folder| folder.join(&name))
        .find(|it| it.is_file())
}

fn on_this_machine(program: &Path, access: &Access, files: &Certificates) -> Command {
    let options = &access.options;
    let mut command = Command::new(program);
    for name in STRAY {
        command.env_remove(name);
    }
    match options.get_socket() {
        Some(folder) => command.env("PGHOST", folder),
        None => command.env("PGHOST", options.get_host()),
    };
    command
        .env("PGPORT", options.get_port().to_string())
        .env("PGSSLMODE", ssl_mode(options.get_ssl_mode()))
        .envs(files.variables.iter().cloned());
    account(&mut command, access);
    command
}

/// Who uses which database.
fn account(command: &mut Command, access: &Access) {
    let options = &access.options;
    command
        .env("PGUSER", options.get_username())
        .env("PGDATABASE", options.get_database().unwrap_or_default());
    if !access.password.expose().is_empty() {
        command.env("PGPASSWORD", access.password.expose());
    }
}

/// psql of the container that the server runs in, by its own socket.
async fn in_the_container(
    environment: &Environment,
    access: &Access,
    workspace: &Workspace,
) -> Result<Command, Failure> {
    let missing = || {
        Failure::error(
            "there is no `psql` on the PATH, and the server runs in no container of ours that has it; install \
             PostgreSQL's client (postgresql-client, or libpq with Homebrew), or give the URI of `cargo underlay db uri` to \
             another program",
        )
    };
    let provisioned = environment.provisioned.as_ref().ok_or_else(missing)?;
    let checkout = Checkout::find(&workspace.root())?;
    let servers = underlay_local::ps(Some(&checkout)).await?.servers;
    let container = servers
        .into_iter()
        .find(|it| {
            it.rung == Rung::Docker
                && it.is_running
                && it.namespace == provisioned.namespace
                && it.kind == environment.kind
        })
        .ok_or_else(missing)?;
    let mut command = Command::new("docker");
    command.args(["exec", "--interactive"]);
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        command.arg("--tty");
    }
    // Named without values, so that no argument holds the password.
    for name in ["PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS"] {
        command.args(["--env", name]);
    }
    command.env_remove("PGPASSWORD").env_remove("PGOPTIONS");
    account(&mut command, access);
    command.args([container.name.as_str(), "psql"]);
    Ok(command)
}

/// What the infra config holds as text and libpq wants as files; they are removed with it.
struct Certificates {
    folder: Option<PathBuf>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Certificates {
    fn write(access: &Access, workspace: &Workspace) -> Result<Self, Failure> {
        let client = access.client_cert.as_ref();
        let texts = [
            ("PGSSLROOTCERT", access.tls.ca.as_deref()),
            ("PGSSLCERT", client.map(|it| it.cert.as_str())),
            ("PGSSLKEY", client.map(|it| it.key.expose())),
        ];
        let mut files = Self {
            folder: None,
            variables: Vec::new(),
        };
        if access.tls.disabled {
            return Ok(files);
        }
        let checks_all =
            !access.tls.disable_ca_validation && !access.tls.disable_tls_hostname_verification;
        if access.tls.ca.is_none() && checks_all {
            // Without a file, libpq trusts nobody; with this word, whom the system trusts.
            files.variables.push(("PGSSLROOTCERT", "system".into()));
        }
        let folder = workspace
            .target_directory()
            .join("underlay")
            .join(format!("tls-{}", std::process::id()));
        for (name, text) in texts {
            let Some(text) = text else { continue };
            fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
            files.folder = Some(folder.clone());
            let path = folder.join(name.to_lowercase());
            file::write(&path, text, FileAccess::Owner)?;
            files.variables.push((name, path));
        }
        Ok(files)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // Nobody is left to hear of it, and only the owner can read what is there.
            let _ = fs::remove_dir_all(folder);
        }
    }
}
