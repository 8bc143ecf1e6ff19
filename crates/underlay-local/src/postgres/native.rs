//! The rung that runs a PostgreSQL server from binaries on this machine, as a private child on a Unix socket.
//!
//! It knows how a cluster is created and when a server is ready. Who keeps the server alive is
//! [`super::supervisor`]'s business, where its files lie [`super::place`]'s, where binaries come from that of the
//! callers.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::postgres::PgConnection;
use tokio::process::Command;

use super::{
    Address, Refusal, Rung, Scope, Server, USER, admin,
    binaries::{self, Binaries},
    place::{self, Place},
    record::Record,
    supervisor::{self, Guard, Presence, Start},
};
use crate::{
    Kind,
    error::{Error, ErrorKind, os_text},
    report::{Event, waiting},
};

/// Whether this platform has what the rung needs.
pub(crate) const IS_SUPPORTED: bool = true;
/// How long a server may take from its start to the first connection; a recovery after a crash is part of it.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a joined server may be unreachable before we look for the reason.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);
/// The port in the socket's name; the folder is private, so it need not be free.
const PORT: u16 = 5432;

/// Joins the server of this namespace if one runs; the warm start.
pub(crate) async fn join(
    scope: &Scope<'_>,
    record: &Record,
) -> Result<Option<(Server, PgConnection)>, Error> {
    let run = place::run_folder(scope).await?;
    let Presence::Joined(guard) = supervisor::join(&run)? else {
        return Ok(None);
    };
    let address = Address::Socket {
        folder: run,
        port: PORT,
    };
    match admin::connect_once(&admin::options(&address, USER, "", "postgres")).await {
        Ok(connection) => Ok(Some((
            server(record.rung, address, record.detail.clone(), guard),
            connection,
        ))),
        // It is just starting, or it is dead: taking the rung sorts that out, under the lock.
        Err(_) => Ok(None),
    }
}

fn server(rung: Rung, address: Address, detail: String, guard: Guard) -> Server {
    Server {
        rung,
        options: admin::options(&address, USER, "", "postgres"),
        address,
        user: USER.to_owned(),
        password: String::new(),
        detail,
        tls: None,
        guard: Some(guard),
    }
}

/// Joins or starts the server of this namespace, creating its cluster first where there is none; the caller holds the
/// start lock.
pub(crate) async fn take(
    scope: &Scope<'_>,
    rung: Rung,
    candidates: &[Binaries],
) -> Result<(Server, PgConnection), Refusal> {
    let place = place::prepare(scope).await?;
    start_or_join(scope, &place, rung, candidates).await
}

async fn start_or_join(
    scope: &Scope<'_>,
    place: &Place,
    rung: Rung,
    candidates: &[Binaries],
) -> Result<(Server, PgConnection), Refusal> {
    let begin = Instant::now();
    let address = Address::Socket {
        folder: place.run.clone(),
        port: PORT,
    };
    let options = admin::options(&address, USER, "", "postgres");
    // Somebody else's server, unless it is going or dead.
    loop {
        match supervisor::join(&place.run)? {
            Presence::Joined(guard) => {
                match waiting(
                    scope.reporter,
                    "a connection to the running PostgreSQL",
                    admin::connect(&options, JOIN_PATIENCE),
                )
                .await
                {
                    Ok(connection) => {
                        check_running(scope, place, &connection)?;
                        let detail = running_detail(place, candidates);
                        return Ok((server(rung, address, detail, guard), connection));
                    }
                    Err(error) if begin.elapsed() > START_PATIENCE => {
                        return Err(native(format!(
                            "PostgreSQL runs but takes no connections: {error}"
                        ))
                        .into());
                    }
                    Err(_) => {
                        let is_alive = match supervisor::postmaster(&place.data) {
                            Some(postmaster) => {
                                supervisor::is_postmaster_of(postmaster.pid, &place.data).await
                            }
                            None => false,
                        };
                        if !is_alive {
                            supervisor::dismiss(guard);
                        }
                    }
                }
            }
            Presence::Closing if begin.elapsed() > START_PATIENCE => {
                return Err(native(
                    "the PostgreSQL of an earlier run does not come to its end".to_owned(),
                )
                .into());
            }
            Presence::Closing => {}
            Presence::Absent => break,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    place::remove_leftovers(scope.reporter).await?;
    remove_what_a_crash_left(scope, place).await?;
    let binaries = prepare_data(scope, place, rung, candidates).await?;
    let (server_guard, connection) = match start(scope, place, &binaries, &options).await {
        Ok(started) => started,
        // A test cluster does without fsync, so a crash of the machine may have spoilt it; it holds nothing of value.
        Err(error) if scope.kind == Kind::Test => {
            let message = format!(
                "the test cluster is created afresh, because its server did not start: {error}"
            );
            scope.reporter.report(Event::Debug { message: &message });
            wait_until_absent(place).await?;
            place::remove_folder(&place.data)?;
            initialize(scope, place, &binaries).await?;
            start(scope, place, &binaries, &options).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok((
        server(
            rung,
            address,
            binaries.folder.display().to_string(),
            server_guard,
        ),
        connection,
    ))
}

/// The folder of the binaries that run, as `postmaster.opts` names them.
fn running_detail(place: &Place, candidates: &[Binaries]) -> String {
    let options = fs::read_to_string(place.data.join("postmaster.opts")).unwrap_or_default();
    let program = options.split(" \"").next().unwrap_or_default();
    match Path::new(program).parent() {
        Some(folder) if folder.is_absolute() => folder.display().to_string(),
        _ => candidates
            .first()
            .map(|it| it.folder.display().to_string())
            .unwrap_or_default(),
    }
}

fn native(message: String) -> Error {
    Error::new(ErrorKind::Native, message)
}

/// Ends a server without supervisor, and removes a `postmaster.pid` that belongs to nobody.
async fn remove_what_a_crash_left(scope: &Scope<'_>, place: &Place) -> Result<(), Error> {
    let Some(postmaster) = supervisor::postmaster(&place.data) else {
        return Ok(());
    };
    if supervisor::is_postmaster_of(postmaster.pid, &place.data).await {
        let stop = supervisor::stop_server(postmaster.pid, &place.data);
        waiting(
            scope.reporter,
            "an earlier PostgreSQL of this checkout, which nobody watches, to stop",
            stop,
        )
        .await?;
    }
    // PostgreSQL would take any process that has the old number now for its own predecessor, and refuse.
    let path = place.data.join("postmaster.pid");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::state("remove", &path, &error))
        }
        _ => Ok(()),
    }
}

/// Sees to it that there is a cluster, and picks the binaries that fit it.
async fn prepare_data(
    scope: &Scope<'_>,
    place: &Place,
    rung: Rung,
    candidates: &[Binaries],
) -> Result<Binaries, Refusal> {
    let Some(newest) = candidates.first() else {
        return Err(Refusal::Unavailable(
            "no PostgreSQL server was found".to_owned(),
        ));
    };
    let version = match fs::read_to_string(place.data.join("PG_VERSION")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            initialize(scope, place, newest)
                .await
                .map_err(|error| Refusal::Unavailable(error.to_string()))?;
            return Ok(newest.clone());
        }
        Err(error) => {
            return Err(Error::state("read", &place.data.join("PG_VERSION"), &error).into());
        }
    };
    let major = binaries::major(version.trim());
    if let Some(fitting) = candidates.iter().find(|it| it.major() == major) {
        return Ok(fitting.clone());
    }
    if scope.kind == Kind::Test {
        place::remove_folder(&place.data)?;
        initialize(scope, place, newest).await?;
        return Ok(newest.clone());
    }
    let mend = if scope.settings.version.is_some() || rung == Rung::Managed {
        set_version(major)
    } else {
        format!("install PostgreSQL {major}")
    };
    Err(native(format!(
        "the data of namespace `{}` in {} was created by PostgreSQL {major}, and here is only PostgreSQL {} ({}); \
         {mend}, or start afresh: cargo underlay reset",
        scope.namespace,
        place.data.display(),
        newest.version,
        newest.folder.display(),
    ))
    .into())
}

fn set_version(major: u32) -> String {
    format!("set `version = \"{major}\"` under [postgres] in underlay.toml")
}

/// That a running server has the major version that the settings ask for.
fn check_running(scope: &Scope<'_>, place: &Place, connection: &PgConnection) -> Result<(), Error> {
    let Some(wanted) = scope.settings.version.as_deref().map(binaries::major) else {
        return Ok(());
    };
    let running = binaries::major(&admin::version(connection));
    if running == wanted {
        return Ok(());
    }
    Err(native(format!(
        "a PostgreSQL {running} runs for namespace `{}` with its data in {}, and `version` under [postgres] in \
         underlay.toml asks for PostgreSQL {wanted}; {}, or start afresh: cargo underlay reset",
        scope.namespace,
        place.data.display(),
        set_version(running),
    )))
}

/// Creates a cluster, whole or not at all.
async fn initialize(scope: &Scope<'_>, place: &Place, binaries: &Binaries) -> Result<(), Error> {
    let mut name = place.data.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    place::remove_folder(&new)?;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .map_err(|error| Error::state("create", &new, &error))?;
    if let Some(account) = &place.account {
        chown(&new, Some(account.uid), Some(account.gid))
            .map_err(|error| Error::state("give away", &new, &error))?;
    }
    let mut problem = String::new();
    // The second locale is for systems that lack the first, such as older macOS.
    for locale in ["C.UTF-8", "C"] {
        let mut command = Command::new(binaries.program("initdb"));
        command.arg("-D").arg(&new).args([
            "--username",
            USER,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            locale,
        ]);
        command.args(["--no-sync", "--no-instructions"]);
        supervisor::prepare(&mut command, place.account.as_ref());
        let run = waiting(
            scope.reporter,
            "initdb, which creates a PostgreSQL cluster",
            command.output(),
        );
        let output = run.await.map_err(|error| {
            native(format!(
                "cannot run {}: {}",
                binaries.program("initdb").display(),
                os_text(&error)
            ))
        })?;
        if output.status.success() {
            return fs::rename(&new, &place.data)
                .map_err(|error| Error::state("create", &place.data, &error));
        }
        problem = super::first_problem(&String::from_utf8_lossy(&output.stderr));
        if !problem.contains("locale") {
            break;
        }
    }
    // What is left of the attempt is of no use, and removed at the next one if that fails now.
    let _ = fs::remove_dir_all(&new);
    Err(native(format!(
        "{} cannot create a cluster in {}: {problem}",
        binaries.program("initdb").display(),
        new.display()
    )))
}

/// Starts the server and waits until it takes connections.
async fn start(
    scope: &Scope<'_>,
    place: &Place,
    binaries: &Binaries,
    options: &sqlx::postgres::PgConnectOptions,
) -> Result<(Guard, PgConnection), Error> {
    place.provide_run()?;
    let (mut supervisor, guard) = supervisor::start(Start {
        postgres: binaries.program("postgres"),
        data: &place.data,
        run: &place.run,
        log: &place.log,
        account: place.account.as_ref(),
        options: server_options(scope.kind, &place.run),
    })
    .await?;
    let begin = Instant::now();
    let ready = async {
        loop {
            if let Ok(Some(_)) = supervisor.try_wait() {
                let text = fs::read_to_string(&place.log).unwrap_or_default();
                return Err(native(format!(
                    "PostgreSQL {} does not start: {} (its log is {})",
                    binaries.version,
                    super::first_problem(&text),
                    place.log.display()
                )));
            }
            if supervisor::postmaster(&place.data).is_some_and(|postmaster| postmaster.is_ready) {
                return admin::connect(options, START_PATIENCE)
                    .await
                    .map_err(|error| {
                        native(format!(
                            "PostgreSQL was started but takes no connections: {error}"
                        ))
                    });
            }
            if begin.elapsed() > START_PATIENCE {
                return Err(native(format!(
                    "PostgreSQL is not ready after {} s; its log is {}",
                    START_PATIENCE.as_secs(),
                    place.log.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let connection = waiting(scope.reporter, "PostgreSQL to start", ready).await?;
    Ok((guard, connection))
}

fn server_options(kind: Kind, run: &Path) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        format!("unix_socket_directories={}", run.display()),
        "logging_collector=off".to_owned(),
    ];
    if kind == Kind::Test {
        settings.extend(super::TEST_SETTINGS.map(str::to_owned));
    }
    settings
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}

/// Waits for the end of a supervisor whose server has died.
async fn wait_until_absent(place: &Place) -> Result<(), Error> {
    let begin = Instant::now();
    loop {
        match supervisor::join(&place.run)? {
            Presence::Absent => return Ok(()),
            Presence::Joined(guard) => supervisor::dismiss(guard),
            Presence::Closing => {}
        }
        if begin.elapsed() > START_PATIENCE {
            return Err(native(
                "the supervisor of a dead PostgreSQL does not end".to_owned(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
